"""What every store does from a row that is missing to one that is removed."""

from __future__ import annotations

import pytest

from syncd.model import CollectionKind, Group, Key, Kind, RunState, User
from syncd.store.base import Staged
from tests.store.driver import (
    GROUPS,
    USERS,
    Driver,
    member,
    members_of,
    token,
    tokens_of,
)
from tests.support.feed import changes, query


async def missing(acme: Driver, kind: Kind = Kind.USER) -> dict[str, int]:
    rows = await acme.store.missing(acme.run, kind, Key(0), 100)
    return {row.id: row.passes for row in rows}


async def a_pass(acme: Driver, *ids: str, marked: bool = True) -> None:
    """A run of its own with a pass over the users."""
    await acme.finish()
    await acme.begin()
    await acme.page(USERS, *(User(id) for id in ids), marked=marked)


async def test_a_row_is_missing_after_a_pass_that_did_not_show_it(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"))
    await acme.mark_missing(USERS)
    assert await missing(acme) == {}
    await a_pass(acme, "1")
    assert await missing(acme) == {}, "not before the pass is known to be complete"
    await acme.mark_missing(USERS)
    assert await missing(acme) == {"2": 1}


async def test_passes_are_counted_once_a_run(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await a_pass(acme)
    for _ in range(3):
        await acme.mark_missing(USERS)
    assert await missing(acme) == {"1": 1}
    await a_pass(acme)
    await acme.mark_missing(USERS)
    assert await missing(acme) == {"1": 2}


async def test_a_row_that_is_shown_again_starts_anew(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await a_pass(acme)
    await acme.mark_missing(USERS)
    await a_pass(acme, "1", marked=False)
    await a_pass(acme)
    await acme.mark_missing(USERS)
    assert await missing(acme) == {"1": 1}


async def test_a_pass_that_proves_nothing_is_no_pass(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await a_pass(acme)
    await acme.mark_missing(USERS)
    await a_pass(acme, marked=False)
    assert await missing(acme) == {}
    await a_pass(acme)
    await acme.mark_missing(USERS)
    assert await missing(acme) == {"1": 2}


async def test_what_a_pass_does_not_find_missing_is_forgotten(acme: Driver) -> None:
    await acme.page(members_of("g"), member("g", "1"), member("g", "2"))
    await acme.page(members_of("h"), member("h", "1"))
    await acme.finish()
    await acme.begin()
    await acme.page(members_of("g"), member("g", "1"))
    await acme.page(members_of("h"))
    assert await missing(acme, Kind.RELATION) == {"2": 1, "1": 1}
    await acme.finish()
    await acme.begin()
    await acme.page(members_of("g"), member("g", "1"), member("g", "2"))
    assert await missing(acme, Kind.RELATION) == {}
    await acme.page(members_of("h"))
    assert await missing(acme, Kind.RELATION) == {"1": 2}


async def test_two_passes_are_proof_and_one_is_not(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await a_pass(acme)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER)
    assert (await acme.store.staged(acme.run, Kind.USER)).rows == 0
    await a_pass(acme)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER)
    assert (await acme.store.staged(acme.run, Kind.USER)).rows == 1
    assert await missing(acme) == {}, "a staged row waits for nothing"
    await acme.sweep(Kind.USER)
    assert acme.ids("users") == []


async def test_what_the_provider_says_is_there_was_not_missing(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"), User("3"))
    await a_pass(acme)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["1"], here=["2"])
    assert (await acme.store.staged(acme.run, Kind.USER)).rows == 1
    assert await missing(acme) == {"3": 1}
    await a_pass(acme)
    await acme.mark_missing(USERS)
    assert await missing(acme) == {"1": 2, "2": 1, "3": 2}


async def test_missing_rows_come_in_chunks(acme: Driver) -> None:
    await acme.page(USERS, *(User(str(n)) for n in range(5)))
    await a_pass(acme)
    await acme.mark_missing(USERS)
    found, after = list[str](), Key(0)
    while rows := await acme.store.missing(acme.run, Kind.USER, after, 2):
        found += [row.id for row in rows]
        after = rows[-1].key
    assert found == ["0", "1", "2", "3", "4"]


async def test_a_removed_user_takes_tokens_and_memberships_along(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"))
    for user in ("1", "2"):
        await acme.whole(tokens_of(user), token(user, "a"), token(user, "b"))
    external = member("g", "1", subject_kind="external")
    await acme.page(GROUPS, Group("g"))
    await acme.page(members_of("g"), member("g", "1"), member("g", "2"), external)
    await acme.unreadable(tokens_of("1"))
    await acme.unreadable(tokens_of("2"))
    await a_pass(acme, "2")
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["1"])
    counts = await acme.sweep(Kind.USER)
    assert counts == {"user": {"removed": 1}, "token": {"removed": 2}, "relation": {"removed": 1}}
    assert [row["user_id"] for row in acme.rows("tokens")] == ["2", "2"]
    left = sorted((row["subject_kind"], row["subject_id"]) for row in acme.rows("relations"))
    assert left == [("external", "1"), ("user", "2")]
    assert [row["parent_id"] for row in acme.rows("collections")] == ["2"]
    removed = [c for c in changes(acme.path, "acme") if c["kind"] == "removed"]
    assert [c["entity"] for c in removed] == ["token", "token", "relation", "user"]


async def test_a_removed_group_takes_its_members_and_memberships_along(acme: Driver) -> None:
    await acme.page(GROUPS, Group("g"), Group("h"))
    await acme.page(members_of("g"), member("g", "1"), member("g", "h", subject_kind="group"))
    await acme.page(members_of("h"), member("h", "g", subject_kind="group"), member("h", "1"))
    await acme.unreadable(members_of("g"))
    await acme.finish()
    await acme.begin()
    await acme.page(GROUPS, Group("h"))
    await acme.mark_missing(GROUPS)
    await acme.settle(Kind.GROUP, gone=["g"])
    counts = await acme.sweep(Kind.GROUP)
    assert counts == {"group": {"removed": 1}, "relation": {"removed": 3}}
    assert [(r["object_id"], r["subject_id"]) for r in acme.rows("relations")] == [("h", "1")]
    assert acme.rows("collections") == []


async def test_what_went_along_is_neither_missing_nor_staged_any_more(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.page(members_of("g"), member("g", "1"), member("g", "2"))
    await a_pass(acme)
    await acme.whole(tokens_of("1"))
    await acme.page(members_of("g"), member("g", "2"))
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 1
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["1"])
    await acme.sweep(Kind.USER)
    assert await missing(acme, Kind.RELATION) == {}
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 0
    assert query(acme.path, "SELECT * FROM t_missing") == []


async def test_a_sum_counts_live_rows_and_tells_same_from_other(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"), token("1", "c"))
    await acme.finish()
    await acme.begin()
    # What this run itself adds does not count: it would make its removals look small.
    await acme.whole(tokens_of("2"), *(token("2", str(number)) for number in range(50)))
    await acme.whole(tokens_of("1"), token("1", "b"))
    first = await acme.store.staged(acme.run, Kind.TOKEN)
    assert (first.rows, first.live, first.hold) == (2, 3, None)
    assert await acme.store.staged(acme.run, Kind.TOKEN) == first
    await acme.whole(tokens_of("1"), token("1", "c"))
    second = await acme.store.staged(acme.run, Kind.TOKEN)
    assert second.rows == 2
    assert second.digest != first.digest
    await acme.whole(tokens_of("1"), token("1", "b"), token("1", "a"))
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 1


async def test_a_sweep_comes_in_chunks_and_ends(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), *(token("1", str(n)) for n in range(5)))
    await acme.whole(tokens_of("1"))
    removed = []
    while (counts := await acme.store.sweep(acme.run, Kind.TOKEN, acme.now, 2)) is not None:
        removed.append(counts["token"]["removed"])
        assert len(acme.rows("tokens")) == 5 - sum(removed)
    assert removed == [2, 2, 1]
    assert (await acme.finish())["token"]["removed"] == 5


async def test_a_sweep_goes_on_in_the_next_process(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"))
    await acme.whole(tokens_of("1"))
    await acme.store.sweep(acme.run, Kind.TOKEN, acme.now, 1)
    await acme.finish(RunState.INTERRUPTED, final=False)
    await acme.begin()
    await acme.sweep(Kind.TOKEN)
    assert (await acme.finish())["token"]["removed"] == 2


async def test_what_was_staged_ends_with_its_run(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("1"))
    await acme.finish()
    await acme.begin()
    await acme.sweep(Kind.TOKEN)
    assert len(acme.rows("tokens")) == 1


async def stage(acme: Driver, *left: str) -> Staged:
    """Stage the removal of all tokens of a user but these."""
    await acme.whole(tokens_of("1"), *(token("1", id) for id in left))
    return await acme.store.staged(acme.run, Kind.TOKEN)


async def next_run(acme: Driver) -> None:
    await acme.finish()
    await acme.begin()


async def with_tokens(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), *(token("1", id) for id in "abc"))
    await next_run(acme)


async def test_held_removals_are_not_carried_out(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme, "c")
    assert await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True) == 1
    assert await acme.sweep(Kind.TOKEN) == {}
    assert len(acme.rows("tokens")) == 3
    held = acme.rows("held_removals")[0]
    assert (held["entity"], held["rows"], held["live"], held["passes"]) == ("token", 2, 3, 1)
    assert (await acme.finish())["token"]["held"] == 2


async def test_complete_passes_with_the_same_result_are_counted(acme: Driver) -> None:
    await with_tokens(acme)
    passes, first_at = [], set()
    for full in (True, False, True):
        staged = await stage(acme, "c")
        acme.now += 100
        passes.append(await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=full))
        first_at.add(acme.rows("held_removals")[0]["first_at"])
        await next_run(acme)
    assert passes == [1, 1, 2]
    assert len(first_at) == 1
    hold = (await stage(acme, "c")).hold
    assert hold is not None
    assert hold.passes == 2


async def test_another_result_is_counted_anew(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme, "c")
    await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True)
    first = acme.now
    await next_run(acme)
    staged = await stage(acme)
    assert await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True) == 1
    await next_run(acme)
    hold = (await stage(acme)).hold
    assert hold is not None
    assert hold.first_at > first


async def test_time_runs_from_the_first_complete_pass(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme)
    await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=False)
    await next_run(acme)
    acme.now += 24 * 3600
    staged = await stage(acme)
    await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True)
    complete = acme.now
    await next_run(acme)
    hold = (await stage(acme)).hold
    assert hold is not None
    assert hold.first_at == complete


async def test_a_run_that_holds_twice_counts_once(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme)
    assert await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True) == 1
    await acme.finish(RunState.INTERRUPTED, final=False)
    await acme.begin()
    staged = await stage(acme)
    assert staged.hold is not None
    assert staged.hold.passes == 0
    assert await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True) == 1
    assert (await acme.finish())["token"]["held"] == 3


async def test_a_run_that_goes_on_after_it_held_keeps_all_held(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme)
    await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True)
    await acme.finish(RunState.INTERRUPTED, final=False)
    await acme.begin()
    again = await acme.store.staged(acme.run, Kind.TOKEN)
    assert (again.rows, again.hold) == (0, None), "nothing tells the guard to let go"
    await next_run(acme)
    hold = (await acme.store.staged(acme.run, Kind.TOKEN)).hold
    assert hold is not None
    assert hold.passes == 1


async def test_a_hold_can_be_forgotten(acme: Driver) -> None:
    await with_tokens(acme)
    staged = await stage(acme)
    await acme.store.hold(acme.run, Kind.TOKEN, staged, acme.now, full=True)
    await acme.store.unhold(acme.run, Kind.USER)
    assert len(acme.rows("held_removals")) == 1
    await acme.store.unhold(acme.run, Kind.TOKEN)
    assert acme.rows("held_removals") == []


@pytest.mark.parametrize("kind", list(Kind))
async def test_each_entity_is_held_by_itself(acme: Driver, kind: Kind) -> None:
    await with_tokens(acme)
    staged = Staged(3, 3, "digest", None)
    await acme.store.hold(acme.run, kind, staged, acme.now, full=True)
    assert [row["entity"] for row in acme.rows("held_removals")] == [str(kind)]


async def test_more_rows_than_a_chunk_are_all_found_missing(acme: Driver) -> None:
    many = [User(f"{n:05}") for n in range(5001)]
    await acme.page(USERS, *many)
    await a_pass(acme, "00000")
    await acme.mark_missing(USERS)
    rows = await acme.store.missing(acme.run, Kind.USER, Key(0), 10_000)
    assert len(rows) == 5000
    assert await acme.store.queue_length(acme.run, CollectionKind.USERS) == 1
