"""Rows that a complete pass did not show, and their way to a proven removal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.model import Collection, Gone, Key, Kind
from syncd.store.base import Missing
from syncd.store.database import Database
from syncd.store.lease import check_lease
from syncd.store.openrun import OpenRun
from syncd.store.tables import BY_COLLECTION, RELATION, TABLES, USER, Table

CHUNK = 5000
"""Live rows that are looked at in one transaction."""


def mark_missing(db: Database, run: OpenRun, collection: Collection, after: Key) -> Key | None:
    """Note a chunk of live rows that a complete pass over a queue's listing did not show."""
    table = BY_COLLECTION[collection.kind]
    listing = run.listing(db, collection)
    rows = db.all(
        f"SELECT key FROM {table.name} WHERE organization = ? AND removed_at IS NULL AND key > ?"
        f" ORDER BY key LIMIT {CHUNK}",
        (run.organization, after),
    )
    absent = [row[0] for row in rows if row[0] not in listing.shown]
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        note_missing(db, run, table, collection, absent)
        if not rows:
            finish_pass(db, run, table, collection)
    return Key(rows[-1][0]) if rows else None


def note_missing(
    db: Database, run: OpenRun, table: Table, collection: Collection, keys: Sequence[int]
) -> None:
    """Count a complete pass without these rows, once a run."""
    db.connection.executemany(
        "INSERT INTO t_missing (entity, row, organization, kind, parent, run, passes)"
        " VALUES (?, ?, ?, ?, ?, ?, 1) ON CONFLICT (entity, row) DO UPDATE SET"
        " passes = passes + (run <> excluded.run), run = excluded.run",
        [
            (table.code, key, run.organization, str(collection.kind), collection.parent, run.key)
            for key in keys
        ],
    )


def finish_pass(db: Database, run: OpenRun, table: Table, collection: Collection) -> None:
    """What was missing before and is not any more has been seen."""
    db.connection.execute(
        "DELETE FROM t_missing WHERE organization = ? AND kind = ? AND parent = ?"
        " AND entity = ? AND run <> ?",
        (run.organization, str(collection.kind), collection.parent, table.code, run.key),
    )


def forget(db: Database, run: OpenRun, table: Table, keys: Sequence[int]) -> None:
    """These rows wait for no witness and for no removal: they were seen, or they are removed."""
    if not keys:
        return
    for where, place in (
        ("t_missing WHERE entity = ?", (table.code,)),
        ("t_removal WHERE run = ? AND entity = ?", (run.key, table.code)),
    ):
        # Mostly there is none, and then the keys need not be looked up.
        if db.maybe(f"SELECT 1 FROM {where} LIMIT 1", place) is not None:
            db.connection.execute(
                f"DELETE FROM {where} AND row IN (SELECT value FROM json_each(?))",
                (*place, json.dumps(list(keys))),
            )


def missing(db: Database, run: OpenRun, kind: Kind, after: Key, limit: int) -> list[Missing]:
    """Rows that this run's passes did not show and that have no proof yet, in key order."""
    table = TABLES[kind]
    subject = "r.subject_id" if table is RELATION else "r.id"
    subject_kind = "r.subject_kind" if table is RELATION else "''"
    tombstone = "0"
    if table is USER:
        tombstone = "EXISTS (SELECT 1 FROM t_tombstone b WHERE b.run = m.run AND b.row = m.row)"
    rows = db.all(
        f"SELECT m.row, {subject}, m.parent, m.passes, {tombstone}, {subject_kind}"
        f" FROM t_missing m CROSS JOIN {table.name} r ON r.key = m.row"
        " WHERE m.entity = ? AND m.organization = ? AND m.run = ? AND m.row > ?"
        " AND r.removed_at IS NULL AND NOT EXISTS (SELECT 1 FROM t_removal x"
        " WHERE x.run = m.run AND x.entity = m.entity AND x.row = m.row)"
        " ORDER BY m.row LIMIT ?",
        (table.code, run.organization, run.key, after, limit),
    )
    return [
        Missing(Key(key), id, parent, passes, bool(dead), subject_kind)
        for key, id, parent, passes, dead, subject_kind in rows
    ]


def settle_missing(
    db: Database, run: OpenRun, kind: Kind, gone: Sequence[Gone], present: Sequence[Key]
) -> None:
    """Stage what is proven gone; what is there after all was not missing."""
    table = TABLES[kind]
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.executemany(
            "INSERT OR IGNORE INTO t_removal (run, entity, row, witness) VALUES (?, ?, ?, ?)",
            [(run.key, table.code, key, proof.witness) for proof in gone for key in proof.keys],
        )
        forget(db, run, table, present)
