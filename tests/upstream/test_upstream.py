"""One request through everything: quota, waits, the access token, the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from syncd.errors import Action, CredentialError, UpstreamError, Verdict
from syncd.governor.governor import Gate
from syncd.host.secrets import Secret
from syncd.upstream.client import HttpClient, Request, Response
from syncd.upstream.limits import RateLimiter
from syncd.upstream.upstream import Upstream
from syncd.upstream.verdicts import base_verdict
from tests.upstream import wire
from tests.upstream.clocks import VirtualClock, everything_said
from tests.upstream.wire import reply, serve

ASK = Request("/x", grant="scope", about="the users")


class Keys:
    """An Auth that counts."""

    def __init__(self, *failures: Exception, renews: bool = False) -> None:
        self.failures = list(failures)
        self.renews = renews
        self.refusals = 0

    async def header(self, grant: str) -> Secret:
        if self.failures:
            raise self.failures.pop(0)
        return Secret("Bearer s3cr3t")

    def refused(self, grant: str, header: Secret) -> bool:
        self.refusals += 1
        return self.renews


def classify(request: Request, response: Response) -> Verdict:
    return base_verdict(response, 0.0)


@asynccontextmanager
async def upstream(
    url: str, clock: VirtualClock, auth: Keys | None = None, quota: int = 1_000_000
) -> AsyncIterator[Upstream]:
    async with HttpClient(url, timeout=20.0) as client:
        limiter = RateLimiter(quota, clock)
        yield Upstream(client, auth or Keys(), classify, quota=limiter, clock=clock)


async def failure(up: Upstream) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await up.fetch(ASK, Gate("users", 1))
    assert "s3cr3t" not in everything_said(caught.value)
    assert "the users" in str(caught.value)
    return caught.value


async def test_an_answer() -> None:
    clock = VirtualClock()
    async with serve(wire.say(reply(b"{}"))) as server, upstream(server.url, clock) as up:
        answer = await up.fetch(ASK, Gate("users", 1))
    assert answer.body == b"{}"
    assert b"\r\nAuthorization: Bearer s3cr3t\r\n" in server.requests[0]
    assert up.traffic.requests == 1
    assert "s3cr3t" not in repr([answer, up, up.traffic])


async def test_a_body_is_never_repeated() -> None:
    echo = reply(b"s3cr3t", "X-Echo: s3cr3t", status="500 s3cr3t")
    async with serve(wire.say(echo)) as server, upstream(server.url, VirtualClock()) as up:
        assert (await failure(up)).verdict.reason == "http_500"


async def test_retry_after_holds_everybody_back() -> None:
    clock = VirtualClock()
    busy = reply(b"", "Retry-After: 30", status="429 Busy")
    async with (
        serve(wire.say_in_turn(busy, reply(b"{}"))) as server,
        upstream(server.url, clock) as up,
    ):
        assert (await failure(up)).verdict.after == 30.0
        assert up.waiting == "Retry-After, 30 s"
        before = clock.now
        await up.fetch(ASK, Gate("users", 1))
        assert clock.now - before >= 30.0
        assert up.waiting == ""


async def test_retry_after_at_the_token_endpoint_holds_everybody_back_too() -> None:
    clock = VirtualClock()
    auth = Keys(UpstreamError(Verdict(Action.RETRY, "rate_limited", 30.0), "busy"))
    async with serve(wire.say(reply(b"{}"))) as server, upstream(server.url, clock, auth) as up:
        await failure(up)
        before = clock.now
        await up.fetch(ASK, Gate("users", 1))
        assert clock.now - before >= 30.0


async def test_a_request_that_waits_for_its_place_heeds_a_wait_asked_for_meanwhile() -> None:
    class Busy(VirtualClock):
        """While the second request waits for its place, the first one brings a Retry-After."""

        async def sleep(self, seconds: float) -> None:
            if not self.slept:
                await asyncio.gather(first, return_exceptions=True)
            await super().sleep(seconds)

    clock = Busy()
    busy = reply(b"", "Retry-After: 300", status="503 Busy")
    async with (
        serve(wire.say_in_turn(busy, reply(b"{}"))) as server,
        upstream(server.url, clock, quota=10) as up,
    ):
        gate = Gate("users", 5)
        started = clock.now
        first = asyncio.create_task(up.fetch(ASK, gate))
        await asyncio.sleep(0)
        await up.fetch(ASK, gate)
        assert clock.now - started >= 300.0


async def test_a_refused_token_is_tried_again_at_once() -> None:
    denied = wire.say(reply(b"", status="401 No"))
    async with serve(denied) as server:
        async with upstream(server.url, VirtualClock(), Keys(renews=True)) as up:
            verdict = (await failure(up)).verdict
            assert (verdict.action, verdict.after) == (Action.RETRY, 0.0)
        async with upstream(server.url, VirtualClock(), Keys(renews=False)) as up:
            assert (await failure(up)).verdict.reason == "unauthorized"


async def test_a_refused_credential_goes_through() -> None:
    auth = Keys(CredentialError("refused"))
    async with upstream("http://127.0.0.1:1", VirtualClock(), auth) as up:
        with pytest.raises(CredentialError):
            await up.fetch(ASK, Gate("users", 1))
    assert up.traffic.requests == 0


async def test_a_failed_request_gives_its_place_back() -> None:
    gate = Gate("users", 1)
    async with (
        serve(wire.say_and_close(b"")) as server,
        upstream(server.url, VirtualClock()) as up,
    ):
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await up.fetch(ASK, gate)
    assert gate.in_flight == 0
    assert up.traffic.requests == 3


async def test_retries_are_counted_and_budgeted() -> None:
    clock = VirtualClock()
    async with upstream("http://127.0.0.1:1", clock) as up:
        for _ in range(30):
            await up.before_retry()
    assert up.traffic.retries == 30
    assert clock.now - 1000.0 >= 59.0
