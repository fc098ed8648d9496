"""Removals that have their proof: judged as one sum, then carried out in chunks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

from syncd.model import Kind
from syncd.store.base import Counts, Hold, Staged
from syncd.store.database import Database
from syncd.store.lease import beat, check_lease
from syncd.store.missing import forget
from syncd.store.openrun import OpenRun, Tally, note_unsettled
from syncd.store.rows import remove_rows
from syncd.store.tables import GROUP, RELATION, TABLES, TOKEN, USER, Table


def staged(db: Database, run: OpenRun, kind: Kind) -> Staged:
    """The staged removals of an entity as one sum, with a digest of which rows they are."""
    table = TABLES[kind]
    digest, rows = blake2b(digest_size=16), 0
    for (key,) in db.connection.execute(
        "SELECT row FROM t_removal WHERE run = ? AND entity = ? ORDER BY row",
        (run.key, table.code),
    ):
        digest.update(b"%d," % key)
        rows += 1
    live = 0
    if rows:
        live = db.one(
            f"SELECT count(*) FROM {table.name} WHERE organization = ? AND removed_at IS NULL",
            (run.organization,),
        )[0]
        # What this run itself has added must not make its removals look small.
        live = max(rows, live - run.counts.get(kind, {}).get("added", 0))
    return Staged(rows, live, digest.hexdigest(), _held(db, run, table, rows))


def _held(db: Database, run: OpenRun, table: Table, rows: int) -> Hold | None:
    """What was held before this run.

    A run that was stopped after it held its removals may come here again: the pass that it has
    counted then is not counted twice, and where nothing is staged a second time all stays held.
    """
    held = db.maybe(
        "SELECT digest, rows, passes, first_at, run FROM t_hold"
        " WHERE organization = ? AND entity = ?",
        (run.organization, table.code),
    )
    if held is None:
        return None
    digest, held_rows, passes, first_at, held_by = held
    if held_by == run.key:
        if not rows:
            return None
        passes = max(0, passes - 1)
    return Hold(digest, held_rows, passes, first_at)


def hold(db: Database, run: OpenRun, kind: Kind, sum_: Staged, now: float, *, full: bool) -> int:
    """Hold the staged removals back; returns the complete passes with this same result."""
    table = TABLES[kind]
    same = sum_.hold if sum_.hold is not None and sum_.hold.digest == sum_.digest else None
    passes = (same.passes if same else 0) + int(full)
    # The time runs from the first complete pass with this result.
    first_at = same.first_at if same and same.passes else now
    tally = Tally()
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        known = db.maybe(
            "SELECT rows FROM t_hold WHERE organization = ? AND entity = ? AND run = ?",
            (run.organization, table.code, run.key),
        )
        tally.add(kind, "held", sum_.rows - (known[0] if known else 0))
        db.connection.execute(
            "DELETE FROM t_removal WHERE run = ? AND entity = ?", (run.key, table.code)
        )
        db.connection.execute(
            "INSERT OR REPLACE INTO t_hold"
            " (organization, entity, digest, rows, live, passes, first_at, last_at, run)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.organization,
                table.code,
                sum_.digest,
                sum_.rows,
                sum_.live,
                passes,
                first_at,
                now,
                run.key,
            ),
        )
        count_in_run(db, run, tally)
    run.add(tally.counts)
    return passes


def unhold(db: Database, run: OpenRun, kind: Kind) -> None:
    """Forget that removals of this entity were held."""
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            "DELETE FROM t_hold WHERE organization = ? AND entity = ?",
            (run.organization, TABLES[kind].code),
        )


def sweep(db: Database, run: OpenRun, kind: Kind, now: float, limit: int) -> Counts | None:
    """Carry out a chunk of the staged removals, with what hangs on each."""
    table = TABLES[kind]
    keys = [
        row[0]
        for row in db.all(
            "SELECT row FROM t_removal WHERE run = ? AND entity = ? ORDER BY row LIMIT ?",
            (run.key, table.code, limit),
        )
    ]
    if not keys:
        return None
    tally = Tally()
    with db.transaction():
        beat(db, run.organization, run.owner, now)
        _take_along(db, run, table, keys, int(now), tally)
        _remove(db, run, table, keys, int(now), tally)
        note_unsettled(db, run.organization, tally)
        count_in_run(db, run, tally)
    run.add(tally.counts)
    return tally.counts


def _take_along(
    db: Database, run: OpenRun, table: Table, keys: Sequence[int], now: int, tally: Tally
) -> None:
    """What cannot outlive a row goes with it: a user's tokens and memberships, a group's too."""
    if table not in (USER, GROUP):
        return
    ids = [
        row[0]
        for row in db.all(
            f"SELECT id FROM {table.name} WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps(keys),),
        )
    ]
    subject = "user" if table is USER else "group"
    if table is USER:
        where = "principal_kind = 'user' AND principal_id IN (SELECT value FROM json_each(?))"
        _remove_where(db, run, TOKEN, where, ids, now, tally)
    else:
        where = "object_kind = 'group' AND object_id IN (SELECT value FROM json_each(?))"
        _remove_where(db, run, RELATION, where, ids, now, tally)
    where = f"subject_kind = '{subject}' AND subject_id IN (SELECT value FROM json_each(?))"
    _remove_where(db, run, RELATION, where, ids, now, tally)
    db.connection.execute(
        "DELETE FROM t_collection WHERE organization = ? AND kind = ?"
        " AND parent IN (SELECT value FROM json_each(?))",
        (run.organization, "tokens" if table is USER else "members", json.dumps(ids)),
    )


def _remove_where(
    db: Database,
    run: OpenRun,
    table: Table,
    where: str,
    ids: Sequence[str],
    now: int,
    tally: Tally,
) -> None:
    rows = db.all(
        f"SELECT key FROM {table.name} WHERE organization = ? AND removed_at IS NULL AND {where}",
        (run.organization, json.dumps(ids)),
    )
    _remove(db, run, table, [row[0] for row in rows], now, tally)


def _remove(
    db: Database, run: OpenRun, table: Table, keys: Sequence[int], now: int, tally: Tally
) -> None:
    remove_rows(db, table, run.key, now, keys, tally)
    forget(db, run, table, keys)


def count_in_run(db: Database, run: OpenRun, tally: Tally) -> None:
    """Write the run's counts as they will be once this transaction is in."""
    total = OpenRun(run.key, run.organization, run.owner)
    total.add(run.counts)
    total.add(tally.counts)
    db.connection.execute(
        "UPDATE t_run SET counts = ? WHERE key = ?", (json.dumps(total.counts), run.key)
    )
