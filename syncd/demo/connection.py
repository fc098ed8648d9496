"""One client's connection: requests are read one by one and answered in their order."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

from syncd.demo import http1
from syncd.demo.http1 import BadRequestError, Reply, Request

_PAUSE_FROM = http1.MAX_HEAD + http1.MAX_BODY
_NO_LINGER = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Reads requests and hands each one to `serve`, which must end in `finish` or a close."""

    def __init__(
        self, serve: Callable[[Connection, Request], None], members: set[Connection]
    ) -> None:
        """Join `members` for as long as the connection lasts."""
        self._serve = serve
        self._members = members
        self._data = bytearray()
        self._wanted = 0
        self._request: Request | None = None
        self._busy = False
        self._half_closed = False
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.lost = asyncio.Event()
        """Set when the connection is gone."""

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # type: ignore[assignment]
        self._members.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """End."""
        self._members.discard(self)
        self._transport = None
        self._writable.set()
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        """Take bytes; while a request is being answered they only pile up, to a limit."""
        self._data += data
        if not self._busy:
            self._next()
        elif len(self._data) > _PAUSE_FROM and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Keep writing when the client has said all it wants to say."""
        self._half_closed = True
        return self._busy

    def pause_writing(self) -> None:
        """Hold back: the client reads too slowly."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()

    # -- requests --------------------------------------------------------------------------

    def _next(self) -> None:
        """Serve the next request if all of it has arrived."""
        try:
            request = self._take()
        except BadRequestError as error:
            self.reply(Reply(error.status, b"", http1.HTML, close=True), keep_alive=False)
            return
        if request is not None:
            self._busy = True
            self._serve(self, request)

    def _take(self) -> Request | None:
        if self._request is None:
            found = http1.split_head(self._data)
            if found is None:
                return None
            self._request, head, self._wanted = found
            del self._data[:head]
        if len(self._data) < self._wanted:
            return None
        request, self._request = self._request, None
        request.body = bytes(self._data[: self._wanted])
        del self._data[: self._wanted]
        return request

    # -- replies ---------------------------------------------------------------------------

    def reply(self, reply: Reply, *, keep_alive: bool) -> None:
        """Write all of `reply` and go on with the next request."""
        keep_alive = keep_alive and not reply.close
        if self._transport is not None:
            head = http1.head(reply, length=len(reply.body), keep_alive=keep_alive)
            self._transport.write(head + reply.body)
        self.finish(keep_alive=keep_alive)

    def finish(self, *, keep_alive: bool) -> None:
        """End the answer to the present request."""
        self._busy = False
        if self._transport is None:
            return
        if not keep_alive or self._half_closed:
            self._transport.close()
            return
        self._transport.resume_reading()
        if self._data:
            # Not right now: a client that sends many requests at once must not nest calls.
            asyncio.get_running_loop().call_soon(self._resume)

    def _resume(self) -> None:
        if not self._busy and self._transport is not None:
            self._next()

    async def send(self, data: bytes) -> None:
        """Write `data` and wait while the client is too slow; ConnectionError if it is gone."""
        if self._transport is None:
            raise ConnectionResetError
        self._transport.write(data)
        await self._writable.wait()
        if self._transport is None:
            raise ConnectionResetError

    def close(self) -> None:
        """Close after sending what was written."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Break the connection at once; the client sees a reset."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
