"""What holds after any sequence of runs over any directories, and wherever they are stopped."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.model import Group, Relation, Token, User
from syncd.store.sqlite import SqliteStore
from tests.store.driver import Directory, Driver, expected, state_of
from tests.support.feed import State, changes, walk_back

USER_IDS = ["u1", "u2", "u3", "u4"]
GROUP_IDS = ["g1", "g2", "g3"]
APPLICATIONS = ["a1", "a2", "a3"]
SCOPES = st.sets(st.sampled_from(["mail", "drive", "admin"])).map(lambda s: tuple(sorted(s)))


@st.composite
def users(draw: st.DrawFn, id: str) -> User:
    return User(
        id=id,
        name=draw(st.sampled_from(["", "Ann", "Bo\u0142"])),
        status=draw(st.sampled_from(["active", "suspended"])),
        is_admin=draw(st.booleans()),
        last_login_at=draw(st.sampled_from(["", "2026-01-01", "2026-01-02"])),
    )


@st.composite
def token_lists(draw: st.DrawFn, user: str) -> tuple[Token, ...]:
    applications = draw(st.lists(st.sampled_from(APPLICATIONS), unique=True))
    return tuple(
        Token(
            principal_id=user,
            application_id=application,
            scopes=draw(SCOPES),
            native=draw(st.booleans()),
            application_name=draw(st.sampled_from(["One", "Two"])),
        )
        for application in applications
    )


@st.composite
def member_lists(draw: st.DrawFn, group: str, subjects: Sequence[tuple[str, str]]) -> Any:
    chosen = draw(st.lists(st.sampled_from(subjects), unique=True))
    return tuple(
        Relation(
            object_id=group,
            subject_kind=kind,
            subject_id=id,
            role=draw(st.sampled_from(["member", "owner"])),
        )
        for kind, id in chosen
    )


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    people = draw(st.lists(st.sampled_from(USER_IDS), unique=True))
    teams = draw(st.lists(st.sampled_from(GROUP_IDS), unique=True))
    subjects = [("external", "x1"), ("everyone", "")]
    subjects += [("user", id) for id in people] + [("group", id) for id in teams]
    return Directory(
        users={id: draw(users(id)) for id in people},
        tokens={id: draw(token_lists(id)) for id in people},
        groups={id: Group(id, name=draw(st.sampled_from(["", "Team"]))) for id in teams},
        members={id: draw(member_lists(id, subjects)) for id in teams},
    )


def shown(state: State) -> dict[str, int]:
    return {entity: len(rows) for entity, rows in state.items()}


def details(path: Path) -> dict[str, Any]:
    """Everything that people can see of live rows, but for times."""
    driver = Driver(SqliteStore(path), path)
    views = ("users", "tokens", "groups", "relations", "applications")
    times = {"first_seen_at", "changed_at", "stale_since"}
    return {
        view: sorted(
            (sorted((k, v) for k, v in row.items() if k not in times) for row in driver.rows(view)),
            key=str,
        )
        for view in views
    }


def in_new_file(scenario: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(scenario(Path(folder) / "syncd.db"))


@given(runs=st.lists(directories(), min_size=1, max_size=4), size=st.integers(1, 3))
@settings(max_examples=60)
def test_live_rows_equal_the_directory_and_the_feed_walks_back_to_nothing(
    runs: list[Directory], size: int
) -> None:
    async def scenario(path: Path) -> None:
        store = SqliteStore(path)
        await store.open()
        driver = Driver(store, path)
        after: dict[int, State] = {}
        for directory in runs:
            await driver.sync(directory, size=size)
            after[driver.run] = state_of(path)
            assert shown(after[driver.run]) == expected(directory)
        for run, state in after.items():
            assert walk_back(path, "acme", run) == state
        assert not any(walk_back(path, "acme").values())
        fresh = path.with_name("fresh.db")
        alone = SqliteStore(fresh)
        await alone.open()
        await Driver(alone, fresh).sync(runs[-1], size=size)
        assert details(fresh) == details(path), "the history before must not show"
        await alone.close()
        await store.close()

    in_new_file(scenario)


class Killed(BaseException):
    """The process is no more."""


class Mortal:
    """A store whose process dies before or after its n-th call."""

    def __init__(self, store: SqliteStore, calls: int, *, after: bool) -> None:
        self._store = store
        self._left = calls
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            result = await method(*args, **kwargs)
            if self._left == 0:
                raise Killed
            return result

        return call


@given(
    runs=st.lists(directories(), min_size=1, max_size=3),
    deaths=st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=4),
    size=st.integers(1, 3),
)
@settings(max_examples=60)
def test_a_run_killed_anywhere_and_resumed_ends_like_one_that_was_not(
    runs: list[Directory], deaths: list[tuple[int, bool]], size: int
) -> None:
    async def undisturbed(path: Path) -> Any:
        store = SqliteStore(path)
        await store.open()
        driver = Driver(store, path)
        for directory in runs:
            await driver.sync(directory, size=size)
        await store.close()
        return details(path), feed(path)

    async def disturbed(path: Path) -> Any:
        left = list(deaths)
        store = SqliteStore(path)
        await store.open()
        for directory in runs:
            while True:
                calls, after = left.pop() if left else (0, False)
                mortal: Any = Mortal(store, calls, after=after)
                driver = Driver(mortal, path)
                try:
                    await driver.sync(directory, size=size)
                except Killed:
                    if over(driver):
                        break
                    # Its memory is gone; what it committed is in the file.
                    await store.close()
                    store = SqliteStore(path)
                    await store.open()
                else:
                    break
        await store.close()
        return details(path), feed(path)

    def over(driver: Driver) -> bool:
        """Whether it died with its run closed: then there is nothing to resume."""
        return any(row["id"] == driver.run and row["finished_at"] for row in driver.rows("runs"))

    assert in_new_file(undisturbed) == in_new_file(disturbed)


def feed(path: Path) -> list[Any]:
    """The change feed without its times and numbers, in an order of its own."""
    names = ("run_id", "entity", "kind", "key", "before", "after")
    return sorted(([row[n] for n in names] for row in changes(path, "acme")), key=str)


@pytest.mark.slow
@given(runs=st.lists(directories(), min_size=5, max_size=12))
@settings(max_examples=30)
def test_the_feed_walks_back_to_nothing_after_many_runs(runs: list[Directory]) -> None:
    async def scenario(path: Path) -> None:
        store = SqliteStore(path)
        await store.open()
        driver = Driver(store, path)
        for directory in runs:
            await driver.sync(directory, size=3)
        assert not any(walk_back(path, "acme").values())
        await store.close()

    in_new_file(scenario)
