"""Applications are known only through tokens: they come, are named and go with them."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter

from syncd.model import Key
from syncd.store.database import Database
from syncd.store.lease import check_lease
from syncd.store.openrun import OpenRun, Tally
from syncd.store.removals import count_in_run
from syncd.store.rows import Change, write_changes
from syncd.store.tables import ADDED, APPLICATION_CODE, CHANGED, REMOVED, to_json


def settle_applications(
    db: Database, run: OpenRun, after: Key, now: float, limit: int
) -> Key | None:
    """Bring a chunk of applications up to date with the live tokens; None when done.

    An application lives while a live token names it, and is called what most of these call it
    (of equals the first in order), so that the result does not hang on who was read last.
    """
    if after == 0 and not _unsettled(db, run.organization):
        return None
    keys = [
        row[0]
        for row in db.all(
            "SELECT key FROM t_application WHERE organization = ? AND key > ? ORDER BY key LIMIT ?",
            (run.organization, after, limit),
        )
    ]
    if not keys:
        with db.transaction():
            check_lease(db, run.organization, run.owner)
            db.connection.execute(
                "UPDATE t_organization SET unsettled = 0 WHERE key = ?", (run.organization,)
            )
        return None
    rows = db.connection.execute(
        "SELECT a.key, a.name, a.changed_at, a.removed_at, t.application_name, count(t.key)"
        " FROM t_application a LEFT JOIN t_token t"
        " ON t.application = a.key AND t.removed_at IS NULL"
        " WHERE a.key IN (SELECT value FROM json_each(?))"
        " GROUP BY a.key, t.application_name ORDER BY a.key, count(t.key) DESC, t.application_name",
        (json.dumps(keys),),
    )
    tally, changes = Tally(), list[Change]()
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        for _, named in groupby(rows.fetchall(), key=itemgetter(0)):
            changes += _settle(db, run, next(named), int(now), tally)
        write_changes(db, changes)
        count_in_run(db, run, tally)
    run.add(tally.counts)
    return Key(keys[-1])


def _unsettled(db: Database, organization: int) -> bool:
    """Whether tokens were written since applications were brought up to date."""
    return bool(db.one("SELECT unsettled FROM t_organization WHERE key = ?", (organization,))[0])


def _settle(
    db: Database,
    run: OpenRun,
    row: tuple[int, str, int, int | None, str | None, int],
    now: int,
    tally: Tally,
) -> list[Change]:
    """One application, given the name that most of its live tokens show."""
    key, name, changed_at, removed_at, wanted, tokens = row
    known = removed_at is None
    before = after = None
    values: tuple[object, ...]
    if tokens == 0 and known:
        kind, what = REMOVED, "removed"
        before = to_json({"name": name})
        assignment, values = "removed_at = ?", (now,)
    elif tokens and not known:
        kind, what = ADDED, "added"
        assignment, values = "removed_at = NULL, changed_at = ?, name = ?", (now, wanted)
    elif tokens and changed_at == 0:
        # Until now it had the name of whichever token came first: to settle it is no change.
        db.connection.execute(
            "UPDATE t_application SET name = ?, changed_at = first_seen_at WHERE key = ?",
            (wanted, key),
        )
        return []
    elif tokens and wanted != name:
        kind, what = CHANGED, "changed"
        before, after = to_json({"name": name}), to_json({"name": wanted})
        assignment, values = "changed_at = ?, name = ?", (now, wanted)
    else:
        return []
    db.connection.execute(f"UPDATE t_application SET {assignment} WHERE key = ?", (*values, key))
    tally.add("application", what)
    return [(run.key, now, APPLICATION_CODE, key, kind, before, after)]
