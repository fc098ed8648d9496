"""What must always hold: one test, or one group of tests, for each invariant, named after it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import random
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.check_layers import main as check_layers
from syncd.demo import FaultPlan, FaultRule
from syncd.errors import ExitCode
from syncd.model import RunState
from syncd.sync.supervisor import RunOptions
from tests.support import process
from tests.support.history import before_everything, digest
from tests.support.world import ALL, World

ROOT = Path(__file__).resolve().parents[2]
MakeWorld = Callable[..., Any]


def paths_asked(world: World) -> list[str]:
    """Paths of the API that were asked for, without the token endpoint."""
    return [path for _, path, _ in world.server.stats.log if path.startswith("/admin")]


@pytest.mark.parametrize("seed", range(6))
async def test_invariant_1_exactly_once_whatever_the_limits_and_batch_sizes_do(
    make_world: MakeWorld, seed: int
) -> None:
    chance = random.Random(seed)
    world: World = await make_world(users=120)
    world.more = (
        f"[sync]\ncommit_collections = {chance.choice([1, 2, 7, 100])}\n"
        f'commit_interval = "{chance.choice(["50ms", "1s"])}"'
    )
    async with world.supervisor() as (supervisor, runner):

        async def govern() -> None:
            while True:
                for route in (*ALL, "main"):
                    runner.governor.route(route).resize(chance.choice([1, 1, 2, 3, 8, 64]))
                await asyncio.sleep(0)

        governing = asyncio.create_task(govern())
        result = await supervisor.run(RunOptions(ALL))
        governing.cancel()
    assert result.state is RunState.SUCCEEDED
    asked = paths_asked(world)
    # The one question for the customer apart, nothing was asked twice.
    assert len(asked) == len(set(asked))
    tokens = [path for path in asked if "/tokens" in path]
    readable = {user.id for user in world.directory.iter_users() if user.status == "active"}
    assert len(tokens) == len(readable)
    world.assert_exact()


async def test_invariant_1_main_limit_forced_to_1_in_mid_run_and_the_run_ends(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=100, latency={"tokens": 0.002, "users": 0.01})
    async with world.supervisor() as (supervisor, runner):
        running = asyncio.create_task(supervisor.run(RunOptions(ALL)))
        while world.server.stats.requests["tokens"] < 20:
            await asyncio.sleep(0)
        runner.governor.route("main").resize(1)
        assert (await running).state is RunState.SUCCEEDED
    world.assert_exact()


def test_invariant_2_only_the_ledger_builds_a_proof() -> None:
    assert check_layers([]) == 0


async def test_invariant_2_every_token_list_empty_removes_nothing_and_the_guard_says_so(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=80)
    await world.sync()
    before = world.stored()
    world.fail("empty_tokens")
    for passes in (1, 2, 3):
        result = await world.sync()
        assert world.stored() == before
        assert result.counts["token"]["held"] == len(before["tokens"])
        held = world.query("SELECT entity, rows, passes FROM held_removals")
        assert held == [("token", len(before["tokens"]), passes)]
    # The user may let them through.
    assert (await world.sync(allow_removals=True)).total("held") == 0
    assert world.stored()["tokens"] == set()
    assert not world.query("SELECT * FROM held_removals")
    assert before_everything(world.database) == {}


async def test_invariant_2_a_listing_that_leaves_items_out_removes_none_that_is_there(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=300)
    await world.sync()
    for share in (0.02, 0.3):
        world.fail("missing_items", options={"share": share})
        result = await world.sync()
        # Each missing row was asked for by itself, and the provider said that it is there.
        assert result.total("removed") == 0
        assert world.server.faults.hits["missing_items"] > 0
        world.assert_exact()


async def test_invariant_2_without_an_answer_a_missing_row_goes_after_two_complete_passes(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=300)
    world.organization = "retries = 0"
    await world.sync(["users"])
    before = world.stored()["users"]
    world.move_on(1)
    gone = {row[0] for row in before} - {row[0] for row in world.truth()["users"]}
    # Neither tombstones nor a user's own GET can be had.
    no_witness = FaultRule("internal_500", path="showDeleted=true|/users/[0-9]+\\?")
    world.server.faults = FaultPlan([no_witness])
    first = await world.sync(["users"])
    assert first.total("removed") == 0
    assert gone <= {row[0] for row in world.stored()["users"]}
    second = await world.sync(["users"])
    assert second.counts["user"]["removed"] == len(gone)
    assert world.stored()["users"] == world.truth()["users"]
    witnesses = world.query("SELECT count(*) FROM users_all WHERE removed_at IS NOT NULL")
    assert witnesses == [(len(gone),)]


async def test_invariant_2_an_unreadable_listing_is_never_an_empty_one(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=60)
    world.organization = "retries = 0"
    await world.sync()
    before = world.stored()
    for fault in ("forbidden_403", "empty_object", "error_in_200", "internal_500", "not_found_404"):
        world.fail(fault, path="^/admin/directory/v1/(users|groups)\\?.*maxResults=[^1]")
        result = await world.sync()
        assert result.state is not RunState.SUCCEEDED, fault
        assert world.stored() == before, fault


async def test_invariant_3_one_transaction_holds_rows_changes_seen_cursor_and_progress(
    make_world: MakeWorld,
) -> None:
    """The database itself refuses a write in the middle of a batch: nothing of it stays."""
    world: World = await make_world(users=1100)
    for table in ("t_change", "t_page", "t_reading", "t_token", "t_run", "t_endpoint"):
        world.database.unlink(missing_ok=True)
        await world.sync(["users"])
        world.database.unlink()
        async with world.supervisor():
            pass
        action = "UPDATE" if table in {"t_run", "t_endpoint", "t_reading"} else "INSERT"
        with contextlib.closing(sqlite3.connect(world.database)) as connection:
            connection.execute("CREATE TABLE x_count (n INTEGER)")
            connection.execute("INSERT INTO x_count VALUES (0)")
            connection.execute(
                f"CREATE TRIGGER x_refuse BEFORE {action} ON {table}"
                " WHEN (SELECT n FROM x_count) >= 2 BEGIN SELECT raise(ABORT, 'refused'); END"
            )
            # Counted at the change feed's batches: the third batch is the one that is refused.
            connection.execute(
                "CREATE TRIGGER x_counting AFTER UPDATE OF counts ON t_run"
                " BEGIN UPDATE x_count SET n = n + 1; END"
            )
            connection.commit()
        with pytest.raises(sqlite3.IntegrityError, match="refused"):
            await world.sync()
        _assert_consistent(world)
        with contextlib.closing(sqlite3.connect(world.database)) as connection:
            connection.executescript("DROP TRIGGER x_refuse; DROP TRIGGER x_counting;")
        assert (await world.sync()).state is RunState.SUCCEEDED, table
        world.assert_exact()
        assert before_everything(world.database) == {}


def _assert_consistent(world: World) -> None:
    """Every row has its change record, and every user of a committed page was seen."""
    assert before_everything(world.database) == {}
    pages = world.query("SELECT count(*), coalesce(sum(json_array_length(shown)), 0) FROM t_page")
    users = world.query("SELECT count(*) FROM users")[0][0]
    groups = world.query("SELECT count(*) FROM groups")[0][0]
    assert pages[0][1] == users + groups


@pytest.mark.parametrize("seed", range(8))
async def test_invariant_4_cut_off_at_any_await_and_resumed_it_ends_like_an_undisturbed_run(
    make_world: MakeWorld, tmp_path: Path, seed: int
) -> None:
    """The same with real processes and SIGKILL: tests/integration/test_kill.py."""
    chance = random.Random(seed)
    world: World = await make_world(users=90)
    await world.sync()
    world.move_on(1)
    world.more = "[sync]\ncommit_collections = 5\nmax_removed_percent = 60"
    undisturbed = tmp_path / "undisturbed.db"
    with contextlib.closing(sqlite3.connect(world.database)) as source:
        source.execute("VACUUM INTO ?", (str(undisturbed),))
    runs = set()
    for _ in range(12):
        async with world.supervisor() as (supervisor, _runner):
            running = asyncio.create_task(supervisor.run(RunOptions(ALL)))
            for _ in range(chance.randrange(400)):
                await asyncio.sleep(0)
                if running.done():
                    break
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running
            runs.add(supervisor.progress.run)
    result = await world.sync()
    assert result.state is RunState.SUCCEEDED
    world.assert_exact()
    assert before_everything(world.database) == {}
    disturbed = digest(world.database)
    undisturbed.replace(world.database)
    await world.sync()
    assert digest(world.database) == disturbed


def test_invariant_6_nobody_but_the_governor_measures_the_machine() -> None:
    """Reading one's own process number and start is no measurement."""
    allowed = {ROOT / "syncd/host/process.py"}
    offenders = []
    for path in (ROOT / "syncd").rglob("*.py"):
        if path.is_relative_to(ROOT / "syncd/governor") or path in allowed:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names = ["/proc"] if re.match(r"/(proc|sys/fs/cgroup)\b", node.value) else []
            elif isinstance(node, ast.Attribute):
                names = [node.attr] if node.attr in {"getloadavg", "process_time"} else []
            measuring = {"psutil", "resource", "/proc", "getloadavg", "process_time"}
            offenders += [f"{path}:{name}" for name in names if name in measuring]
    assert offenders == []


async def test_invariant_7_identity_is_the_immutable_id(make_world: MakeWorld) -> None:
    world: World = await make_world(users=300)
    world.more = "[sync]\nmax_removed_percent = 60"
    await world.sync()
    before = {row[0]: row[1] for row in world.stored()["users"]}
    recreated: set[str] = set()
    for epoch in range(1, 8):
        world.move_on(epoch)
        await world.sync()
        after = {row[0]: row[1] for row in world.stored()["users"]}
        owners = {email: id for id, email in before.items()}
        recreated |= {i for i, e in after.items() if e in owners and owners[e] != i}
        renamed = {i for i in after.keys() & before.keys() if after[i] != before[i]}
        changed = world.query(
            "SELECT count(*) FROM changes WHERE entity='user' AND kind='changed'"
            " AND json_extract(before, '$.email') IS NOT NULL"
        )
        assert changed[0][0] >= len(renamed) > 0
        before = after
    # A new user under a known e-mail address is another row.
    assert recreated
    for id in recreated:
        rows = world.query(
            "SELECT count(DISTINCT id) FROM users_all WHERE email ="
            " (SELECT email FROM users_all WHERE id = ?)",
            id,
        )
        assert rows[0][0] >= 2


async def test_invariant_7_scopes_in_another_order_are_no_change(world: World) -> None:
    await world.sync()
    # The demo serves scopes in another order to each request, some of them twice.
    result = await world.sync()
    assert result.counts["token"].get("changed", 0) == 0
    assert result.counts["token"]["read"] > 0


@pytest.mark.parametrize("fault", ["forbidden_403", "internal_500", "invalid_json", "hang"])
async def test_invariant_8_one_bad_user_or_group_never_ends_the_others_work(
    world: World, fault: str
) -> None:
    user = min(row[0] for row in world.truth()["tokens"])
    group = min(row[0] for row in world.truth()["relations"])
    world.organization = "retries = 0\nrequest_timeout = '1s'"
    world.fail(fault, path=f"/({user}/tokens|{group}/members)")
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.PARTIAL, ExitCode.PARTIAL)
    assert result.unreadable == 2
    for name, bad in (("tokens", user), ("relations", group)):
        good = {row for row in world.truth()[name] if row[0] != bad}
        assert world.stored()[name] == good


async def test_invariant_8_one_bad_organization_never_ends_the_others_work(
    make_world: MakeWorld,
) -> None:
    world: World = await make_world(users=40)
    world.config()
    path = world.folder / "config.toml"
    text = path.read_text()
    other = text[text.index("[[organization]]") :].replace('"acme"', '"broken"')
    path.write_text(text + other.replace("key.json", "nowhere.json"))
    done = await asyncio.to_thread(process.run, path, "sync")
    assert done.returncode == ExitCode.PARTIAL
    assert "nowhere.json" in done.stderr
    world.assert_exact()
