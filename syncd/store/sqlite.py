"""The SQLite store: every method is one function that runs in the store's own thread."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from syncd.errors import StoreError
from syncd.model import Collection, CollectionKind, Gone, Key, Kind, RunState
from syncd.store import (
    applications,
    apply,
    exceptions,
    lease,
    listings,
    missing,
    removals,
    runs,
)
from syncd.store.base import (
    Batch,
    Counts,
    Lease,
    Missing,
    QueueItem,
    Reading,
    RunRecord,
    RunTotals,
    Staged,
)
from syncd.store.database import Database, translate
from syncd.store.openrun import OpenRun

T = TypeVar("T")


class SqliteStore:
    """See :class:`syncd.store.base.Store`; the file is one SQLite database.

    The thread is the only user of the connection, so a cancelled caller never leaves half a
    transaction: what it started is finished before the next thing begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = Database(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="syncd-store")
        self._runs: dict[int, OpenRun] = {}
        self._owners: dict[int, str] = {}

    async def _call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        def guarded() -> T:
            try:
                return function(*args, **kwargs)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
                    # Those are mistakes of this code, not troubles of the database.
                    raise
                raise translate(self.path, error) from error

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, guarded)

    def _run(self, run: int) -> OpenRun:
        try:
            return self._runs[run]
        except KeyError:
            raise StoreError(f"run {run} is not open in this process") from None

    async def open(self) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(self._db.open)

    async def close(self) -> None:
        """See :class:`~syncd.store.base.Store`."""
        try:
            await self._call(self._db.close)
        finally:
            self._thread.shutdown(wait=False)

    async def bind(self, name: str, provider: str, customer: str, now: float) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(runs.bind, self._db, name, provider, customer, now)

    async def take_lease(
        self, organization: int, owner: str, pid: int, now: float, *, steal: str = ""
    ) -> Lease | None:
        """See :class:`~syncd.store.base.Store`."""
        holder = await self._call(lease.take_lease, self._db, organization, owner, pid, now, steal)
        if holder is None:
            self._owners[organization] = owner
        return holder

    async def release_lease(self, organization: int, owner: str) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(lease.release_lease, self._db, organization, owner)

    async def beat(self, organization: int, owner: str, now: float) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(lease.beat, self._db, organization, owner, now)

    async def open_run(
        self, organization: int, endpoints: Sequence[str], now: float, oldest: float
    ) -> RunRecord:
        """See :class:`~syncd.store.base.Store`."""
        owner = self._owners.get(organization, "")
        record, opened = await self._call(
            runs.open_run, self._db, organization, endpoints, now, oldest, owner
        )
        self._runs = {k: r for k, r in self._runs.items() if r.organization != organization}
        self._runs[record.key] = opened
        return record

    async def finish_run(
        self, run: int, state: RunState, reason: str, now: float, *, final: bool
    ) -> RunTotals:
        """See :class:`~syncd.store.base.Store`."""
        totals = await self._call(
            runs.finish_run, self._db, self._run(run), state, reason, now, final=final
        )
        self._runs.pop(run, None)
        return totals

    async def set_endpoint(
        self,
        run: int,
        endpoint: str,
        now: float,
        *,
        state: str = "running",
        phase: str = "",
        reason: str = "",
    ) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(
            runs.set_endpoint, self._db, self._run(run), endpoint, now, state, phase, reason
        )

    async def apply(self, batch: Batch) -> Counts:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(apply.apply, self._db, self._run(batch.run), batch)

    async def reading(self, run: int, collection: Collection) -> Reading | None:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.reading, self._db, run, collection)

    async def restart(self, run: int, collection: Collection) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.restart, self._db, self._run(run), collection)

    async def shown(self, run: int, collection: Collection) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.shown, self._db, self._run(run), collection)

    async def queue(
        self, run: int, kind: CollectionKind, first: int, limit: int
    ) -> list[QueueItem]:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.queue, self._db, self._run(run), kind, first, limit)

    async def queue_length(self, run: int, kind: CollectionKind) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.queue_length, self._db, self._run(run), kind)

    async def queue_rest(self, run: int, kind: CollectionKind, limit: int) -> bool:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(listings.queue_rest, self._db, self._run(run), kind, limit)

    async def count_death(self, run: int, collection: Collection) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(runs.count_death, self._db, self._run(run), collection)

    async def deaths(self, run: int) -> dict[Collection, int]:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(runs.deaths, self._db, run)

    async def mark_missing(self, run: int, collection: Collection, after: Key) -> Key | None:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(missing.mark_missing, self._db, self._run(run), collection, after)

    async def missing(self, run: int, kind: Kind, after: Key, limit: int) -> list[Missing]:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(missing.missing, self._db, self._run(run), kind, after, limit)

    async def settle_missing(
        self, run: int, kind: Kind, gone: Sequence[Gone], present: Sequence[Key]
    ) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(missing.settle_missing, self._db, self._run(run), kind, gone, present)

    async def staged(self, run: int, kind: Kind) -> Staged:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(removals.staged, self._db, self._run(run), kind)

    async def hold(self, run: int, kind: Kind, staged: Staged, now: float, *, full: bool) -> int:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(
            removals.hold, self._db, self._run(run), kind, staged, now, full=full
        )

    async def unhold(self, run: int, kind: Kind) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(removals.unhold, self._db, self._run(run), kind)

    async def sweep(self, run: int, kind: Kind, now: float, limit: int) -> Counts | None:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(removals.sweep, self._db, self._run(run), kind, now, limit)

    async def settle_applications(self, run: int, after: Key, now: float, limit: int) -> Key | None:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(
            applications.settle_applications, self._db, self._run(run), after, now, limit
        )

    async def exceptions(self, organization: int, kind: CollectionKind) -> dict[str, str]:
        """See :class:`~syncd.store.base.Store`."""
        return await self._call(exceptions.exceptions, self._db, organization, kind)

    async def copy(self, target: Path) -> None:
        """See :class:`~syncd.store.base.Store`."""
        await self._call(self._db.copy, target)
