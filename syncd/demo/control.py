"""Control of a demo server in another process: paths below /_demo/."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from syncd.demo import http1
from syncd.demo.connection import Connection
from syncd.demo.directory import Directory
from syncd.demo.faults import FaultPlan
from syncd.demo.http1 import Reply, Request

if TYPE_CHECKING:
    from syncd.demo.server import DemoServer

PREFIX = "/_demo/"
_LINES = 500


def answer(server: DemoServer, request: Request) -> Reply:
    """Return the reply to a control request other than for the truth."""
    action = _ACTIONS.get((request.method, request.path.removeprefix(PREFIX)))
    if action is None:
        return _json(404, {"error": "no such control"})
    try:
        return _json(200, action(server, request))
    except (ValueError, TypeError, AttributeError) as error:
        return _json(400, {"error": str(error)})


def _epoch(server: DemoServer, request: Request) -> dict[str, Any]:
    """Let the directory move to another epoch."""
    epoch = json.loads(request.body or b"{}").get("epoch")
    if not isinstance(epoch, int) or isinstance(epoch, bool):
        msg = 'expected {"epoch": number}'
        raise TypeError(msg)
    server.directory = server.directory.at(epoch)
    return {"epoch": epoch}


def _faults(server: DemoServer, request: Request) -> dict[str, Any]:
    """Replace the plan of faults; {} means none."""
    server.faults = FaultPlan.from_json(json.loads(request.body or b"{}"))
    return {"rules": len(server.faults.rules)}


def _stats(server: DemoServer, _: Request) -> dict[str, Any]:
    """Tell what was counted."""
    return server.stats.to_json() | {"faults": server.faults.hits}


def _reset_stats(server: DemoServer, _: Request) -> dict[str, Any]:
    """Begin to count anew."""
    server.stats.reset()
    return {}


_ACTIONS: dict[tuple[str, str], Callable[[DemoServer, Request], dict[str, Any]]] = {
    ("POST", "epoch"): _epoch,
    ("POST", "faults"): _faults,
    ("GET", "stats"): _stats,
    ("POST", "reset_stats"): _reset_stats,
}


def is_truth(request: Request) -> bool:
    """Tell whether `request` asks for the truth."""
    return request.method == "GET" and request.path == PREFIX + "truth"


async def tell_truth(directory: Directory, connection: Connection, request: Request) -> None:
    """Send the rows of one entity, one JSON array in a line."""
    rows = _rows(directory, request.query)
    if rows is None:
        reply = _json(400, {"error": "entity must be users, tokens, groups, members or deleted"})
        connection.reply(reply, keep_alive=request.keep_alive)
        return
    reply = Reply(200, content_type="application/x-ndjson")
    await connection.send(http1.head(reply, length=None, keep_alive=request.keep_alive))
    for block in _blocks(rows):
        await connection.send(http1.chunk(block))
    await connection.send(http1.chunk(b""))
    connection.finish(keep_alive=request.keep_alive)


def _rows(directory: Directory, query: dict[str, str]) -> Iterable[tuple[Any, ...]] | None:
    entity = query.get("entity")
    if entity == "tokens":
        return directory.iter_tokens(readable_only=query.get("readable") in ("1", "true"))
    readers: dict[str | None, Callable[[], Iterable[tuple[Any, ...]]]] = {
        "users": directory.iter_users,
        "groups": directory.iter_groups,
        "members": directory.iter_members,
        "deleted": directory.iter_deleted_users,
    }
    reader = readers.get(entity)
    return None if reader is None else reader()


def _blocks(rows: Iterable[tuple[Any, ...]]) -> Iterator[bytes]:
    encode = msgspec.json.Encoder().encode_lines
    source = iter(rows)
    while block := list(islice(source, _LINES)):
        yield encode(block)


def _json(status: int, value: dict[str, Any]) -> Reply:
    return Reply(status, json.dumps(value).encode())
