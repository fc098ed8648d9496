"""Access tokens: kept, renewed once for everybody, and never shown."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import jwt
import pytest

from syncd.demo import AuthPolicy, DemoServer, Directory, FaultPlan, FaultRule
from syncd.errors import Action, CredentialError, SyncdError, UpstreamError
from syncd.host.secrets import Secret
from syncd.providers.google_workspace import read_key_file, signer
from syncd.upstream.auth import RENEW_EARLY, RENEW_PAUSE, JwtBearer
from syncd.upstream.client import HttpClient
from tests.upstream import wire
from tests.upstream.clocks import everything_said
from tests.upstream.wire import reply, serve

USERS = "https://www.googleapis.com/auth/admin.directory.user.readonly"
GROUPS = "https://www.googleapis.com/auth/admin.directory.group.readonly"


class Clock:
    """The real time of day, so that the server takes our assertions; the rest is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


Make = Callable[..., JwtBearer]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def demo() -> AsyncIterator[DemoServer]:
    async with DemoServer(Directory(users=5)) as server:
        yield server


@pytest.fixture
async def make(clock: Clock) -> AsyncIterator[Make]:
    clients: list[HttpClient] = []

    def bearer(url: str, **changes: Any) -> JwtBearer:
        key = {**DemoServer(Directory(users=1)).key_file(), "token_uri": f"{url}/token"}
        client = HttpClient(url, timeout=changes.pop("timeout", 20.0))
        clients.append(client)
        details: dict[str, Any] = {
            "issuer": key["client_email"],
            "subject": Directory().admin_email,
            "sign": signer(read_key_file(Secret(json.dumps(key)))),
            **changes,
        }
        return JwtBearer(client, token_url=key["token_uri"], clock=clock, **details)

    yield bearer
    for client in clients:
        await client.close()


async def refusal(bearer: JwtBearer, grant: str = USERS) -> SyncdError:
    with pytest.raises(SyncdError) as caught:
        await bearer.header(grant)
    said = everything_said(caught.value) + repr(bearer) + repr(vars(bearer))
    assert "PRIVATE KEY" not in said
    assert "eyJ" not in said
    assert "s3cr3t" not in said
    return caught.value


def token(text: str = "s3cr3t", **more: Any) -> bytes:
    body = json.dumps({"access_token": text, "expires_in": 3599, **more}).encode()
    return reply(body, "Content-Type: application/json")


async def test_a_token_is_kept_until_shortly_before_its_end(
    demo: DemoServer, make: Make, clock: Clock
) -> None:
    bearer = make(demo.url)
    first = await bearer.header(USERS)
    assert first.reveal().startswith("Bearer ya29.")
    clock.now += 3599 - RENEW_EARLY - 1
    assert await bearer.header(USERS) is first
    assert demo.stats.requests["token_grant"] == 1
    clock.now += 2
    second = await bearer.header(USERS)
    assert second != first
    assert demo.stats.requests["token_grant"] == 2


@pytest.mark.parametrize(
    ("life", "kept"), [(60, 29), (60, 31), (2, 9), (2, 11), (0, 9), (-5, 11), (1e9, 1e8)]
)
async def test_a_token_of_any_life(make: Make, clock: Clock, life: float, kept: float) -> None:
    async with serve(wire.say(token(expires_in=life))) as server:
        bearer = make(server.url)
        await bearer.header(USERS)
        clock.now += kept
        await bearer.header(USERS)
        # Half of a short life, but never a new token for each request.
        assert len(server.requests) == (1 if kept < max(10, life / 2) else 2)


async def test_the_assertion_asks_for_one_scope(make: Make) -> None:
    async with serve(wire.say(token())) as server:
        await make(server.url).header(USERS)
    form = dict(pair.split(b"=") for pair in server.requests[0].split(b"\r\n\r\n")[1].split(b"&"))
    assert form[b"grant_type"] == b"urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
    claims = jwt.decode(form[b"assertion"], options={"verify_signature": False})
    assert claims["scope"] == USERS
    assert claims["aud"] == f"{server.url}/token"
    assert claims["exp"] - claims["iat"] <= 3600
    header = jwt.get_unverified_header(form[b"assertion"])
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert header["kid"]


async def test_one_renewal_for_fifty_callers(demo: DemoServer, make: Make, clock: Clock) -> None:
    demo.latency = {"token_grant": 0.02}
    bearer = make(demo.url)
    for renewals in (1, 2):
        headers = await asyncio.gather(*(bearer.header(USERS) for _ in range(50)))
        assert len({header.reveal() for header in headers}) == 1
        assert demo.stats.requests["token_grant"] == renewals
        clock.now += 4000


async def test_each_scope_has_a_token_of_its_own(demo: DemoServer, make: Make) -> None:
    demo.latency = {"token_grant": 0.02}
    bearer = make(demo.url)
    users, groups = await asyncio.gather(bearer.header(USERS), bearer.header(GROUPS))
    assert users != groups
    assert demo.stats.requests["token_grant"] == 2


async def test_a_refused_token_is_replaced_once(demo: DemoServer, make: Make, clock: Clock) -> None:
    bearer = make(demo.url)
    old = await bearer.header(USERS)
    clock.now += RENEW_PAUSE + 1
    demo.revoke_access_tokens()
    # All who were refused with it try again; the first of them has it replaced.
    assert all(bearer.refused(USERS, old) for _ in range(50))
    headers = await asyncio.gather(*(bearer.header(USERS) for _ in range(50)))
    assert demo.stats.requests["token_grant"] == 2
    assert old not in headers
    # Somebody who was refused late with the old one does not cost the new one.
    assert bearer.refused(USERS, old)
    assert await bearer.header(USERS) is headers[0]


async def test_users_who_are_always_refused_do_not_renew_for_ever(
    demo: DemoServer, make: Make, clock: Clock
) -> None:
    bearer = make(demo.url)
    for _ in range(600):
        header = await bearer.header(USERS)
        if bearer.refused(USERS, header):
            fresh = await bearer.header(USERS)
            assert not bearer.refused(USERS, fresh)
        clock.now += 1
    assert demo.stats.requests["token_grant"] <= 600 / RENEW_PAUSE + 1


async def test_a_refused_token_of_another_grant_stays(
    demo: DemoServer, make: Make, clock: Clock
) -> None:
    bearer = make(demo.url)
    users, groups = await bearer.header(USERS), await bearer.header(GROUPS)
    clock.now += RENEW_PAUSE + 1
    assert bearer.refused(USERS, users)
    assert await bearer.header(GROUPS) is groups


async def test_a_missing_scope_stops_its_endpoint_only(demo: DemoServer, make: Make) -> None:
    demo.auth = AuthPolicy(missing_scopes=frozenset({GROUPS}))
    bearer = make(demo.url)
    error = await refusal(bearer, GROUPS)
    assert isinstance(error, UpstreamError)
    assert error.verdict.action is Action.STOP_ENDPOINT
    assert error.verdict.reason == "permission_missing"
    assert GROUPS in str(error)
    assert GROUPS in error.verdict.hint
    assert "syncd-demo@" in error.verdict.hint
    await bearer.header(USERS)


async def test_a_wrong_administrator(demo: DemoServer, make: Make) -> None:
    error = await refusal(make(demo.url, subject="nobody@acme.example"))
    assert isinstance(error, CredentialError)
    assert "nobody@acme.example" in str(error)


async def test_a_final_refusal_holds_for_all_who_wait(demo: DemoServer, make: Make) -> None:
    demo.latency = {"token_grant": 0.02}
    bearer = make(demo.url, subject="nobody@acme.example")
    asked = [bearer.header(USERS) for _ in range(50)]
    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(error, CredentialError) for error in errors)
    assert len({id(error) for error in errors}) == 50
    assert demo.stats.requests["token_grant"] == 1
    # Whoever comes later asks anew.
    await refusal(bearer)
    assert demo.stats.requests["token_grant"] == 2


@pytest.mark.parametrize(
    ("fault", "options", "reason", "after"),
    [
        ("internal_500", {}, "http_500", None),
        ("bad_gateway_502_html", {}, "http_502", None),
        ("unavailable_503", {"retry_after": 9}, "http_503", 9.0),
        ("rate_limit_429", {"retry_after": 7}, "rate_limited", 7.0),
        ("reset_before", {}, None, None),
        ("reset_mid_body", {}, None, None),
        ("truncated_body", {}, "bad_http", None),
        ("invalid_json", {}, "bad_token_answer", None),
        ("invalid_utf8", {}, "bad_token_answer", None),
        ("deep_nesting", {}, "bad_token_answer", None),
        ("empty_body", {}, "bad_token_answer", None),
        ("empty_object", {}, "bad_token_answer", None),
        ("wrong_content_type", {}, "bad_token_answer", None),
        ("error_in_200", {}, "bad_token_answer", None),
        ("redirect_other_host", {}, "bad_token_answer", None),
        ("secret_echo", {}, "http_500", None),
    ],
)
async def test_a_token_endpoint_in_trouble_is_tried_again(
    demo: DemoServer,
    make: Make,
    fault: str,
    options: dict[str, float | str],
    reason: str | None,
    after: float | None,
) -> None:
    demo.faults = FaultPlan([FaultRule(fault, first=1, path="^/token", options=options)])
    bearer = make(demo.url)
    error = await refusal(bearer)
    assert isinstance(error, UpstreamError)
    assert error.verdict.action is Action.RETRY
    assert error.verdict.reason in ({reason} if reason else {"connection_lost", "bad_http"})
    assert error.verdict.after == after
    assert (await bearer.header(USERS)).reveal().startswith("Bearer ")


async def test_a_token_endpoint_that_hangs(demo: DemoServer, make: Make) -> None:
    demo.faults = FaultPlan.single("hang", path="^/token")
    error = await refusal(make(demo.url, timeout=0.2))
    assert isinstance(error, UpstreamError)
    assert error.verdict.reason == "timeout"


JSON = "Content-Type: application/json"


@pytest.mark.parametrize(
    "answer",
    [
        token("s3cr3t\r\nX-Evil: 1"),
        token("s3cr3t\N{LATIN SMALL LETTER E WITH ACUTE}"),
        token("s3cr3t with spaces"),
        token("s3cr3t" * 5000),
        token(""),
        token(expires_in="3600"),
        token(expires_in=None),
        reply(b'{"access_token": 5}', JSON),
        reply(b'{"access_token": ["s3cr3t"]}', JSON),
        reply(b'{"access_token": "s3cr3t", "expires_in": ' + b"9" * 5000 + b"}", JSON),
        reply(b'["s3cr3t"]', JSON),
        reply(b"s3cr3t", JSON),
        reply(b"s3cr3t", JSON, status="400 Bad"),
        reply(b'{"error": {"message": "s3cr3t"}}', JSON, status="400 Bad"),
        reply(b'{"error_description": "s3cr3t"}', JSON, status="403 Forbidden"),
        reply(b"<html>s3cr3t", status="404 Not Found"),
        reply(b"", status="204 No Content"),
    ],
)
async def test_a_garbled_answer_is_tried_again_and_not_shown(make: Make, answer: bytes) -> None:
    async with serve(wire.say(answer)) as server:
        error = await refusal(make(server.url))
    assert isinstance(error, UpstreamError)
    assert (error.verdict.action, error.verdict.reason) == (Action.RETRY, "bad_token_answer")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("401 Unauthorized", "unauthorized_client", UpstreamError),
        ("403 Forbidden", "access_denied", UpstreamError),
        ("400 Bad Request", "invalid_scope", UpstreamError),
        ("400 Bad Request", "invalid_grant", CredentialError),
        ("401 Unauthorized", "invalid_client", CredentialError),
        ("400 Bad Request", "s3cr3t", CredentialError),
    ],
)
async def test_refusals_by_their_code(
    make: Make, status: str, code: str, kind: type[SyncdError]
) -> None:
    body = json.dumps({"error": code, "error_description": "s3cr3t"}).encode()
    async with serve(wire.say(reply(body, JSON, status=status))) as server:
        error = await refusal(make(server.url))
    assert type(error) is kind


async def test_a_caller_who_gives_up_does_not_take_the_others_along(make: Make) -> None:
    async with serve(wire.say_in_turn(token())) as server:
        bearer = make(server.url)
        waiting = [asyncio.create_task(bearer.header(USERS)) for _ in range(5)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        headers = await asyncio.gather(*waiting[1:])
    assert all(header.reveal() == "Bearer s3cr3t" for header in headers)


async def test_no_object_shows_a_secret(demo: DemoServer, make: Make) -> None:
    bearer = make(demo.url)
    header = await bearer.header(USERS)
    key = read_key_file(Secret(json.dumps(demo.key_file())))
    shown = [repr(thing) for thing in (bearer, vars(bearer), header, key, signer(key))]
    shown += [str(key), str(list(key.__rich_repr__())), f"{header}"]
    text = "\n".join(shown)
    assert "PRIVATE" not in text
    assert header.reveal().removeprefix("Bearer ") not in text
    assert demo.key_file()["private_key"][40:80] not in text
