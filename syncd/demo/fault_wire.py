"""Faults of the connection: replies that are cut, trickle, never end or never come."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator

from syncd.demo import http1
from syncd.demo.connection import Connection
from syncd.demo.faults import Hit
from syncd.demo.http1 import Reply, Request

_GIB = float(1024**3)
_BLOCK = 256 * 1024
_FLUSH = 0.02
"""Seconds for the kernel to send what was written before the connection breaks."""

Play = Callable[[Connection, Request, Reply | None, Hit], Awaitable[None]]


async def _reset_before(connection: Connection, _: Request, __: Reply | None, ___: Hit) -> None:
    connection.reset()


async def _reset_inside(
    connection: Connection, request: Request, reply: Reply | None, _: Hit
) -> None:
    head, body = _whole(request, reply)
    await connection.send(head + body[: len(body) // 2])
    await asyncio.sleep(_FLUSH)
    connection.reset()


async def _truncate(connection: Connection, request: Request, reply: Reply | None, _: Hit) -> None:
    head, body = _whole(request, reply)
    await connection.send(head + body[: len(body) // 2])
    connection.close()


async def _trickle(connection: Connection, request: Request, reply: Reply | None, hit: Hit) -> None:
    head, body = _whole(request, reply)
    await connection.send(head)
    seconds = hit.rule.number("seconds", 10)
    steps = max(1, min(len(body), 50, int(seconds / 0.02)))
    size = -(-len(body) // steps)
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / steps)
        await connection.send(body[start : start + size])
    connection.finish(keep_alive=request.keep_alive)


async def _endless(connection: Connection, request: Request, _: Reply | None, hit: Hit) -> None:
    left = int(hit.rule.number("bytes", _GIB))
    await connection.send(http1.head(Reply(200), length=None, keep_alive=request.keep_alive))
    await connection.send(http1.chunk(b'{"kind":"'))
    block = b"x" * _BLOCK
    while left > 0:
        await connection.send(http1.chunk(block[:left]))
        left -= _BLOCK
    await connection.send(http1.chunk(b'"}') + http1.chunk(b""))
    connection.finish(keep_alive=request.keep_alive)


async def _bomb(connection: Connection, request: Request, _: Reply | None, hit: Hit) -> None:
    reply = Reply(200, headers=[("Content-Encoding", "gzip")])
    await connection.send(http1.head(reply, length=None, keep_alive=request.keep_alive))
    for block in _zeros(int(hit.rule.number("bytes", _GIB))):
        await connection.send(http1.chunk(block))
    await connection.send(http1.chunk(b""))
    connection.finish(keep_alive=request.keep_alive)


def _zeros(count: int) -> Iterator[bytes]:
    """Yield a gzip stream of `count` zeros, block by block."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = bytes(_BLOCK)
    while count > 0:
        data = packer.compress(block[:count])
        count -= _BLOCK
        if data:
            yield data
    yield packer.flush()


async def _hang(connection: Connection, _: Request, __: Reply | None, ___: Hit) -> None:
    await connection.lost.wait()


def _whole(request: Request, reply: Reply | None) -> tuple[bytes, bytes]:
    whole = reply or Reply(200, b"{}")
    head = http1.head(whole, length=len(whole.body), keep_alive=request.keep_alive)
    return head, whole.body


PLAYS: dict[str, Play] = {
    "reset_before": _reset_before,
    "reset_mid_body": _reset_inside,
    "truncated_body": _truncate,
    "slow_body": _trickle,
    "huge_body": _endless,
    "gzip_bomb": _bomb,
    "hang": _hang,
}
"""Fault name -> how the reply is played on the connection."""

NEEDS_REPLY = frozenset({"reset_mid_body", "truncated_body", "slow_body"})
"""The faults that need the proper reply to spoil it."""
