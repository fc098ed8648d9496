"""Listings that come in pages: where they go on, what they showed, and the work that follows."""

from __future__ import annotations

import bisect
import json
from collections.abc import Container

from syncd.model import Collection, CollectionKind
from syncd.store.base import AtomicRead, PagedRead, QueueItem, Reading
from syncd.store.database import Database
from syncd.store.lease import check_lease
from syncd.store.missing import finish_pass, forget, note_missing
from syncd.store.openrun import OpenRun
from syncd.store.tables import BY_COLLECTION, PARENT_KIND, Table

QUEUES = (CollectionKind.USERS, CollectionKind.GROUPS)
"""Listings whose rows are work for somebody: a user's tokens, a group's members."""


def reading(db: Database, run: int, collection: Collection) -> Reading | None:
    """Where a paged listing goes on; None when it has not begun."""
    row = db.maybe(
        "SELECT cursor, pages, proven, restarts FROM t_reading"
        " WHERE run = ? AND kind = ? AND parent = ?",
        (run, str(collection.kind), collection.parent),
    )
    return None if row is None else Reading(row[0], row[1], bool(row[2]), row[3])


def record_page(db: Database, run: OpenRun, table: Table, read: PagedRead, keys: list[int]) -> bool:
    """Record what a page showed and the cursor behind it; True when the listing is complete."""
    known = reading(db, run.key, read.collection)
    whole = not any(not bad.id for bad in read.page.bad) and read.page.marked
    forget(db, run, table, keys)
    if known is None and read.page.next is None and read.collection.kind not in QUEUES:
        # One page that is all of it needs no memory of what it showed.
        if whole and len(set(keys)) == len(keys):
            _finish_members(db, run, table, read.collection, set(keys))
        return True
    is_queue = read.collection.kind in QUEUES
    listing = run.listing(db, read.collection)
    fresh = [key for key in keys if listing.shown.add(key)]
    queued = [key for key in fresh if listing.queued.add(key)] if is_queue else []
    first = len(listing.queued) - len(queued)
    db.connection.execute(
        "INSERT INTO t_page (run, kind, parent, page, first, shown, queued)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            run.key,
            str(read.collection.kind),
            read.collection.parent,
            len(listing.firsts),
            first,
            json.dumps(fresh, separators=(",", ":")),
            None if queued == fresh or not is_queue else json.dumps(queued, separators=(",", ":")),
        ),
    )
    listing.firsts.append(first)
    proven = whole and len(fresh) == len(keys) and (known is None or known.proven)
    _advance(db, run, read, proven=proven)
    complete = read.page.next is None
    if complete and not is_queue:
        if proven:
            _finish_members(db, run, table, read.collection, listing.shown)
        # There are many such listings, and nobody asks again what this one has shown.
        del run.listings[read.collection]
    return complete


def _advance(db: Database, run: OpenRun, read: AtomicRead | PagedRead, *, proven: bool) -> None:
    db.connection.execute(
        "INSERT INTO t_reading (run, kind, parent, cursor, pages, proven) VALUES (?, ?, ?, ?, 1, ?)"
        " ON CONFLICT (run, kind, parent) DO UPDATE SET cursor = excluded.cursor,"
        " pages = pages + 1, proven = excluded.proven",
        (
            run.key,
            str(read.collection.kind),
            read.collection.parent,
            read.page.next,
            int(proven),
        ),
    )


def _finish_members(
    db: Database, run: OpenRun, table: Table, collection: Collection, shown: Container[int]
) -> None:
    """After a complete pass over one group: note its rows that the pass did not show."""
    rows = db.connection.execute(
        f"SELECT key FROM {table.name} WHERE organization = ? AND {table.scope[0]} = ?"
        f" AND {table.scope[1]} = ? AND removed_at IS NULL",
        (run.organization, PARENT_KIND[collection.kind], collection.parent),
    )
    absent = [row[0] for row in rows if row[0] not in shown]
    note_missing(db, run, table, collection, absent)
    finish_pass(db, run, table, collection)


def record_tombstones(db: Database, run: OpenRun, read: AtomicRead | PagedRead) -> None:
    """Record which of our live users the provider lists as deleted."""
    db.connection.execute(
        "INSERT OR IGNORE INTO t_tombstone (run, row) SELECT ?, key FROM t_user"
        " WHERE organization = ? AND id IN (SELECT value FROM json_each(?)) AND removed_at IS NULL",
        (run.key, run.organization, json.dumps(list(read.page.ids))),
    )
    _advance(db, run, read, proven=True)


def restart(db: Database, run: OpenRun, collection: Collection) -> int:
    """Forget what the listing has shown; the work that it queued stays queued."""
    where = "run = ? AND kind = ? AND parent = ?"
    place = (run.key, str(collection.kind), collection.parent)
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            f"UPDATE t_page SET queued = coalesce(queued, shown), shown = '[]' WHERE {where}", place
        )
        db.connection.execute(
            "INSERT INTO t_reading (run, kind, parent, cursor, pages, proven, restarts)"
            " VALUES (?, ?, ?, '', 0, 1, 1) ON CONFLICT (run, kind, parent)"
            " DO UPDATE SET cursor = '', pages = 0, proven = 1, restarts = restarts + 1",
            place,
        )
        count = int(db.one(f"SELECT restarts FROM t_reading WHERE {where}", place)[0])
    run.listings.pop(collection, None)
    return count


def shown(db: Database, run: OpenRun, collection: Collection) -> int:
    """How many ids a paged listing has shown so far; of deleted users, those that we know."""
    if collection.kind is CollectionKind.DELETED_USERS:
        return int(db.one("SELECT count(*) FROM t_tombstone WHERE run = ?", (run.key,))[0])
    return len(run.listing(db, collection).shown)


def queue_length(db: Database, run: OpenRun, kind: CollectionKind) -> int:
    """How much work the listing has brought so far."""
    return len(run.listing(db, Collection(kind)).queued)


def queue(
    db: Database, run: OpenRun, kind: CollectionKind, first: int, limit: int
) -> list[QueueItem]:
    """Work from place ``first`` on, at most ``limit``."""
    page = bisect.bisect_right(run.listing(db, Collection(kind)).firsts, first) - 1
    rows = db.connection.execute(
        "SELECT first, coalesce(queued, shown) FROM t_page"
        " WHERE run = ? AND kind = ? AND parent = '' AND page >= ? ORDER BY page",
        (run.key, str(kind), page),
    )
    places: list[tuple[int, int]] = []
    for start, keys in rows:
        for offset, key in enumerate(json.loads(keys)):
            if start + offset >= first and len(places) < limit:
                places.append((start + offset, key))
        if len(places) >= limit:
            break
    return _describe(db, kind, places)


def _describe(db: Database, kind: CollectionKind, places: list[tuple[int, int]]) -> list[QueueItem]:
    table = BY_COLLECTION[kind]
    status = "status" if kind is CollectionKind.USERS else "'active'"
    rows = {
        row[0]: row[1:]
        for row in db.connection.execute(
            f"SELECT key, id, {status}, removed_at IS NULL FROM {table.name}"
            " WHERE key IN (SELECT value FROM json_each(?))",
            (json.dumps([key for _, key in places]),),
        )
    }
    return [
        QueueItem(place, rows[key][0], rows[key][1], bool(rows[key][2])) for place, key in places
    ]


def queue_rest(db: Database, run: OpenRun, kind: CollectionKind, limit: int) -> bool:
    """Append a chunk of the live rows that the listing did not bring; False when none is left."""
    collection = Collection(kind)
    listing = run.listing(db, collection)
    rest: list[int] = []
    after = listing.rested
    while len(rest) < limit:
        rows = db.all(
            f"SELECT key FROM {BY_COLLECTION[kind].name} WHERE organization = ?"
            " AND removed_at IS NULL AND key > ? ORDER BY key LIMIT 5000",
            (run.organization, after),
        )
        if not rows:
            break
        rest += [row[0] for row in rows if row[0] not in listing.queued][: limit - len(rest)]
        after = rest[-1] if len(rest) == limit else rows[-1][0]
    if not rest:
        return False
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            "INSERT INTO t_page (run, kind, parent, page, first, shown, queued)"
            " VALUES (?, ?, '', ?, ?, '[]', ?)",
            (run.key, str(kind), len(listing.firsts), len(listing.queued), json.dumps(rest)),
        )
    listing.firsts.append(len(listing.queued))
    listing.rested = after
    for key in rest:
        listing.queued.add(key)
    return True
