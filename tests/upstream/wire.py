"""A server on loopback that says exactly the bytes it was told to, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Play = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""What is done once a request has been read."""


@dataclass
class Wire:
    """What a server was sent."""

    url: str = ""
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """A request has come."""

    @property
    def targets(self) -> list[str]:
        """The second word of each request line."""
        return [request.split(b" ", 2)[1].decode("ascii") for request in self.requests]


def reply(
    body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None
) -> bytes:
    """A whole response; ``length`` is what Content-Length says instead of the truth."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_GZIP = CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def say(data: bytes) -> Play:
    """Answer with these bytes and keep the connection."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return play


def say_in_turn(*answers: bytes) -> Play:
    """Answer the first request with the first, and so on; the last one again and again."""
    left = list(answers)

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()

    return play


def say_and_close(data: bytes) -> Play:
    """Answer with these bytes and close the connection."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return play


def say_and_reset(data: bytes) -> Play:
    """Answer with these bytes, give them time to go out, and reset the connection."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if data:
            await asyncio.sleep(0.02)
        reset(writer)

    return play


def say_forever(head: bytes, again: bytes, pause: float = 0.0) -> Play:
    """Answer with a head, and then with the same bytes until the other side has enough."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause)

    return play


async def hang(writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection so that the other side sees a reset."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


@contextlib.asynccontextmanager
async def serve(
    play: Play, *, tls: ssl.SSLContext | None = None, greeting: bytes = b""
) -> AsyncIterator[Wire]:
    """Play the same to each request; with a greeting, say only that and close."""
    wire = Wire()
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        gone = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError)
        try:
            with contextlib.suppress(*gone):
                if greeting:
                    await say_and_close(greeting)(writer)
                while not writer.is_closing():
                    wire.requests.append(await _read_request(reader))
                    wire.asked.set()
                    await play(writer)
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(*gone):
                await writer.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(handle(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    scheme = "https" if tls else "http"
    wire.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield wire
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
