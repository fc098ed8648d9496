"""What is done about each refusal: by status and reason, never by a text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Action, Verdict
from syncd.model import Collection
from syncd.providers.google_workspace import error_reason
from syncd.upstream.client import Request, Response
from tests.providers.google import DELETED, EVERY, GROUPS, MEMBERS, TOKENS, USERS, answer, provider

LISTS = (USERS, DELETED, GROUPS)
"""Listings of the customer's own; the others hang on one user or group."""

MESSAGES = (
    "Not Found",
    "quotaExceeded rateLimitExceeded notFound Retry after 2030-01-01T00:00:00Z",
    "Aucun utilisateur",
    "\u30e6\u30fc\u30b6\u30fc\u304c\u898b\u3064\u304b\u308a\u307e\u305b\u3093",
    "\u202e[red]s3cr3t",
    "",
)


def refusal(status: int, reason: str, message: str = "", **headers: str) -> Response:
    item = {"domain": "global", "reason": reason, "message": message}
    error = {"code": status, "message": message, "errors": [item]}
    return answer({"error": error}, status, **headers)


def ask(collection: Collection, cursor: str | None = None) -> Request:
    return provider().request(collection, cursor)


RATE = ("userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded")
TABLE: list[tuple[int, str, Action, Action]] = [
    # status, reason, verdict for one user or group, verdict for the customer's listing
    (400, "badRequest", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (400, "invalid", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (401, "authError", Action.UNREADABLE, Action.STOP),
    (403, "forbidden", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (403, "notAuthorized", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (403, "domainCannotUseApis", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (403, "insufficientPermissions", Action.STOP_ENDPOINT, Action.STOP_ENDPOINT),
    (403, "accessNotConfigured", Action.STOP_ENDPOINT, Action.STOP_ENDPOINT),
    *((403, reason, Action.RETRY, Action.RETRY) for reason in RATE),
    (404, "notFound", Action.GONE, Action.STOP_ENDPOINT),
    (404, "other", Action.UNREADABLE, Action.STOP_ENDPOINT),
    (408, "x", Action.RETRY, Action.RETRY),
    (409, "conflict", Action.UNREADABLE, Action.UNREADABLE),
    (410, "deleted", Action.UNREADABLE, Action.UNREADABLE),
    (412, "conditionNotMet", Action.UNREADABLE, Action.UNREADABLE),
    (429, "rateLimitExceeded", Action.RETRY, Action.RETRY),
    (500, "backendError", Action.RETRY, Action.RETRY),
    (503, "backendError", Action.RETRY, Action.RETRY),
    (302, "x", Action.UNREADABLE, Action.UNREADABLE),
]


@pytest.mark.parametrize(("status", "reason", "single", "whole"), TABLE)
def test_by_status_and_reason(status: int, reason: str, single: Action, whole: Action) -> None:
    for collection, action in (
        (TOKENS, single),
        (MEMBERS, single),
        (USERS, whole),
        (GROUPS, whole),
    ):
        verdicts = set()
        for message in MESSAGES:
            verdict = provider().classify(ask(collection), refusal(status, reason, message))
            assert "s3cr3t" not in repr(verdict)
            verdicts.add(verdict)
        assert len(verdicts) == 1
        assert verdicts.pop().action is action


@pytest.mark.parametrize("reason", RATE)
def test_a_rate_limit_obeys_retry_after(reason: str) -> None:
    for status in (403, 429):
        verdict = provider().classify(ask(TOKENS), refusal(status, reason, **{"retry-after": "7"}))
        assert verdict == Verdict(Action.RETRY, "rate_limited", 7.0)
    assert provider().classify(ask(TOKENS), refusal(403, reason)).after is None


@pytest.mark.parametrize("status", [400, 410])
def test_an_expired_page_token_restarts_its_listing(status: int) -> None:
    for collection in (*LISTS, MEMBERS):
        verdict = provider().classify(ask(collection, "CAEQ"), refusal(status, "invalid"))
        assert verdict.action is Action.RESTART
    verdict = provider().classify(ask(TOKENS), refusal(status, "invalid"))
    assert verdict.action is Action.UNREADABLE


NOT_GOOGLES: list[Any] = [
    b"",
    b"<html>404</html>",
    b"[" * 100_000,
    b'{"error":\xff}',
    {},
    [],
    None,
    {"error": "not_found"},
    {"error": None},
    {"error": {}},
    {"error": {"errors": []}},
    {"error": {"errors": [{}]}},
    {"error": {"errors": "notFound"}},
    {"error": {"errors": [{"reason": 5}]}},
    {"error": {"errors": [{"reason": "not found"}]}},
    {"error": {"errors": [{"reason": "notFound\n"}]}},
    {"error": {"code": 404, "message": "notFound"}},
    {"reason": "notFound"},
]


@pytest.mark.parametrize("body", NOT_GOOGLES, ids=lambda body: repr(body)[:40])
def test_only_google_itself_says_that_something_is_gone(body: Any) -> None:
    for collection in EVERY:
        verdict = provider().classify(ask(collection), answer(body, 404))
        assert verdict.action is not Action.GONE


@given(
    st.sampled_from(EVERY),
    st.sampled_from([None, "CAEQ"]),
    st.integers(201, 599),
    st.binary(max_size=99) | st.sampled_from([refusal(404, "notFound").body]),
)
def test_any_answer_gets_a_verdict(
    collection: Collection, cursor: str | None, status: int, body: bytes
) -> None:
    verdict = provider().classify(ask(collection, cursor), answer(body, status))
    if verdict.action is Action.GONE:
        assert status == 404
        assert collection not in LISTS
    assert verdict.reason


def test_what_is_missing_is_named() -> None:
    verdict = provider().classify(ask(TOKENS), refusal(403, "insufficientPermissions"))
    assert "admin.directory.user.security" in verdict.hint
    verdict = provider().classify(ask(USERS), refusal(404, "notFound"))
    assert "customer" in verdict.hint


@given(st.text(max_size=80))
def test_a_reason_is_a_short_plain_word(text: str) -> None:
    reason = error_reason(refusal(400, text.encode("utf-8", "replace").decode()))
    assert reason.isascii()
    assert reason.isidentifier()
    assert len(reason) <= 64
