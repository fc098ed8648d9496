"""The few collections that are an exception: unreadable, or with nothing to read by design."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.model import ENDPOINT_OF, Collection, CollectionKind
from syncd.store.base import Exceptional
from syncd.store.database import Database
from syncd.store.openrun import OpenRun
from syncd.store.tables import PARENT_KIND

_PARENT_TABLE = {"user": "t_user", "group": "t_group"}


def note_exception(db: Database, run: OpenRun, item: Exceptional, now: float) -> None:
    """Record why a collection was not read. A row that says so already is left alone."""
    collection = item.collection
    known = db.maybe(
        "SELECT state, reason FROM t_collection WHERE organization = ? AND kind = ? AND parent = ?",
        (run.organization, str(collection.kind), collection.parent),
    )
    if known == (str(item.state), item.reason) or _went_with_its_parent(db, run, collection):
        return
    db.connection.execute(
        "INSERT INTO t_collection"
        " (organization, kind, parent, state, reason, since, last_good_at, run)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (organization, kind, parent) DO UPDATE SET state = excluded.state,"
        " reason = excluded.reason, since = excluded.since, run = excluded.run",
        (
            run.organization,
            str(collection.kind),
            collection.parent,
            str(item.state),
            item.reason,
            now,
            None if known else _last_good(db, run, collection),
            run.key,
        ),
    )


def _went_with_its_parent(db: Database, run: OpenRun, collection: Collection) -> bool:
    """Whether the user or group was removed while its collection was being asked for."""
    parent = _parent(db, run, collection)
    return parent is not None and parent[1] is not None


def _parent(db: Database, run: OpenRun, collection: Collection) -> tuple[int, int | None] | None:
    """When the user or group was first seen and was removed; None if there is none."""
    table = _PARENT_TABLE.get(PARENT_KIND.get(collection.kind, ""))
    if table is None:
        return None
    row = db.maybe(
        f"SELECT first_seen_at, removed_at FROM {table} WHERE organization = ? AND id = ?",
        (run.organization, collection.parent),
    )
    return None if row is None else (row[0], row[1])


def _last_good(db: Database, run: OpenRun, collection: Collection) -> float | None:
    """When the collection was read last: the last finished pass in which its parent was known.

    Every collection of such a pass was read, but for those that have a row here already.
    """
    last = db.maybe(
        "SELECT e.started_at, e.finished_at FROM t_run r JOIN t_endpoint e ON e.run = r.key"
        " WHERE r.organization = ? AND r.key < ? AND e.endpoint = ?"
        " AND e.state IN ('succeeded', 'partial') ORDER BY r.key DESC LIMIT 1",
        (run.organization, run.key, ENDPOINT_OF[collection.kind]),
    )
    if last is None:
        return None
    if collection.kind not in PARENT_KIND:
        return float(last[0])
    parent = _parent(db, run, collection)
    if parent is None or parent[0] > last[1]:
        return None
    return float(max(parent[0], last[0]))


def forget_exceptions(
    db: Database, organization: int, kind: CollectionKind, collections: Sequence[Collection]
) -> None:
    """These collections were read."""
    db.connection.execute(
        "DELETE FROM t_collection WHERE organization = ? AND kind = ?"
        " AND parent IN (SELECT value FROM json_each(?))",
        (organization, str(kind), json.dumps([c.parent for c in collections])),
    )


def exceptions(db: Database, organization: int, kind: CollectionKind) -> dict[str, str]:
    """Parents of unreadable collections, with the reason."""
    return dict(
        db.all(
            "SELECT parent, reason FROM t_collection"
            " WHERE organization = ? AND kind = ? AND state = 'unreadable'",
            (organization, str(kind)),
        )
    )
