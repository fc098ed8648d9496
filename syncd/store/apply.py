"""Committing a batch: rows, change records, what was seen, cursors and progress, all at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from syncd.model import (
    ENDPOINT_OF,
    Collection,
    CollectionKind,
    CollectionState,
    Entity,
    Relation,
    Token,
)
from syncd.store.base import AtomicRead, Batch, Counts, Exceptional, PagedRead, merge
from syncd.store.database import Database
from syncd.store.exceptions import forget_exceptions, note_exception
from syncd.store.lease import beat
from syncd.store.listings import record_page, record_tombstones
from syncd.store.missing import forget
from syncd.store.openrun import OpenRun, Tally, note_unsettled
from syncd.store.rows import RowWriter, find_collections, find_rows, last_key, write_changes
from syncd.store.tables import (
    ADDED,
    APPLICATION_CODE,
    BY_COLLECTION,
    PARENT_KIND,
    RELATION,
    TOKEN,
    Row,
    Table,
    identity_of,
)

Entities = Sequence[Entity]


def apply(db: Database, run: OpenRun, batch: Batch) -> Counts:
    """Commit a batch in one transaction and return what it came to."""
    tally = Tally()
    try:
        with db.transaction():
            beat(db, run.organization, run.owner, batch.now)
            _Applying(db, run, int(batch.now), tally).items(batch)
            for item in batch.items:
                if isinstance(item, Exceptional):
                    note_exception(db, run, item, batch.now)
            note_unsettled(db, run.organization, tally)
            _record_run(db, run, batch, tally.counts)
    except BaseException:  # whatever went wrong: nothing of the batch is in
        # What memory says was shown may be ahead of what is committed.
        run.listings.clear()
        raise
    run.add(tally.counts)
    return tally.counts


def _record_run(db: Database, run: OpenRun, batch: Batch, counts: Counts) -> None:
    total: Counts = {entity: dict(kinds) for entity, kinds in run.counts.items()}
    merge(total, counts)
    traffic = batch.traffic
    db.connection.execute(
        "UPDATE t_run SET updated_at = ?, counts = ?, requests = requests + ?,"
        " request_seconds = request_seconds + ?, wall_seconds = wall_seconds + ? WHERE key = ?",
        (
            batch.now,
            json.dumps(total),
            traffic.requests,
            traffic.request_seconds,
            traffic.wall_seconds,
            run.key,
        ),
    )
    for endpoint, progress in batch.progress.items():
        db.connection.execute(
            "UPDATE t_endpoint SET progress = ? WHERE run = ? AND endpoint = ?",
            (progress, run.key, endpoint),
        )
    for item in batch.items:
        if isinstance(item, Exceptional) and item.state is CollectionState.UNREADABLE:
            db.connection.execute(
                "UPDATE t_endpoint SET unreadable = unreadable + 1 WHERE run = ? AND endpoint = ?",
                (run.key, ENDPOINT_OF[item.collection.kind]),
            )


class _Applying:
    """The rows of one batch on their way into the tables."""

    def __init__(self, db: Database, run: OpenRun, now: int, tally: Tally) -> None:
        self._db = db
        self._run = run
        self._now = now
        self._tally = tally
        self._applications: dict[str, int] = {}

    def items(self, batch: Batch) -> None:
        """Take in all reads of the batch, entity by entity."""
        atomic: dict[Table, list[AtomicRead]] = {}
        paged: dict[Table, list[PagedRead]] = {}
        for item in batch.items:
            if isinstance(item, Exceptional):
                continue
            if isinstance(item, AtomicRead):
                atomic.setdefault(BY_COLLECTION[item.collection.kind], []).append(item)
            elif item.collection.kind is CollectionKind.DELETED_USERS:
                record_tombstones(self._db, self._run, item)
                if item.page.next is None:
                    kind, done = item.collection.kind, [item.collection]
                    forget_exceptions(self._db, self._run.organization, kind, done)
            else:
                paged.setdefault(BY_COLLECTION[item.collection.kind], []).append(item)
        for table, pages in paged.items():
            self._paged(table, pages)
        for table, reads in atomic.items():
            self._atomic(table, reads)

    def _atomic(self, table: Table, reads: list[AtomicRead]) -> None:
        pages = self._acceptable(table, reads)
        self._know_applications(reads, pages)
        parent_kind = PARENT_KIND.get(table.collection, "")
        parents = [read.collection.parent for read in reads]
        stored = find_collections(self._db, table, self._run.organization, parent_kind, parents)
        alive = {ident: old[0] for ident, old in stored.items() if old[2] is None}
        writer = self._writer(table, stored)
        identify = identity_of(table, self._applications)
        shown: list[int] = []
        for read, page in zip(reads, pages, strict=True):
            self._count(table, read)
            for entity in page:
                identity = identify(entity)
                shown.append(writer.put(identity, entity))
                alive.pop(identity, None)
            if read.page.bad:
                shown += self._spare_bad(table, read, alive)
            if read.proof is None:
                _spare_collection(table, read.collection, alive)
        writer.write()
        forget(self._db, self._run, table, shown)
        self._stage(table, list(alive.values()))
        self._read_well(table, [read.collection for read in reads])

    def _paged(self, table: Table, reads: list[PagedRead]) -> None:
        pages = self._acceptable(table, reads)
        self._know_applications(reads, pages)
        identify = identity_of(table, self._applications)
        identities = [[identify(e) for e in page] for page in pages]
        wanted = sorted({identity for page in identities for identity in page})
        stored = find_rows(self._db, table, self._run.organization, wanted)
        for read, page, names in zip(reads, pages, identities, strict=True):
            self._count(table, read)
            writer = self._writer(table, stored)
            keys = [writer.put(name, entity) for name, entity in zip(names, page, strict=True)]
            # The page's new rows must be in the table before what depends on them.
            writer.write()
            if read.page.bad:
                keys += self._bad_keys(table, read)
            if record_page(self._db, self._run, table, read, keys):
                self._read_well(table, [read.collection])

    def _writer(self, table: Table, stored: dict[Row, tuple[int, bytes, int | None]]) -> RowWriter:
        return RowWriter(
            self._db, table, self._run.organization, self._run.key, self._now, stored, self._tally
        )

    def _count(self, table: Table, read: AtomicRead | PagedRead) -> None:
        self._tally.add(table.kind, "read", len(read.page.entities))
        self._tally.add(table.kind, "bad", len(read.page.bad))

    def _acceptable(self, table: Table, reads: Sequence[AtomicRead | PagedRead]) -> list[Entities]:
        """What each read shows, but for what hangs on users who were removed: it went with them."""
        pages: list[Entities] = [read.page.entities for read in reads]
        kept = pages
        if table is TOKEN:
            dead = self._removed_users({read.collection.parent for read in reads})
            if dead:
                kept = [() if r.collection.parent in dead else r.page.entities for r in reads]
        elif table is RELATION:
            dead = self._removed_users({_user_of(e) for page in pages for e in page})
            if dead:
                kept = [[e for e in page if _user_of(e) not in dead] for page in pages]
        self._tally.add(table.kind, "dropped", sum(map(len, pages)) - sum(map(len, kept)))
        return kept

    def _removed_users(self, ids: set[str]) -> set[str]:
        rows = self._db.connection.execute(
            "SELECT id FROM t_user WHERE organization = ?"
            " AND id IN (SELECT value FROM json_each(?)) AND removed_at IS NOT NULL",
            (self._run.organization, json.dumps(sorted(ids))),
        )
        return {row[0] for row in rows}

    def _know_applications(
        self, reads: Sequence[AtomicRead | PagedRead], pages: Sequence[Entities]
    ) -> None:
        """Give each application that a token names a row; its name is settled when the run ends."""
        names = {
            e.application_id: e.application_name
            for page in pages
            for e in page
            if isinstance(e, Token)
        }
        bad = {
            b.id for r in reads if r.collection.kind is CollectionKind.TOKENS for b in r.page.bad
        }
        if not names and not bad:
            return
        self._applications = dict(
            self._db.all(
                "SELECT id, key FROM t_application WHERE organization = ?"
                " AND id IN (SELECT value FROM json_each(?))",
                (self._run.organization, json.dumps(sorted(names.keys() | bad))),
            )
        )
        new = sorted(names.keys() - self._applications.keys())
        first = last_key(self._db, "t_application") + 1
        self._db.connection.executemany(
            "INSERT INTO t_application (key, organization, id, name, first_seen_at, changed_at)"
            " VALUES (?, ?, ?, ?, ?, 0)",
            [
                (first + i, self._run.organization, id, names[id], self._now)
                for i, id in enumerate(new)
            ],
        )
        write_changes(
            self._db,
            [
                (self._run.key, self._now, APPLICATION_CODE, first + i, ADDED, None, None)
                for i in range(len(new))
            ],
        )
        self._tally.add("application", "added", len(new))
        self._applications |= {id: first + i for i, id in enumerate(new)}

    def _bad_ids(self, table: Table, read: AtomicRead | PagedRead) -> list[str | int]:
        """Values of the id column that bad records stand for: those rows are not missing."""
        ids = [bad.id for bad in read.page.bad if bad.id]
        if table is TOKEN:
            return [self._applications[id] for id in ids if id in self._applications]
        return list(ids)

    def _bad_keys(self, table: Table, read: PagedRead) -> list[int]:
        where, parameters = "organization = ?", list[Any]([self._run.organization])
        if table.scope:
            where += f" AND {table.scope[0]} = ? AND {table.scope[1]} = ?"
            parameters += [PARENT_KIND[read.collection.kind], read.collection.parent]
        rows = self._db.all(
            f"SELECT key FROM {table.name} WHERE {where} AND {table.id_column} IN"
            " (SELECT value FROM json_each(?)) AND removed_at IS NULL",
            (*parameters, json.dumps(self._bad_ids(table, read))),
        )
        return [row[0] for row in rows]

    def _spare_bad(self, table: Table, read: AtomicRead, alive: dict[Row, int]) -> list[int]:
        """Rows that bad records stand for are not missing; returns their keys."""
        ids = set(self._bad_ids(table, read))
        place = table.key_columns.index(table.id_column)
        names = [i for i in alive if i[place] in ids and _within(table, read.collection, i)]
        return [alive.pop(name) for name in names]

    def _stage(self, table: Table, keys: list[int]) -> None:
        """The rows that complete listings did not show wait for the guard."""
        self._db.connection.executemany(
            "INSERT OR IGNORE INTO t_removal (run, entity, row, witness)"
            " VALUES (?, ?, ?, 'listing')",
            [(self._run.key, table.code, key) for key in sorted(keys)],
        )

    def _read_well(self, table: Table, collections: list[Collection]) -> None:
        forget_exceptions(self._db, self._run.organization, table.collection, collections)


def _user_of(entity: Entity) -> str:
    """The user whose membership it is; empty for what is no user's."""
    if isinstance(entity, Relation) and entity.subject_kind == "user":
        return entity.subject_id
    return ""


def _within(table: Table, collection: Collection, identity: Row) -> bool:
    return not table.scope or identity[1] == collection.parent


def _spare_collection(table: Table, collection: Collection, alive: dict[Row, int]) -> None:
    """Nothing of a collection is missing when its listing proves nothing."""
    for identity in [i for i in alive if _within(table, collection, i)]:
        del alive[identity]
