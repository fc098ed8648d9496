"""The Google provider with the demo directory, a key and a client of its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from syncd.config import OrganizationConfig, loads
from syncd.demo import DemoServer, Directory
from syncd.governor.governor import Gate
from syncd.host.secrets import Secret
from syncd.model import Collection, CollectionKind, Page
from syncd.providers.base import Fetch, unmarked
from syncd.providers.google_workspace import GoogleWorkspace
from syncd.providers.registry import schemas
from syncd.timing import SystemClock
from syncd.upstream.client import HttpClient, Request, Response
from syncd.upstream.limits import RateLimiter
from syncd.upstream.upstream import Upstream
from tests.upstream.clocks import VirtualClock

JSON = {"content-type": "application/json; charset=UTF-8"}
USERS = Collection(CollectionKind.USERS)
DELETED = Collection(CollectionKind.DELETED_USERS)
GROUPS = Collection(CollectionKind.GROUPS)
TOKENS = Collection(CollectionKind.TOKENS, "u1")
MEMBERS = Collection(CollectionKind.MEMBERS, "g1")
EVERY = (USERS, DELETED, TOKENS, GROUPS, MEMBERS)

MARKS = {
    CollectionKind.USERS: ("admin#directory#users", "users", "id"),
    CollectionKind.DELETED_USERS: ("admin#directory#users", "users", "id"),
    CollectionKind.TOKENS: ("admin#directory#tokenList", "items", "clientId"),
    CollectionKind.GROUPS: ("admin#directory#groups", "groups", "id"),
    CollectionKind.MEMBERS: ("admin#directory#members", "members", "id"),
}
"""kind of collection -> Google's mark of it, the field of its records, the field of their ids."""


def configuration(base_url: str = "https://admin.googleapis.com") -> OrganizationConfig:
    text = f"""
[[organization]]
name = "acme"
provider = "google_workspace"
credentials = "credential:acme.json"
admin = "{Directory().admin_email}"
base_url = "{base_url}"
"""
    return loads(text, schemas()).organizations[0]


@cache
def key_text(url: str = "http://127.0.0.1:1") -> str:
    return json.dumps({**DemoServer(Directory(users=1)).key_file(), "token_uri": f"{url}/token"})


@cache
def provider() -> GoogleWorkspace:
    """A provider that can do all but talk."""
    url = "http://127.0.0.1:1"
    return GoogleWorkspace(
        configuration(url), Secret(key_text(url)), HttpClient(url), VirtualClock()
    )


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[GoogleWorkspace, Fetch]]:
    """A provider that talks to a server, each request once."""
    clock = SystemClock()
    async with HttpClient(url, timeout=20.0) as client:
        google = GoogleWorkspace(configuration(url), Secret(key_text(url)), client, clock)
        quota = RateLimiter(1_000_000_000, clock)
        upstream = Upstream(client, google.auth, google.classify, quota=quota, clock=clock)

        gate = Gate("users", 8)

        async def send(request: Request) -> Response:
            return await upstream.fetch(request, gate)

        yield google, Fetch(send, unmarked)


async def read(google: GoogleWorkspace, fetch: Fetch, collection: Collection) -> list[Page]:
    """All pages of a collection."""
    pages = [await google.page(fetch, collection, None)]
    while (cursor := pages[-1].next) is not None:
        pages.append(await google.page(fetch, collection, cursor))
    return pages


def answer(body: Any, status: int = 200, **headers: str) -> Response:
    """A response with JSON, or with bytes as they are."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, {**JSON, **headers}, data)


def listing(collection: Collection, *records: Any, **more: Any) -> Response:
    """A listing as Google sends it."""
    mark, field, _ = MARKS[collection.kind]
    return answer({"kind": mark, field: list(records), **more})
