"""The one writer: what is committed when, and what happens when a commit fails."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from syncd.config import SyncConfig
from syncd.errors import StoreError
from syncd.model import CollectionState, Page, RunState, User
from syncd.store import database
from syncd.store.base import Counts, Exceptional, PagedRead, Traffic
from syncd.store.sqlite import SqliteStore
from syncd.sync import writer as module
from syncd.sync.done import DoneSet
from syncd.sync.writer import Writer
from tests.store.driver import USERS, Driver, tokens_of


class Clock:
    """Time that stands still until somebody lets it go on."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        self.waiting: list[tuple[float, asyncio.Future[None]]] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        self.waiting.append((seconds, future))
        await future

    def ring(self) -> float:
        """Wake who sleeps; returns how long that would have taken."""
        seconds, future = self.waiting.pop()
        future.set_result(None)
        return seconds


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CLOSE_PATIENCE", 0.0)
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[Driver]:
    store = SqliteStore(tmp_path / "syncd.db")
    await store.open()
    driver = Driver(store, tmp_path / "syncd.db")
    await driver.begin()
    yield driver
    await store.close()


class Bench:
    """A writer, and what it told."""

    def __init__(self, acme: Driver, *, collections: int = 3, interval: float = 1.0) -> None:
        self.clock = Clock()
        self.counts: list[Counts] = []
        self.done = DoneSet()
        self.acme = acme
        self.writer = Writer(
            acme.store,
            acme.run,
            SyncConfig(commit_collections=collections, commit_interval=interval),
            self.clock,
            lambda: Traffic(1, 0.5, 2.0),
            self.counts.append,
        )
        self.writer.track("tokens", self.done)

    async def put(self, place: int) -> None:
        read = PagedRead(tokens_of(str(place)), Page())
        await self.writer.put(read, "tokens", place)

    async def progress(self) -> str:
        """What is committed of the queue."""
        record = await self.acme.begin()
        return next(e.progress for e in record.endpoints if e.endpoint == "tokens")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program that does not let anybody write."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def test_a_full_batch_is_committed_by_who_fills_it(acme: Driver) -> None:
    bench = Bench(acme)
    for place in range(2):
        await bench.put(place)
    assert bench.counts == []
    await bench.put(2)
    assert len(bench.counts) == 1
    assert await bench.progress() == "[[0,3]]"
    await bench.writer.close()


async def test_a_batch_of_many_rows_is_full(acme: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 4)
    bench = Bench(acme, collections=100)
    users = tuple(User(str(n)) for n in range(4))
    await bench.writer.put(PagedRead(USERS, Page(entities=users)))
    assert bench.counts == [{"user": {"read": 4, "added": 4}}]
    await bench.writer.close()


async def test_a_batch_that_does_not_fill_is_committed_by_the_timer(acme: Driver) -> None:
    bench = Bench(acme, interval=1.5)
    await bench.put(0)
    await bench.put(1)
    await asyncio.sleep(0)
    assert len(bench.clock.waiting) == 1, "one timer for both"
    assert bench.clock.ring() == 1.5
    while not bench.counts:
        await asyncio.sleep(0.001)
    assert await bench.progress() == "[[0,2]]"
    await bench.put(2)
    await asyncio.sleep(0)
    assert len(bench.clock.waiting) == 1, "and another for what comes later"
    await bench.writer.close()


async def test_a_place_with_nothing_to_read_is_committed_too(acme: Driver) -> None:
    bench = Bench(acme)
    await bench.writer.put(None, "tokens", 0)
    await bench.writer.commit()
    assert await bench.progress() == "[[0,1]]"
    await bench.writer.commit()
    assert len(bench.counts) == 1, "nothing new is no commit"
    await bench.writer.close()


async def test_a_collection_that_was_not_read_is_an_item_without_rows(acme: Driver) -> None:
    bench = Bench(acme)
    why = Exceptional(tokens_of("1"), CollectionState.UNREADABLE, "forbidden")
    await bench.writer.put(why, "tokens", 0)
    await bench.writer.close()
    assert [row["reason"] for row in acme.rows("collections")] == ["forbidden"]
    assert await bench.progress() == "[[0,1]]"


async def test_the_close_commits_what_is_left_and_what_it_cost(acme: Driver) -> None:
    bench = Bench(acme)
    await bench.put(0)
    await bench.writer.close()
    await bench.writer.close()
    totals = await acme.store.finish_run(acme.run, RunState.INTERRUPTED, "", acme.now, final=False)
    assert (totals.requests, totals.wall_seconds) == (2, 4.0)


async def test_after_a_commit_that_failed_nothing_says_that_what_was_lost_is_done(
    acme: Driver,
) -> None:
    slow = SqliteStore(acme.path)
    await slow.open()
    acme.store = slow
    await acme.begin()
    bench = Bench(acme)
    await bench.put(0)
    with locked(acme.path), pytest.raises(StoreError, match="locked"):
        await bench.writer.commit()
    # The lock is gone, and a commit would succeed now.
    for attempt in (bench.put(1), bench.writer.commit(), bench.writer.close()):
        with pytest.raises(StoreError, match="locked"):
            await attempt
    assert await bench.progress() == ""
    await slow.close()


async def test_a_commit_of_the_timer_that_fails_ends_the_run(acme: Driver) -> None:
    slow = SqliteStore(acme.path)
    await slow.open()
    acme.store = slow
    await acme.begin()
    bench = Bench(acme)
    watch = asyncio.create_task(bench.writer.watch())
    await bench.put(0)
    await asyncio.sleep(0)
    with locked(acme.path):
        bench.clock.ring()
        with pytest.raises(StoreError, match="locked"):
            await asyncio.wait_for(watch, 10)
    with pytest.raises(StoreError, match="locked"):
        await bench.put(1)
    await slow.close()


async def test_a_cancelled_commit_goes_on_and_is_waited_for(acme: Driver) -> None:
    bench = Bench(acme)
    await bench.put(0)
    commit = asyncio.create_task(bench.writer.commit())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    commit.cancel()
    await asyncio.wait([commit])
    assert commit.cancelled()
    await bench.put(1)
    await bench.writer.close()
    assert len(bench.counts) == 2, "both are told"
    assert await bench.progress() == "[[0,2]]"


async def test_a_cancelled_commit_that_fails_is_known_to_the_next(acme: Driver) -> None:
    slow = SqliteStore(acme.path)
    await slow.open()
    acme.store = slow
    await acme.begin()
    bench = Bench(acme)
    await bench.put(0)
    with locked(acme.path):
        commit = asyncio.create_task(bench.writer.commit())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        commit.cancel()
        await asyncio.wait([commit])
        with pytest.raises(StoreError, match="locked"):
            await bench.writer.close()
    assert await bench.progress() == ""
    await slow.close()
