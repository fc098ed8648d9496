"""kill -9 at any moment: the next start goes on, and the database ends as if nothing had been."""

from __future__ import annotations

import contextlib
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from syncd.demo import Directory as Truth
from tests.support import process
from tests.support.history import before_everything, digest
from tests.support.world import assert_same, stored, truth

pytestmark = [pytest.mark.system, pytest.mark.slow]

USERS = 300


def one(database: Path, sql: str) -> object:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(sql).fetchone()[0]


def test_killed_at_20_random_moments_it_ends_with_the_exact_rows(tmp_path: Path) -> None:
    chance = random.Random(7)
    quiet = tmp_path / "undisturbed"
    quiet.mkdir()
    options = (
        "--users",
        str(USERS),
        "--latency",
        "tokens=0.004,users=0.02,groups=0.01,members=0.01",
    )
    with process.directory(tmp_path, *options) as server:
        config = process.write_config(quiet, server)
        assert process.run(config, "sync").returncode == 0
        started = time.monotonic()
        undisturbed = process.run(config, "sync")
        length = time.monotonic() - started
        assert undisturbed.returncode == 0

        config = process.write_config(tmp_path, server, more="[sync]\ncommit_interval = '50ms'")
        database = tmp_path / "syncd.db"
        kills = 0
        while kills < 20:
            child = process.start(config, "sync")
            # Anywhere in a run's time, start-up included; most kills hit the work itself.
            time.sleep(chance.uniform(0.2, 1.0) * length * 0.6)
            if child.poll() is None:
                process.kill(child)
                kills += 1
            else:
                # It was through before the kill: the next run is one like any other.
                assert child.communicate()[1] is not None
                assert child.returncode == 0
        last = process.run(config, "sync")
        assert last.returncode == 0, last.stderr
        directory = Truth(users=USERS)
        assert_same(stored(database), truth(directory), database)
        assert digest(database) == digest(quiet / "syncd.db")
        assert before_everything(database) == {}


def test_after_a_kill_only_what_was_not_committed_is_asked_for_again(tmp_path: Path) -> None:
    options = ("--users", str(USERS), "--latency", "tokens=0.02,users=0.02")
    with process.directory(tmp_path, *options) as server:
        config = process.write_config(tmp_path, server, more="[sync]\ncommit_collections = 20")
        database = tmp_path / "syncd.db"
        child = process.start(config, "sync")
        while server.requests().get("tokens", 0) < 120:
            time.sleep(0.02)
        process.kill(child)
        asked = server.requests()["tokens"]
        run_before = one(database, "SELECT max(key) FROM t_run")
        again = process.run(config, "sync")
        assert again.returncode == 0, again.stderr
        assert one(database, "SELECT max(key) FROM t_run") == run_before
        readable = sum(user.status == "active" for user in Truth(users=USERS).iter_users())
        second = server.requests()["tokens"] - asked
        batch, in_flight = 20, 2
        assert second <= readable - asked + 2 * batch + in_flight
        assert_same(stored(database), truth(Truth(users=USERS)), database)


def test_killed_between_two_pages_of_users_exactly_the_one_who_is_gone_is_removed(
    tmp_path: Path,
) -> None:
    before = Truth(users=1200)
    with process.directory(tmp_path, "--users", "1200", "--latency", "users=0.4") as server:
        config = process.write_config(tmp_path, server)
        assert process.run(config, "sync", "--endpoint", "users").returncode == 0
        server.control("epoch", {"epoch": 1})
        server.control("reset_stats", {})
        child = process.start(config, "sync", "--endpoint", "users")
        # The second page is under way, the first one committed.
        while server.requests().get("users", 0) < 3:
            time.sleep(0.01)
        time.sleep(0.2)
        process.kill(child)
        done = process.run(config, "sync", "--endpoint", "users")
        assert done.returncode == 0, done.stderr
    database = tmp_path / "syncd.db"
    gone = {u.id for u in before.iter_users()} - {u.id for u in before.at(1).iter_users()}
    with contextlib.closing(sqlite3.connect(database)) as connection:
        removed = {
            row[0]
            for row in connection.execute("SELECT id FROM users_all WHERE removed_at IS NOT NULL")
        }
        resumes = connection.execute("SELECT resumes FROM t_run ORDER BY key DESC").fetchone()[0]
    assert gone
    assert removed == gone
    assert resumes == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_commits_what_was_read_and_the_next_sync_goes_on(
    tmp_path: Path, number: signal.Signals
) -> None:
    with process.directory(tmp_path, "--users", "200", "--latency", "tokens=0.02") as server:
        config = process.write_config(tmp_path, server)
        child = process.start(config, "sync")
        while server.requests().get("tokens", 0) < 60:
            time.sleep(0.02)
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130, err
        assert "Traceback" not in err
        asked = server.requests()["tokens"]
        kept = one(tmp_path / "syncd.db", "SELECT count(DISTINCT user_id) FROM tokens")
        assert int(str(kept)) >= 40
        again = process.run(config, "sync")
        assert again.returncode == 0, again.stderr
        readable = sum(user.status == "active" for user in Truth(users=200).iter_users())
        assert server.requests()["tokens"] <= readable + 20
        assert asked < readable
    database = tmp_path / "syncd.db"
    assert_same(stored(database), truth(Truth(users=200)), database)
