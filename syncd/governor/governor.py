"""How much may go on at once on this machine. Workers see only a route's gate."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from syncd.governor.semaphore import AdaptiveSemaphore

MAIN = "main"
"""The route on which whole endpoints run."""


class Gate:
    """What every request of one route goes through."""

    def __init__(self, route: str, limit: int) -> None:
        self.route = route
        self._semaphore = AdaptiveSemaphore(limit)

    @property
    def limit(self) -> int:
        """Requests that may go on at once."""
        return self._semaphore.limit

    @property
    def in_flight(self) -> int:
        """Requests that are going on."""
        return self._semaphore.in_use

    @contextlib.asynccontextmanager
    async def request(self) -> AsyncIterator[None]:
        """Wait until a request may go out, and hold its place until it is answered."""
        async with self._semaphore.permit():
            yield

    def resize(self, limit: int) -> None:
        """Change how many requests may go on at once (1 or more)."""
        self._semaphore.resize(limit)


class Governor:
    """The gates of this process, shared by all runs."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """``limits`` gives each route's number of requests at once."""
        self._gates = {route: Gate(route, limit) for route, limit in limits.items()}

    def route(self, name: str) -> Gate:
        """The gate of a route: ``users``, ``tokens``, ``relations`` or ``main``."""
        return self._gates[name]
