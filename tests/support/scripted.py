"""A directory that answers whatever a test wants: for what no honest server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from syncd.demo import key_file

Answer = tuple[int, dict[str, Any]]
Script = Callable[[str, dict[str, str]], Answer | None]
"""From a path below /admin/directory/v1 and its query to an answer; None for the usual one."""

GONE: Answer = (404, {"error": {"code": 404, "errors": [{"reason": "notFound"}]}})
DENIED: Answer = (401, {"error": {"code": 401, "errors": [{"reason": "authError"}]}})


class Scripted:
    """Users, tokens and groups in memory; ``script`` answers before them."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, list[dict[str, Any]]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        self.members: dict[str, list[dict[str, Any]]] = {}
        self.script: Script = lambda _path, _query: None
        self.asked: list[str] = []
        self._server: asyncio.Server | None = None
        self.url = ""

    def user(self, id: str, **more: Any) -> None:
        self.users[id] = {"id": id, "primaryEmail": f"{id}@x.example", "customerId": "C1", **more}

    def token(self, user: str, client: str, name: str = "", *scopes: str) -> None:
        token = {"clientId": client, "displayText": name or client, "scopes": [*scopes]}
        self.tokens.setdefault(user, []).append(token)

    def group(self, id: str, *members: dict[str, Any]) -> None:
        self.groups[id] = {"id": id, "email": f"{id}@x.example", "name": id}
        self.members[id] = list(members)

    def key_file(self) -> dict[str, Any]:
        return key_file(self.url)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                length = 0
                while (header := await reader.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                await reader.readexactly(length)
                status, body = self._answer(line.split()[1].decode())
                data = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % (status, len(data)) + data
                )
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _answer(self, target: str) -> Answer:
        if target == "/token":
            return 200, {"access_token": "a", "expires_in": 3600}
        parts = urlsplit(target)
        path = parts.path.removeprefix("/admin/directory/v1")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(path)
        return self.script(path, query) or self._usual(unquote(path), query)

    def _usual(self, path: str, query: dict[str, str]) -> Answer:
        kind, *rest = path.strip("/").split("/")
        if not rest and kind == "users":
            deleted = query.get("showDeleted") == "true"
            users = [] if deleted else list(self.users.values())[: int(query["maxResults"])]
            return 200, {"kind": "admin#directory#users", "users": users}
        if not rest:
            return 200, {"kind": "admin#directory#groups", "groups": list(self.groups.values())}
        known = self.users if kind == "users" else self.groups
        if rest[0] not in known:
            return GONE
        if len(rest) == 1:
            return 200, {"kind": f"admin#directory#{kind[:-1]}", **known[rest[0]]}
        if kind == "users":
            items = self.tokens.get(rest[0], [])
            return 200, {"kind": "admin#directory#tokenList", "items": items}
        members = self.members[rest[0]]
        if len(rest) == 2:
            return 200, {"kind": "admin#directory#members", "members": members}
        return next(((200, member) for member in members if member["id"] == rest[2]), GONE)
