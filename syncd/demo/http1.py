"""The little of HTTP/1.1 that the demo server needs: requests in, replies out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

JSON = "application/json; charset=UTF-8"
HTML = "text/html; charset=UTF-8"
MAX_HEAD = 64 * 1024
MAX_BODY = 1024 * 1024
_GZIP_FROM = 1024
_GZIP_WBITS = 31


class BadRequestError(Exception):
    """The bytes received are not a request; `status` is the answer."""

    def __init__(self, status: int) -> None:
        """Keep the status."""
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Request:
    """One request; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    keep_alive: bool = True

    @property
    def path(self) -> str:
        """The target without the query, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def segments(self) -> list[str]:
        """The decoded parts of the path."""
        path = self.path
        if "%" not in path:
            return path.split("/")[1:]
        return [unquote(part) for part in path.split("/")[1:]]

    @property
    def query(self) -> dict[str, str]:
        """The query; of a name given twice the last value counts."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def takes_gzip(self) -> bool:
        """Tell whether the client accepts gzip."""
        return "gzip" in self.headers.get("accept-encoding", "")


@dataclass(slots=True)
class StoredBody:
    """A body that is sent more than once; it is compressed when first needed so."""

    body: bytes
    _packed: bytes | None = None

    def packed(self) -> bytes:
        """Return the body in gzip."""
        if self._packed is None:
            self._packed = gzip(self.body)
        return self._packed


@dataclass(slots=True)
class Reply:
    """One reply before it is put on the wire."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    close: bool = False
    stored: StoredBody | None = None
    """Where `body` is kept, if it is."""


def split_head(data: bytearray) -> tuple[Request, int, int] | None:
    """Parse a request's head from `data`.

    Returns the request without its body, the length of the head and that of the body in bytes;
    None if the head is not complete. Raises BadRequestError.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > MAX_HEAD:
            raise BadRequestError(431)
        return None
    lines = data[:end].decode("latin-1").split("\r\n")
    try:
        method, target, version = lines[0].split(" ")
    except ValueError:
        raise BadRequestError(400) from None
    if not target.startswith("/") or not version.startswith("HTTP/1."):
        raise BadRequestError(400)
    headers = _headers(lines)
    wish = headers.get("connection", "").lower()
    keep = wish != "close" if version == "HTTP/1.1" else wish == "keep-alive"
    request = Request(method, target, headers, keep_alive=keep)
    return request, end + 4, _body_length(headers)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError(400)
        headers[name.lower()] = value.strip()
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise BadRequestError(501)
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadRequestError(400)
    length = int(text)
    if length > MAX_BODY:
        raise BadRequestError(413)
    return length


def gzip(body: bytes) -> bytes:
    """Return `body` compressed, quickly rather than well."""
    packer = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WBITS)
    return packer.compress(body) + packer.flush()


def pack(request: Request, reply: Reply, *, allowed: bool) -> bool:
    """Compress the reply's body if that is `allowed`, wished and worth it; tell whether."""
    if not allowed or len(reply.body) < _GZIP_FROM or not request.takes_gzip:
        return False
    reply.body = gzip(reply.body) if reply.stored is None else reply.stored.packed()
    reply.stored = None
    reply.headers.append(("Content-Encoding", "gzip"))
    return True


def head(reply: Reply, *, length: int | None, keep_alive: bool) -> bytes:
    """Return the head of `reply`; `length` None means a chunked body."""
    lines = [f"HTTP/1.1 {reply.status} {_reason(reply.status)}"]
    lines.append(f"Content-Type: {reply.content_type}")
    if length is None:
        lines.append("Transfer-Encoding: chunked")
    else:
        lines.append(f"Content-Length: {length}")
    lines.extend(f"{name}: {value}" for name, value in reply.headers)
    if not keep_alive:
        lines.append("Connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk; no data ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
