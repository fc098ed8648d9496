"""The one writer of a run: it gathers what workers read and commits it in batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from syncd.config import SyncConfig
from syncd.errors import StoreError
from syncd.store.base import AtomicRead, Batch, Counts, Item, PagedRead, Store, Traffic
from syncd.sync.done import DoneSet
from syncd.timing import Clock

MOST_ROWS = 2000
"""Entities that wait for a commit, at most; it bounds the memory of a run."""

_log = structlog.get_logger(__name__)


class Writer:
    """Whoever fills a batch commits it; a batch that does not fill is committed by a timer.

    Callers wait while a full batch is being committed, so a slow disk slows the reading down
    instead of filling the memory.
    """

    def __init__(
        self,
        store: Store,
        run: int,
        settings: SyncConfig,
        clock: Clock,
        traffic: Callable[[], Traffic],
        committed: Callable[[Counts], None],
    ) -> None:
        """``traffic`` tells what the work since its last call cost."""
        self._store = store
        self._run = run
        self._settings = settings
        self._clock = clock
        self._traffic = traffic
        self._committed = committed
        self._items: list[Item] = []
        self._rows = 0
        self._progress: dict[str, DoneSet] = {}
        self._touched: set[str] = set()
        self._lock = asyncio.Lock()
        self._timer: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._failed = asyncio.Event()

    def track(self, endpoint: str, done: DoneSet) -> None:
        """Commit what of an endpoint's queue is done along with its items."""
        self._progress[endpoint] = done

    async def put(self, item: Item | None, endpoint: str = "", place: int | None = None) -> None:
        """Take in what a worker read, and that this place of its queue is done.

        An item of None marks a place that had nothing to read.
        """
        if self._failure is not None:
            raise self._failure
        if item is not None:
            self._items.append(item)
            if isinstance(item, AtomicRead | PagedRead):
                self._rows += len(item.page.entities)
        if place is not None:
            self._progress[endpoint].add(place)
            self._touched.add(endpoint)
        if len(self._items) >= self._settings.commit_collections or self._rows >= MOST_ROWS:
            await self.commit()
        elif self._timer is None:
            self._timer = asyncio.create_task(self._commit_later())

    async def commit(self, *, empty: bool = False) -> None:
        """Commit all that was taken in; with ``empty`` also when that is nothing.

        After a commit that failed there is no other: it would say that what was lost is done.
        """
        async with self._lock:
            await self._settled()
            if not self._items and not self._touched and not empty:
                return
            batch = Batch(
                run=self._run,
                now=self._clock.time(),
                items=tuple(self._items),
                progress={name: self._progress[name].to_json() for name in self._touched},
                traffic=self._traffic(),
            )
            self._items, self._rows, self._touched = [], 0, set()
            self._under_way = asyncio.create_task(self._apply(batch))
            await self._settled()

    async def _settled(self) -> None:
        """Wait for what is being committed. A cancelled caller leaves it to the next one."""
        if self._under_way is not None:
            await asyncio.shield(self._under_way)
            self._under_way = None
        if self._failure is not None:
            raise self._failure

    async def _apply(self, batch: Batch) -> None:
        try:
            counts = await self._store.apply(batch)
        except Exception as error:  # whoever commits next has to know, not only who waits for it
            self._failure = error
            self._failed.set()
        else:
            self._committed(counts)
            items = len(batch.items)
            _log.debug("batch_committed", run=self._run, items=items, counts=counts)

    async def _commit_later(self) -> None:
        await self._clock.sleep(self._settings.commit_interval)
        self._timer = None
        with contextlib.suppress(Exception):  # nobody awaits the timer: watch() ends the run
            await self.commit()

    async def watch(self) -> None:
        """Never returns; raises what made a commit of the timer fail."""
        await self._failed.wait()
        raise self._failure or StoreError("a commit failed")

    async def close(self) -> None:
        """Stop the timer, and commit what is left and what the work has cost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.commit(empty=True)
