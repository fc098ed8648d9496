"""Organizations and the record of their runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

from syncd.errors import WrongCustomer
from syncd.model import Collection, CollectionKind, RunState
from syncd.store.base import EndpointRecord, RunRecord, RunTotals
from syncd.store.database import Database
from syncd.store.lease import check_lease
from syncd.store.openrun import OpenRun


def bind(db: Database, name: str, provider: str, customer: str, now: float) -> int:
    """The number of an organization, bound to the provider's id of the customer."""
    with db.transaction():
        row = db.maybe("SELECT key, provider, customer FROM t_organization WHERE name = ?", (name,))
        if row is None:
            done = db.connection.execute(
                "INSERT INTO t_organization (name, provider, customer, created_at)"
                " VALUES (?, ?, ?, ?)",
                (name, provider, customer, now),
            )
            return int(done.lastrowid or 0)
        key, known_provider, known_customer = row
        if provider != known_provider or (
            customer and known_customer and customer != known_customer
        ):
            raise WrongCustomer(
                f"organization {name!r} was first synced from {known_provider} customer "
                f"{known_customer or '(unknown)'}, and the provider now shows {provider} customer "
                f"{customer or '(unknown)'}; nothing was written. Give the new customer another "
                "name in the configuration, or another database"
            )
        if customer and not known_customer:
            db.connection.execute(
                "UPDATE t_organization SET customer = ? WHERE key = ?", (customer, key)
            )
        return int(key)


def open_run(
    db: Database,
    organization: int,
    endpoints: Sequence[str],
    now: float,
    oldest: float,
    owner: str,
) -> tuple[RunRecord, OpenRun]:
    """The run to work on: the last one if it was stopped and can go on, else a new one."""
    wanted = json.dumps(list(endpoints))
    with db.transaction():
        check_lease(db, organization, owner)
        last = db.maybe(
            "SELECT key, endpoints, updated_at FROM t_run"
            " WHERE organization = ? AND finished_at IS NULL ORDER BY key DESC LIMIT 1",
            (organization,),
        )
        resumed = last is not None and last[1] == wanted and last[2] >= oldest
        if last is not None and not resumed:
            db.connection.execute(
                "UPDATE t_run SET state = 'interrupted', finished_at = ? WHERE organization = ?"
                " AND finished_at IS NULL",
                (now, organization),
            )
            _clear(db, last[0])
        if last is not None and resumed:
            key = int(last[0])
            db.connection.execute(
                "UPDATE t_run SET state = 'running', reason = '', resumes = resumes + 1,"
                " updated_at = ? WHERE key = ?",
                (now, key),
            )
        else:
            done = db.connection.execute(
                "INSERT INTO t_run (organization, state, endpoints, started_at, updated_at)"
                " VALUES (?, 'running', ?, ?, ?)",
                (organization, wanted, now, now),
            )
            key = int(done.lastrowid or 0)
    record = _record(db, key, resumed=resumed)
    counts = {entity: dict(kinds) for entity, kinds in record.counts.items()}
    return record, OpenRun(key, organization, owner, counts)


def _record(db: Database, key: int, *, resumed: bool) -> RunRecord:
    organization, started_at, counts, requests, request_seconds, wall_seconds = db.one(
        "SELECT organization, started_at, counts, requests, request_seconds, wall_seconds"
        " FROM t_run WHERE key = ?",
        (key,),
    )
    endpoints = tuple(
        EndpointRecord(*row)
        for row in db.all(
            "SELECT endpoint, state, phase, progress, unreadable, reason FROM t_endpoint"
            " WHERE run = ?",
            (key,),
        )
    )
    return RunRecord(
        key,
        organization,
        resumed,
        started_at,
        endpoints,
        json.loads(counts),
        requests,
        request_seconds,
        wall_seconds,
    )


def set_endpoint(
    db: Database, run: OpenRun, endpoint: str, now: float, state: str, phase: str, reason: str
) -> None:
    """Record how far an endpoint has come."""
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            "INSERT INTO t_endpoint (run, endpoint, state, phase, reason, started_at, finished_at)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN ?3 = 'running' THEN NULL ELSE ?6 END)"
            " ON CONFLICT (run, endpoint) DO UPDATE SET state = excluded.state,"
            " phase = excluded.phase, reason = excluded.reason, finished_at = excluded.finished_at",
            (run.key, endpoint, state, phase, reason, now),
        )


def finish_run(
    db: Database, run: OpenRun, state: RunState, reason: str, now: float, *, final: bool
) -> RunTotals:
    """Close a run, or leave it to be resumed; returns what it came to."""
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            "UPDATE t_run SET state = ?, reason = ?, updated_at = ?, finished_at = ? WHERE key = ?",
            (str(state), reason, now, now if final else None, run.key),
        )
        if final:
            _clear(db, run.key)
    record = _record(db, run.key, resumed=False)
    return RunTotals(record.counts, record.requests, record.request_seconds, record.wall_seconds)


def _clear(db: Database, run: int) -> None:
    """A run's memory of what it has seen ends with it."""
    for table in ("t_page", "t_reading", "t_tombstone", "t_removal", "t_death"):
        db.connection.execute(f"DELETE FROM {table} WHERE run = ?", (run,))


def count_death(db: Database, run: OpenRun, collection: Collection) -> int:
    """Note that the process died in this collection; returns how often that happened now."""
    place = (run.key, str(collection.kind), collection.parent)
    with db.transaction():
        check_lease(db, run.organization, run.owner)
        db.connection.execute(
            "INSERT INTO t_death (run, kind, parent, deaths) VALUES (?, ?, ?, 1)"
            " ON CONFLICT (run, kind, parent) DO UPDATE SET deaths = deaths + 1",
            place,
        )
        return int(
            db.one("SELECT deaths FROM t_death WHERE run = ? AND kind = ? AND parent = ?", place)[0]
        )


def deaths(db: Database, run: int) -> dict[Collection, int]:
    """Collections in which the process died during this run."""
    return {
        Collection(CollectionKind(kind), parent): count
        for kind, parent, count in db.all(
            "SELECT kind, parent, deaths FROM t_death WHERE run = ?", (run,)
        )
    }
