"""What HTTP says of a failure, and bodies that are no JSON."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Action, UpstreamError
from syncd.upstream.verdicts import (
    LONGEST_RETRY_AFTER,
    base_verdict,
    decode,
    require_json,
    retry_after,
)

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
NOW = 1_700_000_000.0
"""The same moment as DATE."""


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("3601", LONGEST_RETRY_AFTER),
        ("9" * 1000, LONGEST_RETRY_AFTER),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("Tue Nov 14 22:14:20 2023", 60.0),
        ("Tue, 14 Nov 2023 22:14:20 +0100", 0.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("0x10", None),
        ("", None),
        ("soon", None),
        ("1, 2", None),
        ("\N{ARABIC-INDIC DIGIT THREE}", None),
        ("\N{SUPERSCRIPT TWO}", None),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_without_retry_after() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("wrong_by", [-1e9, -3600, 3600, 1e9])
def test_a_date_counts_from_the_servers_own_clock(wrong_by: float) -> None:
    headers = {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT", "date": DATE}
    assert retry_after(headers, NOW + wrong_by) == 60.0


@pytest.mark.parametrize("date", ["", "yesterday", "0"])
def test_a_date_counts_from_the_local_clock_without_the_servers(date: str) -> None:
    headers = {"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT", "date": date}
    assert retry_after(headers, NOW + 20) == 40.0


_HEADER = st.text(max_size=40) | st.from_regex(
    r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d\d:\d\d ([A-Z]{1,4}|[+-]\d{1,9})\Z"
)


@given(_HEADER, _HEADER, st.floats(0, 1e11))
def test_any_header_gives_a_wait_within_bounds(text: str, date: str, now: float) -> None:
    seconds = retry_after({"retry-after": text, "date": date}, now)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


@pytest.mark.parametrize(
    ("status", "action", "reason"),
    [
        (204, Action.UNREADABLE, "http_204"),
        (301, Action.UNREADABLE, "redirected"),
        (304, Action.UNREADABLE, "redirected"),
        (400, Action.UNREADABLE, "http_400"),
        (401, Action.UNREADABLE, "unauthorized"),
        (403, Action.UNREADABLE, "forbidden"),
        (404, Action.UNREADABLE, "not_found"),
        (408, Action.RETRY, "http_408"),
        (410, Action.UNREADABLE, "http_410"),
        (418, Action.UNREADABLE, "http_418"),
        (425, Action.RETRY, "http_425"),
        (429, Action.RETRY, "rate_limited"),
        (500, Action.RETRY, "http_500"),
        (502, Action.RETRY, "http_502"),
        (503, Action.RETRY, "http_503"),
        (504, Action.RETRY, "http_504"),
        (599, Action.RETRY, "http_599"),
    ],
)
def test_statuses(status: int, action: Action, reason: str) -> None:
    verdict = base_verdict(Answer(status, {"retry-after": "9"}), NOW)
    assert (verdict.action, verdict.reason) == (action, reason)
    waits = {429, 408, 425, 500, 502, 503, 504, 599}
    assert verdict.after == (9.0 if status in waits else None)


@given(st.integers(100, 999).filter(lambda status: status != 200))
def test_no_status_says_that_something_is_gone(status: int) -> None:
    assert base_verdict(Answer(status), NOW).action in {Action.RETRY, Action.UNREADABLE}


class Thing(msgspec.Struct):
    name: str = ""
    count: int = 0


DECODER = msgspec.json.Decoder(list[Thing])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "invalid_json"),
        (b"s3cr3t", "invalid_json"),
        (b'[{"name":"s3cr3t"}', "invalid_json"),
        (b'[{"name":"s3cr3t', "invalid_json"),
        (b'[{"name":"s3cr3t"}]x', "invalid_json"),
        (b'[{"name":"s3cr3t\xff"}]', "invalid_json"),
        (b'\xff\xfe[{"name":"s3cr3t"}]', "invalid_json"),
        (b'[{"name":"s3cr3t\\ud800"}]', "invalid_json"),
        (b'[{"x":' * 100_000, "nested_too_deeply"),
        (b'[{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "nested_too_deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[:20]),
)
def test_bodies_that_are_no_json(body: bytes, reason: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        decode(DECODER, body)
    verdict = caught.value.verdict
    assert verdict.action is Action.RETRY
    assert verdict.reason == reason
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'[{"name":7}]', "$[0].name"),
        (b'[{"name":"x"},{"name":["s3cr3t"]}]', "$[1].name"),
        (b'[{"count":"s3cr3t"}]', "$[0].count"),
        (b'[{"count":' + b"9" * 5000 + b"}]", "$[0].count"),
        (b'[{"count":1e999}]', "$[0].count"),
        (b'{"s3cr3t":1}', ""),
        (b"null", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value[:24]),
)
def test_another_shape_is_told_by_its_place(body: bytes, where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        decode(DECODER, body)
    text = str(caught.value)
    assert where in text
    assert "s3cr3t" not in text
    assert "999" not in text


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_fail_in_a_known_way(body: bytes) -> None:
    with contextlib.suppress(UpstreamError, msgspec.ValidationError):
        decode(DECODER, body)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", "application/scim+json"]
)
def test_json_by_its_content_type(kind: str) -> None:
    require_json({"content-type": kind})


@pytest.mark.parametrize("kind", [None, "", "text/html", "text/json", "application/jsonp", ";json"])
def test_not_json_by_its_content_type(kind: str | None) -> None:
    with pytest.raises(UpstreamError) as caught:
        require_json({} if kind is None else {"content-type": kind})
    assert caught.value.verdict.action is Action.RETRY
