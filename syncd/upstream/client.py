"""One HTTP exchange: bounded in time and size, no redirect followed, errors turned to verdicts."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

# httpx2 is the maintained continuation of httpx under the same API.
import httpx2 as httpx

from syncd import __version__
from syncd.errors import Action, UpstreamError, Verdict

USER_AGENT = f"syncd/{__version__}"

MOST_CONNECTIONS = 128
IDLE_CONNECTION = 30.0
"""Seconds after which an unused connection is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the provider."""

    path: str
    """Path below the base URL, every id in it percent-encoded."""
    params: tuple[tuple[str, str], ...] = ()
    grant: str = ""
    """The permission that it needs, in the provider's words."""
    about: str = ""
    """What it is for, in messages: ``tokens of user '123'``."""
    has_cursor: bool = False
    """It asks for a further page."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine itself."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HttpClient:
    """A connection pool to one place."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 120.0,
        max_bytes: int = 64 << 20,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """``timeout``: seconds for one whole exchange. ``max_bytes``: of a body, unpacked."""
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._max_bytes = max_bytes
        # Proxies of the environment are honoured, but never on the way to this machine itself.
        self._client = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(min(30.0, timeout), pool=None),
            limits=httpx.Limits(
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=MOST_CONNECTIONS,
                keepalive_expiry=IDLE_CONNECTION,
            ),
            follow_redirects=False,
            # A server's cookies are none of our business, and would pile up in memory.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            trust_env=not is_loopback(self.base_url),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(
        self, path: str, params: tuple[tuple[str, str], ...] = (), headers: Mapping[str, str] = {}
    ) -> Response:
        """GET a path below the base URL. Raises UpstreamError when there is no whole response."""
        return await self._exchange("GET", self.base_url + path, params, headers)

    async def post_form(self, url: str, form: Mapping[str, str]) -> Response:
        """POST a form to an absolute URL. Raises UpstreamError when there is no whole response."""
        return await self._exchange("POST", url, form=form)

    async def _exchange(
        self,
        method: str,
        url: str,
        params: tuple[tuple[str, str], ...] = (),
        headers: Mapping[str, str] = {},
        form: Mapping[str, str] | None = None,
    ) -> Response:
        # What the library says may repeat a header's value or the server's text, so that none of
        # its errors is kept in the chain of ours.
        try:
            request = self._client.build_request(
                method, url, params=params, headers=dict(headers), data=form
            )
        except (httpx.InvalidURL, UnicodeError):
            raise _unsendable() from None
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request, stream=True)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _failed("timeout", f"no answer within {self._timeout:g} s") from None
        except (httpx.TransportError, OSError) as error:
            raise _transport_failed(error) from None
        return Response(response.status_code, response.headers, body)

    async def _read(self, response: httpx.Response) -> bytes:
        """The body, unpacked, never more of it in memory than the bound allows."""
        packed = response.headers.get("content-encoding", "identity").strip().lower()
        if packed not in {"identity", "gzip", ""}:
            raise _failed("unknown_encoding", "a Content-Encoding that was not asked for")
        unpacker = zlib.decompressobj(wbits=31) if packed == "gzip" else None
        parts: list[bytes] = []
        room = packed_room = self._max_bytes
        async for chunk in response.aiter_raw():
            part = chunk if unpacker is None else _unpack(unpacker, chunk, room + 1)
            room -= len(part)
            packed_room -= len(chunk)
            if min(room, packed_room) < 0:
                raise UpstreamError(
                    Verdict(
                        Action.UNREADABLE,
                        "body_too_large",
                        hint="raise max_response_bytes if such an answer is to be expected",
                    ),
                    f"the response is larger than {self._max_bytes} bytes",
                )
            parts.append(part)
        if unpacker is not None and parts and not unpacker.eof:
            raise _failed("truncated_body", "the packed body ended too early")
        return b"".join(parts)


def _unpack(unpacker: zlib._Decompress, chunk: bytes, most: int) -> bytes:
    try:
        part = unpacker.decompress(chunk, most)
    except zlib.error:
        raise _failed("bad_encoding", "the packed body is damaged") from None
    if unpacker.unused_data:
        raise _failed("bad_encoding", "there is more behind the packed body")
    return part


def _failed(reason: str, what: str) -> UpstreamError:
    return UpstreamError(Verdict(Action.RETRY, reason), f"the request failed: {what}")


def _unsendable() -> UpstreamError:
    return UpstreamError(
        Verdict(Action.UNREADABLE, "unsendable"),
        "the request cannot be sent: its address is too long, or holds what no address can",
    )


_TRANSPORT_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (httpx.ConnectTimeout, "connect_timeout"),
    (httpx.TimeoutException, "timeout"),
    (httpx.ConnectError, "connect_failed"),
    (httpx.ProxyError, "proxy_failed"),
    (httpx.RemoteProtocolError, "bad_http"),
    (httpx.NetworkError, "connection_lost"),
)


def _transport_failed(error: Exception) -> UpstreamError:
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _certificate_refused(cause)
    system = (e for e in _chain(error) if isinstance(e, OSError) and e.errno is not None)
    detail = next((f" ({_in_words(e)})" for e in system), "")
    for kind, reason in _TRANSPORT_REASONS:
        if isinstance(error, kind):
            return _failed(reason, reason.replace("_", " ") + detail)
    return _failed("transport", type(error).__name__ + detail)


def _in_words(error: OSError) -> str:
    """What the system says; event loops put words of their own into ``strerror``."""
    if isinstance(error, ssl.SSLError | socket.gaierror):
        return error.strerror or type(error).__name__
    return os.strerror(error.errno or 0)


def _certificate_refused(error: ssl.SSLCertVerificationError) -> UpstreamError:
    verdict = Verdict(
        Action.STOP,
        "tls_certificate",
        hint="the server's certificate is not valid for this address; "
        "check base_url, the clock and the system's certificates",
    )
    why = getattr(error, "verify_message", "") or "it is not valid"
    return UpstreamError(verdict, f"the TLS certificate of the provider was refused: {why}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it came from, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
