"""The HTTP client against real sockets that do everything wrong; on httpx2 and on httpx."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
import zlib
from typing import Any

import pytest

from syncd.errors import Action, UpstreamError
from syncd.upstream.client import USER_AGENT, is_loopback
from tests.upstream import wire
from tests.upstream.clocks import everything_said
from tests.upstream.wire import CHUNKED, CHUNKED_GZIP, chunk, reply, serve

SECRET = {"Authorization": "Bearer s3cr3t"}
GZIP = "Content-Encoding: gzip"


async def get(library: Any, url: str, **options: Any) -> Any:
    """One GET; fails the test if it takes for ever, whatever the client's own deadline."""
    options = {"timeout": 20.0, **options}
    async with asyncio.timeout(60), library.HttpClient(url, **options) as client:
        return await client.get("/x", (("a", "1"),), SECRET)


async def failure(library: Any, url: str, **options: Any) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await get(library, url, **options)
    assert "s3cr3t" not in everything_said(caught.value)
    return caught.value


async def test_a_whole_exchange(library: Any) -> None:
    async with serve(wire.say(reply(b"hello", "X-Some: Thing"))) as server:
        answer = await get(library, server.url)
    assert (answer.status, answer.body, answer.headers["x-some"]) == (200, b"hello", "Thing")
    (request,) = server.requests
    head = request.decode()
    assert head.startswith("GET /x?a=1 HTTP/1.1\r\n")
    for line in (f"User-Agent: {USER_AGENT}", "Accept-Encoding: gzip", "Authorization: Bearer"):
        assert f"\r\n{line}" in head


async def test_a_form_goes_to_an_absolute_address(library: Any) -> None:
    async with serve(wire.say(reply(b"{}"))) as server:
        async with library.HttpClient("http://127.0.0.1:1") as client:
            await client.post_form(f"{server.url}/token", {"a": "x y", "b": "1"})
        (request,) = server.requests
    assert request.startswith(b"POST /token HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/x-www-form-urlencoded\r\n" in request
    assert request.endswith(b"\r\n\r\na=x+y&b=1")


async def test_a_connection_is_used_again(library: Any) -> None:
    async with (
        serve(wire.say(reply(b"{}"))) as server,
        library.HttpClient(server.url) as client,
    ):
        for _ in range(5):
            await client.get("/")
        assert server.connections == 1


async def test_every_status_is_returned(library: Any) -> None:
    for status in ("204 No Content", "404 Not Found", "503 Down"):
        async with serve(wire.say(reply(b"", status=status))) as server:
            answer = await get(library, server.url)
        assert answer.status == int(status[:3])


async def test_a_refused_connection(library: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        error = await failure(library, url)
    assert (error.verdict.action, error.verdict.reason) == (Action.RETRY, "connect_failed")
    assert "Connection refused" in str(error)


async def test_a_name_that_does_not_resolve(library: Any) -> None:
    error = await failure(library, "http://no-such-host.invalid", timeout=10.0)
    assert error.verdict.action is Action.RETRY
    # A resolver that cannot be reached makes it a time-out.
    assert error.verdict.reason in {"connect_failed", "connect_timeout", "timeout"}


async def test_a_name_that_can_be_none(library: Any) -> None:
    error = await failure(library, f"http://{'x' * 64}.invalid", timeout=10.0)
    assert error.verdict.action in {Action.RETRY, Action.UNREADABLE}


WHOLE = reply(b"x" * 1000)


@pytest.mark.parametrize(
    ("play", "reasons"),
    [
        (wire.say_and_reset(b""), {"connection_lost", "bad_http"}),
        (wire.say_and_reset(WHOLE[:-500]), {"connection_lost", "bad_http"}),
        (wire.say_and_close(b""), {"bad_http"}),
        (wire.say_and_close(WHOLE[:20]), {"bad_http"}),
        (wire.say_and_close(WHOLE[:-500]), {"bad_http"}),
        (wire.say_and_close(CHUNKED + chunk(b"x" * 10)), {"bad_http"}),
        (wire.say_and_close(CHUNKED + chunk(b"x" * 10)[:-5]), {"bad_http"}),
        (wire.say_and_close(CHUNKED + b"zz\r\nx"), {"bad_http"}),
        (wire.say_and_close(b"SSH-2.0-OpenSSH_9\r\n\r\n"), {"bad_http"}),
        (wire.say_and_close(b"HTTP/1.1 200 OK\r\nX: " + b"y" * (1 << 20)), {"bad_http"}),
        (wire.say_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), {"bad_http"}),
    ],
    ids=[
        "reset-before",
        "reset-amid",
        "closed-before",
        "head-cut",
        "content-length-cut",
        "chunks-cut",
        "chunk-cut",
        "chunk-garbled",
        "not-http",
        "endless-head",
        "length-negative",
    ],
)
async def test_an_exchange_that_breaks(library: Any, play: wire.Play, reasons: set[str]) -> None:
    async with serve(play) as server:
        error = await failure(library, server.url)
    assert error.verdict.action is Action.RETRY
    assert error.verdict.reason in reasons
    assert "OpenSSH" not in everything_said(error)


@pytest.mark.parametrize(
    "play",
    [
        wire.hang,
        wire.say_forever(reply(b"", length=1000), b"x", pause=0.02),
        wire.say_forever(CHUNKED, chunk(b"x"), pause=0.02),
    ],
    ids=["no-answer", "trickle", "trickle-chunked"],
)
async def test_the_deadline_is_for_the_whole_exchange(library: Any, play: wire.Play) -> None:
    async with serve(play) as server:
        error = await failure(library, server.url, timeout=0.2)
    assert (error.verdict.action, error.verdict.reason) == (Action.RETRY, "timeout")


async def test_a_client_can_be_used_after_a_failure(library: Any) -> None:
    good = wire.say(reply(b"good"))
    turn = 0

    async def play(writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        turn += 1
        await (wire.hang(writer) if turn <= 3 else good(writer))

    async with serve(play) as server, library.HttpClient(server.url, timeout=0.2) as client:
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await client.get("/")
        async with library.HttpClient(server.url) as patient:
            assert (await patient.get("/")).body == b"good"


async def test_a_cancelled_request_leaves_no_connection_behind(library: Any) -> None:
    async with serve(wire.hang) as server, library.HttpClient(server.url) as client:
        task = asyncio.create_task(client.get("/"))
        await server.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


BOUND = 100_000


@pytest.mark.parametrize(
    "play",
    [
        wire.say_forever(reply(b"", length=1 << 40), b"x" * 65536),
        wire.say_forever(CHUNKED, chunk(b"x" * 65536)),
        wire.say_forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        wire.say_forever(
            CHUNKED_GZIP + chunk(gzip.compress(b"")[:10]), chunk(b"\0\0\0\xff\xff" * 9999)
        ),
        wire.say(reply(b"x" * (BOUND + 1))),
        wire.say(reply(gzip.compress(b"x" * (BOUND + 1)), GZIP)),
    ],
    ids=[
        "declared",
        "endless-chunks",
        "endless",
        "endless-empty-blocks",
        "one-more",
        "one-more-gzip",
    ],
)
async def test_a_body_over_the_bound(library: Any, play: wire.Play) -> None:
    async with serve(play) as server:
        error = await failure(library, server.url, max_bytes=BOUND)
    verdict = error.verdict
    assert (verdict.action, verdict.reason) == (Action.UNREADABLE, "body_too_large")
    assert "max_response_bytes" in verdict.hint


@pytest.mark.parametrize("headers", [(), (GZIP,)], ids=["plain", "gzip"])
async def test_a_body_of_just_the_bound(library: Any, headers: tuple[str, ...]) -> None:
    body = b"x" * BOUND
    async with serve(wire.say(reply(gzip.compress(body) if headers else body, *headers))) as server:
        assert (await get(library, server.url, max_bytes=BOUND)).body == body


async def test_a_packed_body(library: Any) -> None:
    body = b'{"kind": "x"}' * 1000
    packed = gzip.compress(body)
    pieces = b"".join(chunk(packed[i : i + 1]) for i in range(len(packed)))
    for answer in (
        reply(packed, GZIP),
        reply(packed, "Content-Encoding:  GZIP "),
        CHUNKED_GZIP + pieces + chunk(b""),
        reply(body, "Content-Encoding: identity"),
    ):
        async with serve(wire.say(answer)) as server:
            assert (await get(library, server.url)).body == body


PACKED = gzip.compress(bytes(range(256)) * 50, mtime=0)
RANDOM = gzip.compress(b"".join(zlib.crc32(bytes([i])).to_bytes(4, "big") for i in range(200)))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (PACKED[:-1], "truncated_body"),
        (PACKED[:30], "truncated_body"),
        (PACKED[:5], "truncated_body"),
        (b"{}", "bad_encoding"),
        (b"{} no gzip at all", "bad_encoding"),
        (RANDOM[:20] + b"\xff" * 20 + RANDOM[40:], "bad_encoding"),
        (PACKED[:-8] + b"\0" * 8, "bad_encoding"),
        (PACKED + b"more", "bad_encoding"),
        (PACKED + PACKED, "bad_encoding"),
        (zlib.compress(b"x"), "bad_encoding"),
    ],
    ids=[
        "last-byte-missing",
        "cut",
        "cut-in-head",
        "short-text",
        "text",
        "garbled",
        "wrong-checksum",
        "text-behind",
        "another-behind",
        "zlib",
    ],
)
async def test_a_packed_body_that_is_damaged(library: Any, body: bytes, reason: str) -> None:
    async with serve(wire.say(reply(body, GZIP))) as server:
        error = await failure(library, server.url)
    assert (error.verdict.action, error.verdict.reason) == (Action.RETRY, reason)


async def test_nothing_piles_up_behind_a_packed_body(library: Any) -> None:
    play = wire.say_forever(CHUNKED_GZIP + chunk(PACKED), chunk(b"x" * 65536))
    async with serve(play) as server:
        error = await failure(library, server.url)
    assert error.verdict.reason == "bad_encoding"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd", "x"])
async def test_an_encoding_that_was_not_asked_for(library: Any, encoding: str) -> None:
    async with serve(wire.say(reply(b"xxxx", f"Content-Encoding: {encoding}"))) as server:
        error = await failure(library, server.url)
    assert (error.verdict.action, error.verdict.reason) == (Action.RETRY, "unknown_encoding")


def _zeros(count: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(1 << 20)
    parts = [packer.compress(block) for _ in range(count >> 20)]
    return b"".join([*parts, packer.flush()])


@pytest.fixture(scope="session")
def bomb() -> bytes:
    return _zeros(128 << 20)


async def _peak(library: Any, url: str, **options: Any) -> int:
    tracemalloc.start()
    try:
        await failure(library, url, **options)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_a_bomb_stays_small(library: Any, bomb: bytes) -> None:
    assert len(bomb) < 200_000
    async with serve(wire.say(reply(bomb, GZIP))) as server:
        assert await _peak(library, server.url, max_bytes=1 << 20) < 6 << 20


async def test_an_endless_body_stays_small(library: Any) -> None:
    async with serve(wire.say_forever(CHUNKED, chunk(b"x" * 65536))) as server:
        assert await _peak(library, server.url, max_bytes=1 << 20) < 6 << 20


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "308 Moved"])
async def test_a_redirect_is_not_followed(library: Any, status: str) -> None:
    async with serve(wire.say(reply(b"{}"))) as other:
        location = f"Location: {other.url}/steal"
        async with serve(wire.say(reply(b"", location, status=status))) as server:
            assert (await get(library, server.url)).status == int(status[:3])
            assert len(server.requests) == 1
        assert (other.connections, other.requests) == (0, [])


@pytest.mark.parametrize("location", ["http://[", "gopher://x", "//", "http://x:99999999/", "\xff"])
async def test_a_redirect_to_nowhere(library: Any, location: str) -> None:
    answer = reply(b"", f"Location: {location}", status="302 Found")
    async with serve(wire.say(answer)) as server:
        try:
            assert (await get(library, server.url)).status == 302
        except UpstreamError as error:
            assert error.verdict.action is Action.RETRY  # noqa: PT017  either will do


async def test_cookies_are_not_kept(library: Any) -> None:
    async with (
        serve(wire.say(reply(b"{}", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2"))) as server,
        library.HttpClient(server.url) as client,
    ):
        for _ in range(3):
            await client.get("/")
        assert not any(b"cookie" in request.lower() for request in server.requests)


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ((("pageToken", "x" * 100_000),), {}),
        ((("pageToken", "\ud800"),), {}),
        ((), {"Authorization": "Bearer s3cr3t\N{LATIN SMALL LETTER E WITH ACUTE}"}),
        ((), {"Authorization": "Bearer s3cr3t\r\nX-Evil: 1"}),
    ],
    ids=["long", "surrogate", "not-ascii", "line-end"],
)
async def test_what_cannot_be_sent_is_said_without_its_text(
    library: Any, params: tuple[tuple[str, str], ...], headers: dict[str, str]
) -> None:
    async with serve(wire.say(reply(b"{}"))) as server:
        async with library.HttpClient(server.url) as client:
            with pytest.raises(UpstreamError) as caught:
                await client.get("/", params, headers)
        assert not server.requests
    assert "s3cr3t" not in everything_said(caught.value)


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def set_proxies(monkeypatch: pytest.MonkeyPatch) -> Any:
    def set_to(url: str) -> None:
        for name in PROXIES:
            monkeypatch.setenv(name, url)

    return set_to


async def test_proxies_are_not_used_on_the_way_to_this_machine(
    library: Any, set_proxies: Any
) -> None:
    async with (
        serve(wire.say(reply(b"proxy"))) as proxy,
        serve(wire.say(reply(b"direct"))) as server,
    ):
        set_proxies(proxy.url)
        for host in ("127.0.0.1", "localhost"):
            url = server.url.replace("127.0.0.1", host)
            assert (await get(library, url)).body == b"direct"
        assert proxy.connections == 0


async def test_proxies_are_used_on_the_way_to_others(library: Any, set_proxies: Any) -> None:
    async with serve(wire.say(reply(b"proxy"))) as proxy:
        set_proxies(proxy.url)
        assert (await get(library, "http://directory.invalid")).body == b"proxy"
        assert proxy.targets == ["http://directory.invalid/x?a=1"]


async def test_a_proxy_that_is_not_there(library: Any, set_proxies: Any) -> None:
    set_proxies("http://127.0.0.1:1")
    error = await failure(library, "https://directory.invalid")
    assert error.verdict.action is Action.RETRY


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80/x", True),
        ("https://localhost", True),
        ("http://LOCALHOST", True),
        ("http://[::1]:8", True),
        ("http://127.8.9.10", True),
        ("https://admin.googleapis.com", False),
        ("https://localhost.example", False),
        ("https://127.0.0.1.example", False),
        ("https://127.0.0.1@example.com", False),
        ("https://example.com/127.0.0.1", False),
        ("https://10.0.0.1", False),
        ("http://[", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_is_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected
