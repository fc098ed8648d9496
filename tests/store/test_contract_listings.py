"""What every store does with listings that come in pages, and the work that they bring."""

from __future__ import annotations

import pytest

from syncd.model import CollectionKind, Group, Key, Kind, RunState, User
from syncd.store.base import Reading
from tests.store.driver import DELETED, GROUPS, USERS, Driver, member, members_of

QUEUE = CollectionKind.USERS


async def places(acme: Driver, first: int = 0, limit: int = 100) -> list[tuple[int, str]]:
    items = await acme.store.queue(acme.run, QUEUE, first, limit)
    return [(item.place, item.id) for item in items]


async def reopen(acme: Driver) -> None:
    """Go on as another process would: nothing is remembered but what is committed."""
    await acme.finish(RunState.INTERRUPTED, final=False)
    await acme.begin()


async def test_a_listing_goes_on_where_its_last_page_left_it(acme: Driver) -> None:
    assert await acme.store.reading(acme.run, USERS) is None
    await acme.page(USERS, User("1"), next="a")
    assert await acme.store.reading(acme.run, USERS) == Reading("a", 1, proven=True, restarts=0)
    await acme.page(USERS, User("2"), next="b")
    assert await acme.store.reading(acme.run, USERS) == Reading("b", 2, proven=True, restarts=0)
    await acme.page(USERS)
    assert await acme.store.reading(acme.run, USERS) == Reading(None, 3, proven=True, restarts=0)


async def test_a_restart_forgets_what_was_shown_and_keeps_the_work(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"), next="a")
    assert await acme.store.restart(acme.run, USERS) == 1
    assert await acme.store.reading(acme.run, USERS) == Reading("", 0, proven=True, restarts=1)
    assert await acme.store.restart(acme.run, USERS) == 2
    await acme.page(USERS, User("2"), User("3"), next="b")
    await acme.page(USERS, User("4"))
    reading = await acme.store.reading(acme.run, USERS)
    assert reading == Reading(None, 2, proven=True, restarts=2), "a repeat of before is none"
    assert await places(acme) == [(0, "1"), (1, "2"), (2, "3"), (3, "4")]
    await reopen(acme)
    assert await places(acme) == [(0, "1"), (1, "2"), (2, "3"), (3, "4")]
    await acme.mark_missing(USERS)
    missing = await acme.store.missing(acme.run, Kind.USER, Key(0), 10)
    assert [row.id for row in missing] == ["1"], "what only the first try showed is missing"


async def test_a_listing_can_restart_before_it_began(acme: Driver) -> None:
    assert await acme.store.restart(acme.run, USERS) == 1
    await acme.page(USERS, User("1"))
    assert await places(acme) == [(0, "1")]


async def test_a_repeat_before_a_restart_spoils_nothing(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("1"), next="a")
    await acme.store.restart(acme.run, USERS)
    await acme.page(USERS, User("1"))
    reading = await acme.store.reading(acme.run, USERS)
    assert reading is not None
    assert reading.proven


async def test_one_repeat_spoils_the_whole_pass(acme: Driver) -> None:
    await acme.page(USERS, User("1"), next="a")
    await acme.page(USERS, User("1"), next="b")
    await acme.page(USERS, User("2"))
    reading = await acme.store.reading(acme.run, USERS)
    assert reading == Reading(None, 3, proven=False, restarts=0)


async def test_the_queue_has_each_row_once_in_places_without_gaps(acme: Driver) -> None:
    await acme.page(USERS, User("2"), User("1"), next="a")
    await acme.page(USERS, User("1"), next="b")
    await acme.page(USERS, next="c")
    await acme.page(USERS, User("3"), User("2"), User("4"))
    expected = [(0, "2"), (1, "1"), (2, "3"), (3, "4")]
    assert await places(acme) == expected
    for first in range(6):
        for limit in (1, 2, 9):
            assert await places(acme, first, limit) == expected[first : first + limit]
    assert await acme.store.queue_length(acme.run, QUEUE) == 4
    await reopen(acme)
    assert await places(acme, 1, 2) == expected[1:3]
    assert await acme.store.queue_length(acme.run, QUEUE) == 4


async def test_a_queue_tells_the_status_and_who_is_gone(acme: Driver) -> None:
    assert await places(acme) == []
    await acme.page(USERS, User("1", status="suspended"), User("2"), next="n")
    await acme.store.restart(acme.run, USERS)
    await acme.page(USERS, User("1", status="suspended"))
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["2"])
    await acme.sweep(Kind.USER)
    items = await acme.store.queue(acme.run, QUEUE, 0, 9)
    assert [(i.id, i.status, i.live) for i in items] == [
        ("1", "suspended", True),
        ("2", "active", False),
    ]


async def test_groups_are_a_queue_of_their_own(acme: Driver) -> None:
    await acme.page(GROUPS, Group("g"))
    items = await acme.store.queue(acme.run, CollectionKind.GROUPS, 0, 9)
    assert [(i.place, i.id, i.status, i.live) for i in items] == [(0, "g", "active", True)]
    assert await places(acme) == []


@pytest.mark.parametrize("limit", [1, 2, 5, 100])
async def test_the_rest_of_a_queue_is_every_live_row_it_did_not_bring(
    acme: Driver, limit: int
) -> None:
    everybody = [User(str(n)) for n in range(1, 6)]
    await acme.page(USERS, *everybody)
    await acme.finish()
    await acme.begin()
    await acme.page(USERS, User("4"), User("2"), next="n")
    chunks = 0
    while await acme.store.queue_rest(acme.run, QUEUE, limit):
        chunks += 1
        await reopen(acme) if chunks == 2 else None
    assert chunks == -(-3 // limit)
    assert await places(acme) == [(0, "4"), (1, "2"), (2, "1"), (3, "3"), (4, "5")]
    assert not await acme.store.queue_rest(acme.run, QUEUE, limit)
    await reopen(acme)
    assert not await acme.store.queue_rest(acme.run, QUEUE, limit)
    assert len(await places(acme)) == 5


async def test_rows_of_the_rest_were_not_shown(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS, User("1"))
    assert await acme.store.queue_rest(acme.run, QUEUE, 10)
    for _ in range(2):
        await acme.mark_missing(USERS)
        missing = await acme.store.missing(acme.run, Kind.USER, Key(0), 10)
        assert [row.id for row in missing] == ["2"]
        await reopen(acme)


async def test_a_removed_row_is_not_in_the_rest(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["1"])
    await acme.sweep(Kind.USER)
    assert not await acme.store.queue_rest(acme.run, QUEUE, 10)


async def test_members_that_come_in_pages_are_one_pass(acme: Driver) -> None:
    await acme.page(members_of("g"), *(member("g", str(n)) for n in range(6)))
    await acme.page(members_of("g"), member("g", "0"), member("g", "1"), next="a")
    await reopen(acme)
    await acme.page(members_of("g"), member("g", "2"), next="b")
    await acme.page(members_of("g"), member("g", "3"))
    missing = await acme.store.missing(acme.run, Kind.RELATION, Key(0), 10)
    assert [(row.parent, row.id) for row in missing] == [("g", "4"), ("g", "5")]


async def test_tombstones_witness_for_live_users_only(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS)
    await acme.mark_missing(USERS)
    await acme.page(DELETED, User("1"), next="n")
    assert await acme.store.reading(acme.run, DELETED) == Reading("n", 1, proven=True, restarts=0)
    await acme.page(DELETED, User("never known"))
    missing = await acme.store.missing(acme.run, Kind.USER, Key(0), 10)
    assert [(row.id, row.tombstone) for row in missing] == [("1", True), ("2", False)]
    assert acme.ids("users") == ["1", "2"], "a tombstone adds and removes nothing by itself"


async def test_how_much_a_listing_has_shown_tells_whether_it_grows(acme: Driver) -> None:
    assert await acme.store.shown(acme.run, USERS) == 0
    await acme.page(USERS, User("1"), User("2"), next="n")
    await acme.page(USERS, User("2"), next="m")
    assert await acme.store.shown(acme.run, USERS) == 2
    await acme.page(DELETED, User("1"), User("never known"), next="n")
    await acme.page(DELETED, User("1"), next="m")
    assert await acme.store.shown(acme.run, DELETED) == 1


async def test_tombstones_of_an_earlier_run_do_not_count(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.page(DELETED, User("1"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS)
    await acme.mark_missing(USERS)
    assert [r.tombstone for r in await acme.store.missing(acme.run, Kind.USER, Key(0), 9)] == [
        False
    ]
