"""The change feed, walked back from the live rows as anybody who queries the views can do it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

Row = dict[str, Any]
State = dict[str, dict[str, Row]]
"""entity -> key as the feed shows it -> the fields that the feed tells of"""

ENTITIES = {
    "user": ("users", ("id",)),
    "token": ("tokens", ("principal_kind", "principal_id", "application_id", "id")),
    "group": ("groups", ("id",)),
    "relation": (
        "relations",
        ("kind", "subject_kind", "subject_id", "object_kind", "object_id", "role_id"),
    ),
    "application": ("applications", ("id",)),
}
"""entity -> its view of live rows, and the columns of its key"""

FIELDS = {
    "user": ("kind", "email", "name", "status", "is_admin", "org_unit", "created_at"),
    "token": ("kind", "scopes", "native", "anonymous"),
    "group": ("email", "name", "description"),
    "relation": ("role",),
    "application": ("name",),
}


def query(path: Path, sql: str, parameters: tuple[Any, ...] = ()) -> list[Row]:
    """Rows of a query against a database file, seen as another process sees them."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, parameters)]
    finally:
        connection.close()


def live(path: Path, organization: str) -> State:
    """What the views of live rows show."""
    state: State = {}
    for entity, (view, key_columns) in ENTITIES.items():
        rows = query(path, f"SELECT * FROM {view} WHERE organization = ?", (organization,))
        state[entity] = {
            _key({name: row[name] for name in key_columns}): _fields(entity, row) for row in rows
        }
        assert len(state[entity]) == len(rows), f"{view}: a key shows up twice"
    return state


def changes(path: Path, organization: str) -> list[Row]:
    """The change feed, the oldest first, its JSON decoded."""
    rows = query(path, "SELECT * FROM changes WHERE organization = ? ORDER BY seq", (organization,))
    for row in rows:
        for name in ("key", "before", "after"):
            row[name] = None if row[name] is None else json.loads(row[name])
    return rows


def walk_back(path: Path, organization: str, run: int = 0) -> State:
    """The live rows as they were after ``run`` (0: before all runs), from the feed alone."""
    state = live(path, organization)
    for change in reversed(changes(path, organization)):
        if change["run_id"] <= run:
            break
        _undo(state[change["entity"]], _key(change["key"]), change)
    return state


def _undo(rows: dict[str, Row], key: str, change: Row) -> None:
    match change["kind"]:
        case "added":
            assert key in rows, f"added, but not there afterwards: {change}"
            del rows[key]
        case "removed":
            assert key not in rows, f"removed, but there afterwards: {change}"
            rows[key] = change["before"]
        case "changed":
            assert rows[key] | change["after"] == rows[key], f"not as changed: {change}"
            assert change["before"].keys() == change["after"].keys()
            rows[key] = rows[key] | change["before"]


def _key(columns: Row) -> str:
    return json.dumps(columns, sort_keys=True)


def _fields(entity: str, row: Row) -> Row:
    values = {name: row[name] for name in FIELDS[entity]}
    if entity == "token":
        values["scopes"] = json.loads(values["scopes"])
    if entity == "user":
        values["created_at"] = values["created_at"] or ""
    return values
