"""Faults: what the demo directory does wrong on purpose, to whom and how often.

| name | what the client sees | options |
|---|---|---|
| rate_limit_429 | 429 rateLimitExceeded, Retry-After in seconds | retry_after (1) |
| rate_limit_429_date | the same, Retry-After as an HTTP date | retry_after (1) |
| rate_limit_403 | 403 userRateLimitExceeded | |
| quota_403 | 403 quotaExceeded | |
| forbidden_403 | 403 forbidden, for good | |
| internal_500 | 500 backendError | |
| unavailable_503 | 503 backendError, Retry-After if given | retry_after (none) |
| bad_gateway_502_html | 502 with an HTML page | |
| unauthorized_401 | 401 authError | |
| not_found_404 | 404 notFound | |
| reset_before | the connection is reset instead of an answer | |
| reset_mid_body | ... in the middle of the body | |
| truncated_body | the body ends before its Content-Length, then the connection | |
| invalid_json | 200 with half of the JSON | |
| invalid_utf8 | 200 with JSON whose text is not UTF-8 | |
| wrong_content_type | 200 with an HTML page | |
| empty_body | 200 without a body | |
| empty_object | 200 with {} | |
| error_in_200 | 200 with an error as its body | |
| deep_nesting | 200 with arrays inside arrays | depth (100000) |
| huge_body | a chunked body that goes on and on, then ends properly | bytes (1 GiB) |
| gzip_bomb | a small gzip body of many zeros | bytes (1 GiB) |
| slow_body | the proper body, trickling | seconds (10) |
| hang | no answer at all, the connection stays open | |
| redirect_other_host | 302 to another host | location |
| page_token_expired | 400 invalid for any request with a pageToken; others are served | |
| page_token_repeats | the nextPageToken leads to the same page again and again | |
| duplicate_items | items of the page before are repeated on a page | share (0.1) |
| missing_items | items are left out of a page; the list ends properly | share (0.1) |
| empty_tokens | 200 with a token list without items | |
| bad_record | one record of a page has a field of a wrong type; its id is good | |
| bad_record_no_id | one record of a page has no usable id | |
| hostile_name | names with markup, formulas, escape sequences and text direction marks | |
| secret_echo | 500 whose message repeats the request's Authorization header | |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from syncd.demo.chance import draw

_WAIT = frozenset({"retry_after"})
_SHARE = frozenset({"share"})
_BYTES = frozenset({"bytes"})
_OPTIONS: dict[str, frozenset[str]] = {
    "rate_limit_429": _WAIT,
    "rate_limit_429_date": _WAIT,
    "rate_limit_403": frozenset(),
    "quota_403": frozenset(),
    "forbidden_403": frozenset(),
    "internal_500": frozenset(),
    "unavailable_503": _WAIT,
    "bad_gateway_502_html": frozenset(),
    "unauthorized_401": frozenset(),
    "not_found_404": frozenset(),
    "reset_before": frozenset(),
    "reset_mid_body": frozenset(),
    "truncated_body": frozenset(),
    "invalid_json": frozenset(),
    "invalid_utf8": frozenset(),
    "wrong_content_type": frozenset(),
    "empty_body": frozenset(),
    "empty_object": frozenset(),
    "error_in_200": frozenset(),
    "deep_nesting": frozenset({"depth"}),
    "huge_body": _BYTES,
    "gzip_bomb": _BYTES,
    "slow_body": frozenset({"seconds"}),
    "hang": frozenset(),
    "redirect_other_host": frozenset({"location"}),
    "page_token_expired": frozenset(),
    "page_token_repeats": frozenset(),
    "duplicate_items": _SHARE,
    "missing_items": _SHARE,
    "empty_tokens": frozenset(),
    "bad_record": frozenset(),
    "bad_record_no_id": frozenset(),
    "hostile_name": frozenset(),
    "secret_echo": frozenset(),
}

FAULT_NAMES: tuple[str, ...] = tuple(_OPTIONS)
"""The names of all faults."""

API_PATHS = "^/admin/"
"""The paths of the API as a regular expression: all but the token endpoint."""
_NO_OPTIONS: Mapping[str, float | str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class FaultRule:
    """One fault and when it happens.

    `path` is a regular expression searched in the path with its query. Of the requests that
    match, the fault hits: each one with `probability` (0..1); every `every`-th; all those whose
    path without query belongs to a `fraction` (0..1) of the paths, always the same ones; the
    `first` so many of each path with query. A rule with none of these hits always, one with
    several hits when all agree. `options` are those of the table above.
    """

    name: str
    probability: float | None = None
    every: int | None = None
    fraction: float | None = None
    first: int | None = None
    path: str = API_PATHS
    options: Mapping[str, float | str] = field(default_factory=lambda: _NO_OPTIONS)

    def __post_init__(self) -> None:
        """Refuse what makes no sense (ValueError)."""
        if self.name not in _OPTIONS:
            raise ValueError(f"unknown fault {self.name!r}")
        if unknown := set(self.options) - _OPTIONS[self.name]:
            raise ValueError(f"fault {self.name} has no option {sorted(unknown)}")
        for share in (self.probability, self.fraction):
            if share is not None and not 0 <= share <= 1:
                msg = "probability and fraction must be between 0 and 1"
                raise ValueError(msg)
        if (self.every is not None and self.every < 1) or (self.first or 0) < 0:
            msg = "every must be at least 1, first at least 0"
            raise ValueError(msg)
        try:
            re.compile(self.path)
        except re.error as error:
            msg = f"path is not a regular expression: {error}"
            raise ValueError(msg) from None

    def number(self, option: str, default: float) -> float:
        """Return an option's number."""
        return float(self.options.get(option, default))


@dataclass(frozen=True, slots=True)
class Hit:
    """A fault that a request has met."""

    rule: FaultRule
    count: int
    """How many requests the rule had hit before."""


class FaultPlan:
    """Decides which request meets which fault; the same requests always meet the same ones."""

    def __init__(self, rules: Sequence[FaultRule] = (), seed: int = 1) -> None:
        """Plan for `rules`; a request meets the first rule that hits it."""
        self.rules = tuple(rules)
        self.seed = seed
        self.hits = dict.fromkeys((rule.name for rule in self.rules), 0)
        """How many requests have met each fault."""
        self._states = [_State(rule, seed, turn) for turn, rule in enumerate(self.rules)]

    @classmethod
    def single(
        cls,
        name: str,
        probability: float = 1.0,
        *,
        path: str = API_PATHS,
        seed: int = 1,
        **options: float | str,
    ) -> FaultPlan:
        """Return a plan of one fault, for the API's paths if no other `path` is given."""
        return cls([FaultRule(name, probability=probability, path=path, options=options)], seed)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FaultPlan:
        """Return the plan described by {"rules": [{"name": ..., ...}], "seed": n}.

        Raises ValueError or TypeError for anything else.
        """
        rules = [FaultRule(**rule) for rule in value.get("rules", ())]
        return cls(rules, int(value.get("seed", 1)))

    def pick(self, target: str) -> Hit | None:
        """Return the fault that a request for `target` (path with query) meets, if any."""
        for state in self._states:
            if state.hits(target):
                self.hits[state.rule.name] += 1
                return Hit(state.rule, state.count - 1)
        return None


class _State:
    """A rule and what it has seen."""

    __slots__ = ("_index", "_path", "_seed", "_seen", "_served", "count", "rule")

    def __init__(self, rule: FaultRule, seed: int, index: int) -> None:
        self.rule = rule
        self.count = 0
        self._index = index
        self._seed = seed
        self._path = re.compile(rule.path)
        self._seen = 0
        self._served: dict[int, int] = {}

    def hits(self, target: str) -> bool:
        if self._path.search(target) is None:
            return False
        if self.rule.name == "page_token_expired" and "pageToken=" not in target:
            return False
        self._seen += 1
        hit = self._by_count() and self._by_path(target)
        self.count += hit
        return hit

    def _by_count(self) -> bool:
        rule = self.rule
        if rule.every is not None and self._seen % rule.every:
            return False
        if rule.probability is None or rule.probability >= 1:
            return True
        chance = draw(self._seed, 100 + self._index, self._seen)[0]
        return chance < rule.probability * 2**32

    def _by_path(self, target: str) -> bool:
        rule = self.rule
        if rule.fraction is not None:
            path = target.partition("?")[0]
            chance = draw(self._seed, 200 + self._index, _number(path))[0]
            if chance >= rule.fraction * 2**32:
                return False
        if rule.first is None:
            return True
        key = _number(target)
        served = self._served.get(key, 0)
        self._served[key] = served + 1
        return served < rule.first


def _number(text: str) -> int:
    """Return a 40-bit number for `text`, the same in every process."""
    return int.from_bytes(blake2b(text.encode(), digest_size=5).digest(), "big")
