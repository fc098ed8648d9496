"""A semaphore whose limit can change while it is held."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator


class AdaptiveSemaphore:
    """First come, first served, with a limit that may be raised or lowered at any time.

    A permit is handed to the first waiter by whoever frees it, so none is lost when a waiter is
    cancelled at the same moment, and nobody can overtake. Lowering the limit takes no permit back:
    it takes effect as permits are released. (``asyncio.Semaphore`` cannot be resized without its
    private state, and cancelling a woken waiter lost wake-ups in it: cpython#90155.)
    """

    def __init__(self, limit: int) -> None:
        self._limit = _valid(limit)
        self._in_use = 0
        self._waiters: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """Permits that may be out at once."""
        return self._limit

    @property
    def in_use(self) -> int:
        """Permits that are out; above :attr:`limit` for a while after it was lowered."""
        return self._in_use

    @property
    def waiting(self) -> int:
        """Tasks that wait for a permit."""
        return sum(not waiter.done() for waiter in self._waiters)

    def resize(self, limit: int) -> None:
        """Change the limit (1 or more)."""
        self._limit = _valid(limit)
        self._grant()

    async def acquire(self) -> None:
        """Wait for a permit."""
        # While a permit is free nobody waits: whoever freed it has handed it on.
        if self._in_use < self._limit:
            self._in_use += 1
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                # The permit came in the same moment as the cancellation: pass it on.
                self.release()
            elif waiter in self._waiters:
                # Unless a grant in the same moment has passed it over already.
                self._waiters.remove(waiter)
            raise

    def release(self) -> None:
        """Give a permit back. Raises RuntimeError when none is out."""
        if self._in_use == 0:
            raise RuntimeError("released a permit that was not acquired")
        self._in_use -= 1
        self._grant()

    @contextlib.asynccontextmanager
    async def permit(self) -> AsyncIterator[None]:
        """Hold a permit for the time of a block."""
        await self.acquire()
        try:
            yield
        finally:
            self.release()

    def _grant(self) -> None:
        while self._waiters and self._in_use < self._limit:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._in_use += 1
                waiter.set_result(None)


def _valid(limit: int) -> int:
    if limit < 1:
        raise ValueError(f"a limit is at least 1, not {limit}")
    return limit
