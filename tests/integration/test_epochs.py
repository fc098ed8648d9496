"""A sync brings exactly the directory's rows; the next one exactly what has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from syncd.model import RunState
from tests.support.history import before_everything
from tests.support.world import World

ENTITY_VIEWS = {"user": "users", "token": "tokens", "group": "groups", "relation": "relations"}
KEYS: dict[str, Callable[[dict[str, str]], tuple[str, ...]]] = {
    "user": lambda k: (k["id"],),
    "token": lambda k: (k["principal_id"], k["application_id"]),
    "group": lambda k: (k["id"],),
    "relation": lambda k: (k["object_id"], k["subject_kind"], k["subject_id"]),
}
KEY_LENGTH = {"users": 1, "tokens": 2, "groups": 1, "relations": 3}


def feed(world: World, run: int) -> dict[tuple[str, str], set[tuple[str, ...]]]:
    """The keys that the change feed has for a run, by entity and kind."""
    found: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for entity, kind, key in world.query(
        "SELECT entity, kind, key FROM changes WHERE run_id = ?", run
    ):
        if entity in KEYS:
            found.setdefault((entity, kind), set()).add(KEYS[entity](json.loads(key)))
    return found


def keyed(rows: set[tuple[Any, ...]], view: str) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {row[: KEY_LENGTH[view]]: row[KEY_LENGTH[view] :] for row in rows}


async def test_a_first_sync_brings_exactly_the_directory(world: World) -> None:
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.SUCCEEDED, 0)
    world.assert_exact()
    assert result.counts["user"]["added"] == world.directory.users


async def test_an_unchanged_second_sync_writes_no_entity_row_and_no_change(world: World) -> None:
    await world.sync()
    before = world.query("SELECT max(seq) FROM t_change")
    rows = {
        table: world.query(f"SELECT * FROM {table}")
        for table in ("t_user", "t_token", "t_group", "t_relation", "t_application", "t_collection")
    }
    result = await world.sync()
    assert result.state is RunState.SUCCEEDED
    assert [result.total(what) for what in ("added", "changed", "removed", "refreshed")] == [0] * 4
    assert world.query("SELECT max(seq) FROM t_change") == before
    for table, was in rows.items():
        assert world.query(f"SELECT * FROM {table}") == was, table


async def test_the_next_epoch_brings_exactly_what_was_added_changed_and_removed(
    make_world: Callable[..., Any],
) -> None:
    world: World = await make_world(users=400)
    world.more = "[sync]\nmax_removed_percent = 60"  # a whole group may go in one step
    await world.sync()
    for epoch in (1, 2, 3):
        was = world.stored()
        world.move_on(epoch)
        result = await world.sync()
        assert result.state is RunState.SUCCEEDED, result
        world.assert_exact()
        now, seen = world.stored(), feed(world, result.run)
        for entity, view in ENTITY_VIEWS.items():
            old, new = keyed(was[view], view), keyed(now[view], view)
            assert seen.get((entity, "added"), set()) == new.keys() - old.keys(), entity
            assert seen.get((entity, "removed"), set()) == old.keys() - new.keys(), entity
            changed = {key for key in old.keys() & new.keys() if old[key] != new[key]}
            assert seen.get((entity, "changed"), set()) == changed, entity
    assert before_everything(world.database) == {}


async def test_tokens_of_suspended_users_are_not_asked_for_and_stay(
    make_world: Callable[..., Any],
) -> None:
    world: World = await make_world(users=200, suspended_percent=5.0)
    await world.sync()
    active_before = {r[0] for r in world.query("SELECT id FROM users WHERE status = 'active'")}
    world.more = "[sync]\nmax_removed_percent = 60"
    world.move_on(3)
    world.server.stats.reset()
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.SUCCEEDED, 0)
    not_active = world.query("SELECT id, status FROM users WHERE status <> 'active'")
    assert not_active
    marked = world.query(
        "SELECT parent_id, state, reason FROM collections WHERE kind = 'tokens' ORDER BY parent_id"
    )
    assert marked == sorted((id, "not_applicable", status) for id, status in not_active)
    asked = {entry[1] for entry in world.server.stats.log}
    assert not [id for id, _ in not_active if any(f"/users/{id}/tokens" in path for path in asked)]
    newly = {id for id, _ in not_active} & active_before
    marks = ",".join("?" * len(newly))
    kept = world.query(
        f"SELECT count(*), min(stale_since) FROM tokens WHERE user_id IN ({marks})", *newly
    )
    assert newly
    assert kept[0][0] > 0
    assert kept[0][1] is not None


async def test_only_some_endpoints(world: World) -> None:
    result = await world.sync(["users"])
    assert [e.endpoint for e in result.endpoints] == ["users"]
    assert world.stored()["tokens"] == set()
    # Tokens alone: for the stored users.
    result = await world.sync(["tokens"])
    assert result.state is RunState.SUCCEEDED
    assert world.stored()["tokens"] == world.truth()["tokens"]
    assert world.stored()["relations"] == set()
