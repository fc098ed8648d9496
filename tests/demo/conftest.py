"""Fixtures: demo servers on loopback, and a client that has logged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from syncd.demo import DemoServer, Directory
from tests.demo.client import Client

Starter = Callable[..., Awaitable[Client]]


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Starter]:
    """Start demo servers; the result is a client that has logged in."""
    servers: list[DemoServer] = []

    async def starter(directory: Directory | None = None, **options: Any) -> Client:
        server = DemoServer(directory or Directory(users=60), **options)
        await server.start()
        servers.append(server)
        client = Client(server)
        await client.log_in()
        return client

    yield starter
    for server in servers:
        await server.stop()


@pytest_asyncio.fixture
async def client(start: Starter) -> Client:
    """Return a client of a server with 60 users and no faults."""
    return await start()
