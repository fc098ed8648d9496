"""A bare HTTP client of the demo server, to look at its bytes."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt

from syncd.demo import DemoServer

SCOPE = "https://www.googleapis.com/auth/"
ALL_SCOPES = " ".join(
    SCOPE + name
    for name in (
        "admin.directory.user.readonly",
        "admin.directory.user.security",
        "admin.directory.group.readonly",
    )
)
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class Answer:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Return the reason in an error body of the API."""
        return str(self.json()["error"]["errors"][0]["reason"])


@dataclass
class Client:
    """A client of one demo server; every request uses a connection of its own."""

    server: DemoServer
    token: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.server.port, limit=2**24)

    def raw(self, path: str, *, method: str = "GET", body: bytes = b"", **headers: str) -> bytes:
        """Return the bytes of a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: demo"]
        merged = self.headers | {name.replace("_", "-"): text for name, text in headers.items()}
        if self.token and "Authorization" not in merged:
            merged["Authorization"] = f"Bearer {self.token}"
        if body:
            merged["Content-Length"] = str(len(body))
        lines += [f"{name}: {text}" for name, text in merged.items() if text]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def request(
        self, path: str, *, method: str = "GET", body: bytes = b"", **headers: str
    ) -> Answer:
        """Send a request and read its answer."""
        reader, writer = await self.open()
        try:
            writer.write(self.raw(path, method=method, body=body, **headers))
            return await read_answer(reader)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def api(self, path: str, **parameters: str) -> Answer:
        """Get a path of the API."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        return await self.request(f"/admin/directory/v1/{path}{query}")

    async def pages(self, path: str, **parameters: str) -> list[dict[str, Any]]:
        """Get all pages of a list."""
        pages: list[dict[str, Any]] = []
        more = dict(parameters)
        while True:
            answer = await self.api(path, **more)
            assert answer.status == 200, answer.body
            pages.append(answer.json())
            if "nextPageToken" not in pages[-1]:
                return pages
            more["pageToken"] = pages[-1]["nextPageToken"]

    async def control(self, action: str, value: Any = None) -> Answer:
        """Call a control path; with a value by POST."""
        if value is None:
            return await self.request(f"/_demo/{action}")
        return await self.request(
            f"/_demo/{action}", method="POST", body=json.dumps(value).encode()
        )

    async def grant(self, assertion: str, grant_type: str = GRANT) -> Answer:
        """Ask for an access token."""
        form = urlencode({"grant_type": grant_type, "assertion": assertion}).encode()
        return await self.request("/token", method="POST", body=form)

    def assertion(self, **changes: Any) -> str:
        """Return a signed assertion; `changes` replace claims, None removes one."""
        keys = self.server.key_file()
        key = changes.pop("key", keys["private_key"])
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": keys["client_email"],
            "sub": self.server.directory.admin_email,
            "scope": ALL_SCOPES,
            "aud": keys["token_uri"],
            "iat": now,
            "exp": now + 3600,
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key, algorithm="RS256")

    async def log_in(self, **changes: Any) -> None:
        """Get an access token and use it from now on."""
        answer = await self.grant(self.assertion(**changes))
        assert answer.status == 200, answer.body
        self.token = answer.json()["access_token"]


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one answer; IncompleteReadError or ConnectionError if it is cut."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): text for name, _, text in fields}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await _read_chunks(reader)
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(int(head[0].split(" ")[1]), headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return bytes(body)
