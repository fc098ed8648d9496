"""A world of its own for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from syncd.demo import DemoServer, Directory
from tests.support.world import World


@pytest.fixture
async def make_world(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    servers: list[DemoServer] = []

    async def make(users: int = 60, **how: Any) -> World:
        options = {
            name: how.pop(name) for name in ("latency", "auth", "quota_per_minute") if name in how
        }
        server = DemoServer(Directory(users=users, **how), **options)
        await server.start()
        servers.append(server)
        return World(tmp_path, server)

    yield make
    for server in servers:
        await server.stop()


@pytest.fixture
async def world(make_world: Callable[..., Any]) -> World:
    made: World = await make_world()
    return made
