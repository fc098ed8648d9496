"""Certificates that are not to be trusted."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import Action, UpstreamError
from tests.upstream import wire
from tests.upstream.certificates import Authority
from tests.upstream.clocks import everything_said
from tests.upstream.test_client import SECRET
from tests.upstream.wire import reply, serve

ANSWER = wire.say(reply(b"{}"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return Authority(folder)


async def get(library: Any, url: str, trusting: ssl.SSLContext | None = None) -> Any:
    transport = library.httpx.AsyncHTTPTransport(verify=trusting) if trusting else None
    async with library.HttpClient(url, timeout=20.0, transport=transport) as client:
        return await client.get("/", headers=SECRET)


async def test_a_good_certificate(library: Any, authority: Authority) -> None:
    async with serve(ANSWER, tls=authority.server()) as server:
        answer = await get(library, server.url, authority.trusting())
    assert answer.body == b"{}"


@pytest.mark.parametrize(
    ("host", "days_left", "trusted", "why"),
    [
        ("127.0.0.1", 2, False, "unable to get local issuer certificate"),
        ("127.0.0.1", -2, True, "certificate has expired"),
        ("127.0.0.9", 2, True, "IP address mismatch"),
        ("directory.example", 2, True, "IP address mismatch"),
    ],
    ids=["untrusted", "expired", "other-address", "other-host"],
)
async def test_a_bad_certificate_stops_the_organization(
    library: Any, authority: Authority, host: str, days_left: int, *, trusted: bool, why: str
) -> None:
    tls = authority.server(host, days_left=days_left)
    async with serve(ANSWER, tls=tls) as server:
        with pytest.raises(UpstreamError) as caught:
            await get(library, server.url, authority.trusting() if trusted else None)
        assert not server.requests
    verdict = caught.value.verdict
    assert (verdict.action, verdict.reason) == (Action.STOP, "tls_certificate")
    assert "base_url" in verdict.hint
    assert why in str(caught.value)
    assert "s3cr3t" not in everything_said(caught.value)


async def test_a_server_without_tls_is_tried_again(library: Any) -> None:
    async with serve(ANSWER, greeting=reply(b"", status="400 Bad")) as server:
        with pytest.raises(UpstreamError) as caught:
            await get(library, server.url.replace("http:", "https:"))
    assert caught.value.verdict.action is Action.RETRY
