"""Writing rows of one entity: finding what differs, and writing only that, with its history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from syncd.model import Entity
from syncd.store.database import Database
from syncd.store.openrun import Tally
from syncd.store.tables import (
    ADDED,
    CHANGED,
    REMOVED,
    Row,
    Table,
    feed_values,
    to_json,
)

Stored = tuple[int, bytes, int | None]
"""key, hash, removed_at"""

Change = tuple[int, int, int, int, int, str | None, str | None]
"""run, at, entity, row, kind, before, after"""


def write_changes(db: Database, changes: Iterable[Change]) -> None:
    """Append to the change feed."""
    db.connection.executemany(
        "INSERT INTO t_change (run, at, entity, row, kind, before, after)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        changes,
    )


def last_key(db: Database, table: str) -> int:
    """The highest key that the table ever had."""
    row = db.maybe("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,))
    return int(row[0]) if row else 0


def find_rows(db: Database, table: Table, organization: int, keys: list[Row]) -> dict[Row, Stored]:
    """Stored rows by identity. Each key is one look-up in the unique index."""
    columns = ", ".join(f"t.{name}" for name in table.key_columns)
    if len(table.key_columns) == 1:
        source = f"{table.name} t"
        where = (
            f"t.organization = ? AND t.{table.key_columns[0]} IN (SELECT value FROM json_each(?))"
        )
        parameters: tuple[Any, ...] = (organization, json.dumps([key[0] for key in keys]))
    else:
        # A plain JOIN lets SQLite scan the whole organization for each batch.
        source = f"json_each(?) j CROSS JOIN {table.name} t"
        where = "t.organization = ? AND " + " AND ".join(
            f"t.{name} = json_extract(j.value, '$[{i}]')"
            for i, name in enumerate(table.key_columns)
        )
        parameters = (json.dumps(keys), organization)
    rows = db.connection.execute(
        f"SELECT t.key, t.hash, t.removed_at, {columns} FROM {source} WHERE {where}", parameters
    )
    return {row[3:]: row[:3] for row in rows}


def find_collections(
    db: Database, table: Table, organization: int, parent_kind: str, parents: Sequence[str]
) -> dict[Row, Stored]:
    """All stored rows of whole collections, by identity."""
    columns = ", ".join(table.key_columns)
    where, parameters = "organization = ?", (organization,)
    if table.scope:
        kind, parent = table.scope
        where += f" AND {kind} = ? AND {parent} IN (SELECT value FROM json_each(?))"
        parameters += (parent_kind, json.dumps(list(parents)))  # type: ignore[assignment]
    rows = db.connection.execute(
        f"SELECT key, hash, removed_at, {columns} FROM {table.name} WHERE {where}", parameters
    )
    return {row[3:]: row[:3] for row in rows}


class RowWriter:
    """Collects what differs in one entity's table, then writes it in key order."""

    def __init__(
        self,
        db: Database,
        table: Table,
        organization: int,
        run: int,
        now: int,
        stored: dict[Row, Stored],
        tally: Tally,
    ) -> None:
        self._db = db
        self._table = table
        self._organization = organization
        self._run = run
        self._now = now
        self._stored = stored
        self._tally = tally
        self._next = last_key(db, table.name) + 1
        self._new: dict[int, Row] = {}
        self._revived: dict[int, Row] = {}
        self._differing: dict[int, tuple[bytes, Row]] = {}

    def put(self, identity: Row, entity: Entity) -> int:
        """Take in an entity as the provider shows it; returns the key of its row."""
        data = self._table.data(entity)
        digest = self._table.hash(data)
        stored = self._stored.get(identity)
        if stored is None:
            key = self._next
            self._next += 1
            self._new[key] = (*identity, *data, digest)
        elif stored[1] == digest and stored[2] is None:
            return stored[0]
        else:
            key = stored[0]
            if key in self._new:
                self._new[key] = (*identity, *data, digest)
            elif stored[2] is not None or key in self._revived:
                self._revived[key] = (*data, digest)
            else:
                # Of repeats the last counts; it is held against what the table has.
                first, _ = self._differing.get(key, (stored[1], ()))
                self._differing[key] = (first, (*data, digest))
        self._stored[identity] = (key, digest, None)
        return key

    def write(self) -> None:
        """Write what differs, and its history."""
        changes: list[Change] = []
        self._write_new(changes)
        self._write_revived(changes)
        self._write_differing(changes)
        write_changes(self._db, changes)

    def _change(self, key: int, kind: int, before: str | None, after: str | None) -> Change:
        return (self._run, self._now, self._table.code, key, kind, before, after)

    def _write_new(self, changes: list[Change]) -> None:
        if not self._new:
            return
        table = self._table
        columns = (*table.key_columns, *table.data_columns)
        marks = ", ".join("?" * (len(columns) + 5))
        self._db.connection.executemany(
            f"INSERT INTO {table.name} (key, organization, {', '.join(columns)}, hash,"
            f" first_seen_at, changed_at) VALUES ({marks})",
            [
                (key, self._organization, *row, self._now, self._now)
                for key, row in self._new.items()
            ],
        )
        changes.extend(self._change(key, ADDED, None, None) for key in self._new)
        self._tally.add(table.kind, "added", len(self._new))

    def _write_revived(self, changes: list[Change]) -> None:
        if not self._revived:
            return
        self._update(self._revived, ", removed_at = NULL, changed_at = ?", (self._now,))
        changes.extend(self._change(key, ADDED, None, None) for key in sorted(self._revived))
        self._tally.add(self._table.kind, "added", len(self._revived))

    def _write_differing(self, changes: list[Change]) -> None:
        """Rows that differ: in what makes a change, or only in what is stored along."""
        if not self._differing:
            return
        table = self._table
        names = ", ".join(table.fields)
        olds = self._db.connection.execute(
            f"SELECT key, {names} FROM {table.name} WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(list(self._differing)),),
        )
        changed: dict[int, Row] = {}
        refreshed: dict[int, Row] = {}
        for key, *old in olds:
            stored_hash, row = self._differing[key]
            before, after = self._difference(tuple(old), row, stored_hash[0])
            if before:
                changed[key] = row
                changes.append(self._change(key, CHANGED, to_json(before), to_json(after)))
            else:
                refreshed[key] = row
        self._update(changed, ", changed_at = ?", (self._now,))
        self._update(refreshed)
        self._tally.add(table.kind, "changed", len(changed))
        self._tally.add(table.kind, "refreshed", len(refreshed))

    def _difference(
        self, old: Row, row: Row, version: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields in which a row differs, among those that its hash version knew."""
        before, after = feed_values(self._table, old), feed_values(self._table, row)
        names = [n for n in self._table.known_to(version) if before[n] != after[n]]
        return {n: before[n] for n in names}, {n: after[n] for n in names}

    def _update(self, rows: dict[int, Row], also: str = "", values: Row = ()) -> None:
        names = ", ".join(f"{name} = ?" for name in self._table.data_columns)
        self._db.connection.executemany(
            f"UPDATE {self._table.name} SET {names}, hash = ?{also} WHERE key = ?",
            [(*row, *values, key) for key, row in sorted(rows.items())],
        )


def remove_rows(
    db: Database, table: Table, run: int, now: int, keys: Sequence[int], tally: Tally
) -> None:
    """Mark live rows as removed, with all that the change feed needs to bring them back."""
    rows = db.all(
        f"SELECT key, {', '.join(table.fields)} FROM {table.name}"
        " WHERE key IN (SELECT value FROM json_each(?)) AND removed_at IS NULL",
        (json.dumps(list(keys)),),
    )
    db.connection.executemany(
        f"UPDATE {table.name} SET removed_at = ? WHERE key = ?", [(now, row[0]) for row in rows]
    )
    write_changes(
        db,
        [
            (run, now, table.code, key, REMOVED, to_json(feed_values(table, tuple(data))), None)
            for key, *data in rows
        ],
    )
    tally.add(table.kind, "removed", len(rows))
