"""Statements that run for each batch find their rows by index, however large the tables are."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator

import pytest

from syncd.model import CollectionKind, Group, Key, Kind, User
from syncd.store.sqlite import SqliteStore
from tests.store.driver import (
    DELETED,
    GROUPS,
    USERS,
    Driver,
    member,
    members_of,
    token,
    tokens_of,
)

SCAN = re.compile(r"SCAN (t_(?:user|token|relation|group|application|missing|change)|[a-z])\b")

ALLOWED = "j"
"""``json_each``: the batch itself."""


@pytest.fixture
async def traced(acme: Driver) -> AsyncIterator[tuple[Driver, list[str]]]:
    """A run in a database with rows, and the statements that it runs from now on."""
    await acme.page(USERS, *(User(str(n)) for n in range(300)))
    for user in range(100):
        await acme.whole(tokens_of(str(user)), token(str(user), "a"), token(str(user), "b"))
    await acme.page(GROUPS, *(Group(str(n)) for n in range(50)))
    for group in range(50):
        await acme.page(members_of(str(group)), *(member(str(group), str(n)) for n in range(4)))
    await acme.finish()
    await acme.begin()
    assert isinstance(acme.store, SqliteStore)
    connection = acme.store._db.connection  # noqa: SLF001  its statements are what is tested
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    yield acme, statements
    connection.set_trace_callback(None)


def scans(acme: Driver, statements: list[str]) -> list[str]:
    """Statements that look at all rows of a table, with the step that does."""
    connection = sqlite3.connect(acme.path)
    try:
        found = []
        for statement in dict.fromkeys(statements):
            if not re.match(r"\s*(SELECT|UPDATE|DELETE|INSERT)", statement):
                continue
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                match = SCAN.match(step)
                if match and match[1] != ALLOWED:
                    found.append(f"{step}: {statement[:200]}")
        return found
    finally:
        connection.close()


async def test_a_batch_scans_no_table(traced: tuple[Driver, list[str]]) -> None:
    acme, statements = traced
    await acme.page(USERS, User("7", name="x"), User("new"))
    await acme.page(DELETED, User("8"))
    await acme.whole(tokens_of("7"), token("7", "a", "scope"), token("7", "c"))
    await acme.page(GROUPS, Group("7", name="x"), Group("new"))
    await acme.page(members_of("7"), member("7", "1", role="owner"), member("7", "new"))
    await acme.page(tokens_of("8"), token("8", "b"))
    await acme.unreadable(tokens_of("9"))
    assert len(statements) > 50
    assert scans(acme, statements) == []


async def test_the_queue_scans_no_table(traced: tuple[Driver, list[str]]) -> None:
    acme, statements = traced
    await acme.page(USERS, User("7"))
    await acme.store.queue(acme.run, CollectionKind.USERS, 0, 500)
    await acme.store.queue_length(acme.run, CollectionKind.USERS)
    await acme.store.exceptions(acme.organization, CollectionKind.TOKENS)
    assert scans(acme, statements) == []


async def test_what_is_missing_and_what_is_removed_are_found_by_index(
    traced: tuple[Driver, list[str]],
) -> None:
    acme, statements = traced
    await acme.page(USERS, *(User(str(n)) for n in range(290)))
    await acme.page(GROUPS, *(Group(str(n)) for n in range(45)))
    await acme.page(members_of("7"), member("7", "1"))
    await acme.whole(tokens_of("7"))
    await acme.mark_missing(GROUPS)
    statements.clear()
    for kind in Kind:
        await acme.store.missing(acme.run, kind, Key(0), 50)
        await acme.settle(kind, gone=["299", "49", "0"])
        await acme.store.sweep(acme.run, kind, acme.now, 500)
    await acme.store.settle_applications(acme.run, Key(0), acme.now, 500)
    removed = acme.rows("relations_all", "removed_at IS NOT NULL")
    assert removed, "the removals are in the trace"
    assert scans(acme, statements) == []


async def test_the_rest_of_a_queue_is_looked_for_where_the_last_chunk_ended(
    traced: tuple[Driver, list[str]],
) -> None:
    acme, statements = traced
    await acme.page(USERS, User("7"))
    assert await acme.store.queue_rest(acme.run, CollectionKind.USERS, 100)
    statements.clear()
    assert await acme.store.queue_rest(acme.run, CollectionKind.USERS, 100)
    looked = [s for s in statements if "FROM t_user" in s]
    assert len(looked) == 1
    assert "key > 101 " in looked[0]
    assert scans(acme, statements) == []


async def test_what_a_group_has_shown_is_not_kept_in_memory(
    traced: tuple[Driver, list[str]],
) -> None:
    acme, _ = traced
    assert isinstance(acme.store, SqliteStore)
    run = acme.store._runs[acme.run]  # noqa: SLF001  its memory is what is tested
    await acme.page(members_of("7"), member("7", "1"), next="n")
    assert list(run.listings) == [members_of("7")]
    await acme.page(members_of("7"), member("7", "2"))
    assert not run.listings


def test_a_scan_would_be_seen() -> None:
    assert SCAN.match("SCAN t_user")
    assert SCAN.match("SCAN t USING INDEX sqlite_autoindex_t_token_1")
    assert not SCAN.match("SEARCH t USING INTEGER PRIMARY KEY (rowid=?)")
