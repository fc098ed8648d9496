"""What every store does with organizations, leases and the record of runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from syncd.errors import CannotCreate, RunUnderWay, StoreError, WrongCustomer
from syncd.model import Collection, CollectionKind, Key, Kind, Page, RunState, User
from syncd.store.base import Batch, PagedRead, Staged, Store, Traffic, merge
from syncd.store.sqlite import SqliteStore
from tests.store.driver import GROUPS, START, USERS, Driver, member, members_of, token, tokens_of


async def test_an_organization_keeps_its_number(store: Store) -> None:
    first = await store.bind("acme", "google", "C1", START)
    assert await store.bind("acme", "google", "C1", START + 1) == first
    assert await store.bind("beta", "google", "C1", START) != first


async def test_another_customer_is_refused(store: Store) -> None:
    await store.bind("acme", "google", "C1", START)
    with pytest.raises(WrongCustomer, match=r"C1.*C2.*nothing was written"):
        await store.bind("acme", "google", "C2", START)
    with pytest.raises(WrongCustomer, match=r"google.*other"):
        await store.bind("acme", "other", "C1", START)
    assert await store.bind("acme", "google", "C1", START)


async def test_an_unknown_customer_binds_nothing_and_is_bound_later(store: Store) -> None:
    first = await store.bind("acme", "google", "", START)
    assert await store.bind("acme", "google", "C1", START) == first
    assert await store.bind("acme", "google", "", START) == first
    with pytest.raises(WrongCustomer):
        await store.bind("acme", "google", "C2", START)


async def test_a_lease_is_held_by_one(store: Store) -> None:
    acme = await store.bind("acme", "google", "C1", START)
    assert await store.take_lease(acme, "one", 11, START) is None
    holder = await store.take_lease(acme, "two", 22, START + 1)
    assert holder is not None
    assert (holder.owner, holder.pid, holder.heartbeat_at) == ("one", 11, START)
    assert await store.take_lease(acme, "one", 11, START + 2) is None, "its own again"
    await store.beat(acme, "one", START + 3)
    holder = await store.take_lease(acme, "two", 22, START + 4)
    assert holder is not None
    assert holder.heartbeat_at == START + 3


async def test_a_released_lease_is_free_and_nobody_elses_is_released(store: Store) -> None:
    acme = await store.bind("acme", "google", "C1", START)
    await store.take_lease(acme, "one", 1, START)
    await store.release_lease(acme, "two")
    assert await store.take_lease(acme, "two", 2, START) is not None
    await store.release_lease(acme, "one")
    assert await store.take_lease(acme, "two", 2, START) is None


async def test_only_the_named_holder_is_robbed(store: Store) -> None:
    acme = await store.bind("acme", "google", "C1", START)
    await store.take_lease(acme, "one", 1, START)
    assert await store.take_lease(acme, "two", 2, START, steal="three") is not None
    assert await store.take_lease(acme, "two", 2, START, steal="one") is None
    with pytest.raises(RunUnderWay, match="taken over"):
        await store.beat(acme, "one", START)


async def test_who_lost_the_lease_writes_nothing_more(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("1"))
    store, run = acme.store, acme.run
    staged = await store.staged(run, Kind.TOKEN)
    other = SqliteStore(acme.path)
    await other.open()
    await other.take_lease(acme.organization, "two", 2, acme.now, steal="one")
    writes: dict[str, Callable[[], Awaitable[object]]] = {
        "apply": lambda: acme.page(members_of("g"), member("g", "1")),
        "sweep": lambda: acme.sweep(Kind.TOKEN),
        "set_endpoint": lambda: store.set_endpoint(run, "users", acme.now, state="failed"),
        "restart": lambda: store.restart(run, USERS),
        "count_death": lambda: store.count_death(run, USERS),
        "mark_missing": lambda: acme.mark_missing(USERS),
        "settle_missing": lambda: acme.settle(Kind.USER),
        "hold": lambda: store.hold(run, Kind.TOKEN, staged, acme.now, full=True),
        "unhold": lambda: store.unhold(run, Kind.TOKEN),
        "settle_applications": acme.settle_applications,
        "finish_run": lambda: acme.finish(final=False),
    }
    before = dump(acme.path)
    for name, write in writes.items():
        with pytest.raises(RunUnderWay):
            await write()
        assert dump(acme.path) == before, name
    await other.close()


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def test_the_rest_of_a_queue_is_not_taken_without_the_lease(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.finish()
    await acme.begin()
    other = SqliteStore(acme.path)
    await other.open()
    await other.take_lease(acme.organization, "two", 2, acme.now, steal="one")
    with pytest.raises(RunUnderWay):
        await acme.store.queue_rest(acme.run, CollectionKind.USERS, 10)
    await other.close()


async def test_a_run_is_not_opened_without_the_lease(store: Store) -> None:
    acme = await store.bind("acme", "google", "C1", START)
    with pytest.raises(RunUnderWay):
        await store.open_run(acme, ["users"], START, START - 3600)
    await store.take_lease(acme, "one", 1, START)
    await store.release_lease(acme, "one")
    with pytest.raises(RunUnderWay):
        await store.open_run(acme, ["users"], START, START - 3600)


async def test_a_stopped_run_goes_on(acme: Driver) -> None:
    run = acme.run
    await acme.page(USERS, User("1"), next="n")
    await acme.apply(tokens="[[0,1]]")
    await acme.store.set_endpoint(run, "users", acme.now, phase="listing")
    await acme.unreadable(tokens_of("1"))
    await acme.finish(RunState.INTERRUPTED, final=False)
    row = acme.rows("runs")[0]
    assert (row["state"], row["finished_at"]) == ("interrupted", None)
    record = await acme.begin()
    assert (record.key, record.resumed) == (run, True)
    assert record.counts == {"user": {"read": 1, "added": 1}}
    endpoints = {e.endpoint: e for e in record.endpoints}
    assert endpoints["users"].phase == "listing"
    assert endpoints["tokens"].progress == "[[0,1]]"
    assert endpoints["tokens"].unreadable == 1
    reading = await acme.store.reading(run, USERS)
    assert reading is not None
    assert reading.cursor == "n"
    row = acme.rows("runs")[0]
    assert (row["resumes"], row["unreadable"]) == (1, 1)


async def test_a_run_is_shown_as_running_only_while_its_process_gives_signs_of_life(
    acme: Driver,
) -> None:
    # The driver's clock stands in the past: nobody has been heard of for long.
    assert acme.rows("runs")[0]["state"] == "interrupted"
    await acme.store.beat(acme.organization, acme.owner, time.time())
    assert acme.rows("runs")[0]["state"] == "running"


async def test_counts_go_on_where_a_stopped_run_left_them(acme: Driver) -> None:
    await acme.page(USERS, User("1"), next="n")
    await acme.finish(RunState.INTERRUPTED, final=False)
    await acme.begin()
    await acme.page(USERS, User("2"))
    assert await acme.finish() == {"user": {"read": 2, "added": 2}}


@pytest.mark.parametrize("reason", ["too old", "other endpoints", "finished"])
async def test_a_run_that_cannot_go_on_is_closed_and_forgotten(acme: Driver, reason: str) -> None:
    first = acme.run
    await acme.page(USERS, User("1"), next="n")
    await acme.store.count_death(first, tokens_of("1"))
    if reason == "finished":
        await acme.finish()
    if reason == "too old":
        acme.now += 3601
    record = await acme.begin(["users"] if reason == "other endpoints" else acme_endpoints())
    assert record.key != first
    assert not record.resumed
    assert record.counts == {}
    old = acme.rows("runs", f"id = {first}")[0]
    assert old["state"] == ("succeeded" if reason == "finished" else "interrupted")
    assert old["finished_at"] is not None
    assert await acme.store.reading(first, USERS) is None
    assert await acme.store.deaths(first) == {}
    assert acme.ids("users") == ["1"], "what it committed stays"


def acme_endpoints() -> list[str]:
    return ["users", "tokens", "relations"]


async def test_a_run_is_resumed_up_to_the_oldest_moment(acme: Driver) -> None:
    run = acme.run
    await acme.apply()
    acme.now += 3599
    assert (await acme.begin()).key == run


async def test_a_run_that_is_not_open_here_is_refused(acme: Driver) -> None:
    with pytest.raises(StoreError, match="run 99 is not open"):
        await acme.store.apply(Batch(run=99, now=START))
    await acme.finish()
    with pytest.raises(StoreError, match="not open"):
        await acme.page(USERS, User("1"))


async def test_traffic_adds_up_over_batches_and_stops(acme: Driver) -> None:
    store = acme.store
    for _ in range(2):
        await store.apply(Batch(run=acme.run, now=acme.now, traffic=Traffic(2, 0.5, 1.5)))
    await acme.finish(RunState.INTERRUPTED, final=False)
    record = await acme.begin()
    assert (record.requests, record.request_seconds, record.wall_seconds) == (4, 1.0, 3.0)
    totals = await store.finish_run(acme.run, RunState.SUCCEEDED, "done", acme.now, final=True)
    assert (totals.requests, totals.request_seconds, totals.wall_seconds) == (4, 1.0, 3.0)
    assert acme.rows("runs")[0]["reason"] == "done"


async def test_an_endpoint_keeps_its_start_and_its_progress(acme: Driver) -> None:
    await acme.apply(users="[[0,9]]")
    await acme.store.set_endpoint(acme.run, "users", acme.now + 5, state="partial", reason="x")
    record = await acme.begin()
    users = next(e for e in record.endpoints if e.endpoint == "users")
    assert users.progress == "[[0,9]]"


async def test_deaths_are_counted_by_collection(acme: Driver) -> None:
    assert await acme.store.deaths(acme.run) == {}
    assert await acme.store.count_death(acme.run, tokens_of("1")) == 1
    assert await acme.store.count_death(acme.run, tokens_of("1")) == 2
    assert await acme.store.count_death(acme.run, GROUPS) == 1
    expected: dict[Collection, int] = {tokens_of("1"): 2, GROUPS: 1}
    assert await acme.store.deaths(acme.run) == expected


async def test_a_batch_that_fails_inside_leaves_nothing_and_the_next_is_right(
    acme: Driver,
) -> None:
    await acme.page(USERS, User("1"), next="n")
    before = dump(acme.path)
    execute(acme.path, "CREATE TRIGGER full BEFORE UPDATE OF progress ON t_endpoint"
            " BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
    with pytest.raises(sqlite3.IntegrityError):
        await acme.apply(PagedRead(USERS, page_of(User("1", name="x"), User("2"))), users="[[0,2]]")
    execute(acme.path, "DROP TRIGGER full")
    assert dump(acme.path) == before
    assert await acme.store.queue_length(acme.run, CollectionKind.USERS) == 1
    counts = await acme.apply(PagedRead(USERS, page_of(User("2"), User("3"))), users="[[0,2]]")
    assert counts == {"user": {"read": 2, "added": 2}}
    reading = await acme.store.reading(acme.run, USERS)
    assert reading is not None
    assert reading.proven, "what the failed page showed is not remembered"
    queue = await acme.store.queue(acme.run, CollectionKind.USERS, 0, 9)
    assert [(item.place, item.id) for item in queue] == [(0, "1"), (1, "2"), (2, "3")]
    assert await acme.finish() == {"user": {"read": 3, "added": 3}}


def page_of(*users: User) -> Page:
    return Page(entities=users)


def execute(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(sql)
    connection.close()


async def test_a_failed_sweep_leaves_all_staged(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("1"))
    execute(acme.path, "CREATE TRIGGER full BEFORE DELETE ON t_removal"
            " BEGIN SELECT RAISE(ABORT, 'no'); END")  # fmt: skip
    before = dump(acme.path)
    with pytest.raises(sqlite3.IntegrityError):
        await acme.sweep(Kind.TOKEN)
    assert dump(acme.path) == before
    execute(acme.path, "DROP TRIGGER full")
    assert await acme.sweep(Kind.TOKEN) == {"token": {"removed": 1}}


async def test_a_copy_holds_what_was_committed(acme: Driver, tmp_path: Path) -> None:
    await acme.page(USERS, User("1"))
    target = tmp_path / "copy.db"
    await acme.store.copy(target)
    await acme.page(GROUPS)
    assert Driver(acme.store, target).ids("users") == ["1"]
    with pytest.raises(CannotCreate, match="exists already"):
        await acme.store.copy(target)
    with pytest.raises(CannotCreate, match="cannot be written"):
        await acme.store.copy(tmp_path / "nowhere" / "copy.db")
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


async def test_staged_rows_of_nothing_are_none(acme: Driver) -> None:
    staged = await acme.store.staged(acme.run, Kind.USER)
    assert isinstance(staged, Staged)
    assert (staged.rows, staged.live, staged.hold) == (0, 0, None)
    assert await acme.store.sweep(acme.run, Kind.USER, START, 10) is None
    assert await acme.store.missing(acme.run, Kind.USER, Key(0), 10) == []


def test_counts_merge_entity_by_entity() -> None:
    into = {"user": {"read": 1}}
    merge(into, {"user": {"read": 2, "added": 1}, "token": {"read": 3}})
    assert into == {"user": {"read": 3, "added": 1}, "token": {"read": 3}}
