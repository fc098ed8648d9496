"""What HTTP itself says of a failed request; each provider's classifier refines it.

By status and headers only. A message's text is never looked at: it changes without notice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar

import msgspec

from syncd.errors import Action, UpstreamError, Verdict

LONGEST_RETRY_AFTER = 3600.0
"""Seconds; a server that asks for more is asked again after this time."""


class HasStatus(Protocol):
    """The part of a response that a verdict needs."""

    @property
    def status(self) -> int:
        """The HTTP status code."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Header fields; names in lower case."""


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that ``Retry-After`` asks to wait (RFC 9110, 10.2.3), None without a valid one.

    A date is held against the server's own ``Date`` where there is one, since the local clock
    (``now``, seconds since 1970) may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        until = _timestamp(text)
        if until is None:
            return None
        sent = _timestamp(headers.get("date", ""))
        seconds = until - (now if sent is None else sent)
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER)


def _timestamp(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        stamp = moment.timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return stamp if math.isfinite(stamp) else None


def base_verdict(response: HasStatus, now: float) -> Verdict:
    """The verdict that needs no knowledge of the provider."""
    status = response.status
    if status == 429:
        return Verdict(Action.RETRY, "rate_limited", retry_after(response.headers, now))
    if status in {408, 425} or status >= 500:
        return Verdict(Action.RETRY, f"http_{status}", retry_after(response.headers, now))
    if 300 <= status < 400:
        return Verdict(
            Action.UNREADABLE, "redirected", hint="redirects are not followed; check base_url"
        )
    if status == 404:
        return Verdict(Action.UNREADABLE, "not_found")
    if status == 401:
        return Verdict(Action.UNREADABLE, "unauthorized")
    if status == 403:
        return Verdict(Action.UNREADABLE, "forbidden")
    return Verdict(Action.UNREADABLE, f"http_{status}")


def bad_body(reason: str, detail: str) -> UpstreamError:
    """A body that cannot be what was asked for; worth another try. No text of it is kept."""
    return UpstreamError(Verdict(Action.RETRY, reason), f"the response was not usable: {detail}")


T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode JSON. Raises UpstreamError (retry) for a body that is no JSON at all.

    Raises msgspec.ValidationError for JSON of another shape: its message names the place, and
    never the value.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        raise
    except RecursionError:
        raise bad_body("nested_too_deeply", "it is nested too deeply") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise bad_body("invalid_json", f"{len(body)} bytes that are no valid JSON") from None


def require_json(headers: Mapping[str, str]) -> None:
    """Raise UpstreamError (retry) when a response says that it is something else than JSON."""
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise bad_body("wrong_content_type", "it is not JSON by its Content-Type")
