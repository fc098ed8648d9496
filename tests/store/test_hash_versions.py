"""A syncd that knows more fields of an entity rewrites old rows without a flood of changes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from syncd.model import User
from syncd.store.database import Database
from syncd.store.openrun import Tally
from syncd.store.rows import RowWriter, find_rows
from syncd.store.tables import USER, Row, Table
from tests.support.feed import query

OLD = dataclasses.replace(USER, fields=tuple(f for f in USER.fields if f != "org_unit"))
"""Users as a version knew them that did not look at their unit."""
NEW = dataclasses.replace(USER, version=2, since={"org_unit": 2})


def write(db: Database, table: Table, *users: User) -> Tally:
    names: list[Row] = [(user.id,) for user in users]
    tally = Tally()
    with db.transaction():
        stored = find_rows(db, table, 1, names)
        writer = RowWriter(db, table, 1, 1, 0, stored, tally)
        for name, user in zip(names, users, strict=True):
            writer.put(name, user)
        writer.write()
    return tally


def prepared(path: Path) -> Database:
    db = Database(path)
    db.open()
    execute = db.connection.execute
    execute("INSERT INTO t_organization VALUES (1, 'acme', 'p', '', 0, 0)")
    execute("INSERT INTO t_run (organization, state, endpoints, started_at, updated_at)"
            " VALUES (1, 'running', '[]', 0, 0)")  # fmt: skip
    # Its column was empty for rows that an older version wrote.
    write(db, dataclasses.replace(OLD, fields=USER.fields), User("1", name="a"))
    old = OLD.hash(OLD.data(User("1", name="a")))
    execute("UPDATE t_user SET hash = ?", (old,))
    return db


def test_a_field_that_is_new_is_filled_without_a_change(path: Path) -> None:
    db = prepared(path)
    user = User("1", name="a", org_unit="/sales")
    assert write(db, NEW, user).counts == {"user": {"refreshed": 1}}
    assert query(path, "SELECT org_unit, hash FROM t_user") == [
        {"org_unit": "/sales", "hash": NEW.hash(NEW.data(user))}
    ]
    assert write(db, NEW, user).counts == {}
    moved = User("1", name="a", org_unit="/support")
    assert write(db, NEW, moved).counts == {"user": {"changed": 1}}
    db.close()


def test_a_change_of_a_known_field_does_not_tell_of_the_new_one(path: Path) -> None:
    db = prepared(path)
    first, last = (User("1", name=name, org_unit="/sales") for name in "bc")
    assert write(db, NEW, first, last).counts == {"user": {"changed": 1}}
    assert query(path, "SELECT before, after FROM t_change WHERE kind = 2") == [
        {"before": '{"name":"a"}', "after": '{"name":"c"}'}
    ]
    db.close()
