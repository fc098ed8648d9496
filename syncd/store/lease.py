"""Who may write for an organization: one process at a time."""

from __future__ import annotations

from syncd.errors import RunUnderWay
from syncd.store.base import Lease
from syncd.store.database import Database


def take_lease(
    db: Database, organization: int, owner: str, pid: int, now: float, steal: str
) -> Lease | None:
    """Become the one who syncs; None when that worked, else who it is."""
    with db.transaction():
        row = db.maybe(
            "SELECT owner, pid, heartbeat_at FROM t_lease WHERE organization = ?", (organization,)
        )
        if row is not None and row[0] not in (owner, steal):
            return Lease(*row)
        db.connection.execute(
            "INSERT OR REPLACE INTO t_lease (organization, owner, pid, taken_at, heartbeat_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (organization, owner, pid, now, now),
        )
    return None


def release_lease(db: Database, organization: int, owner: str) -> None:
    """Let others sync the organization."""
    db.connection.execute(
        "DELETE FROM t_lease WHERE organization = ? AND owner = ?", (organization, owner)
    )


def beat(db: Database, organization: int, owner: str, now: float) -> None:
    """Show that the owner of the lease is alive."""
    done = db.connection.execute(
        "UPDATE t_lease SET heartbeat_at = ? WHERE organization = ? AND owner = ?",
        (now, organization, owner),
    )
    if done.rowcount != 1:
        raise _taken_over()


def check_lease(db: Database, organization: int, owner: str) -> None:
    """Raise RunUnderWay unless the owner still holds the lease.

    Called in the transaction of whatever is written for a run: who lost the lease writes no more.
    """
    held = db.maybe(
        "SELECT 1 FROM t_lease WHERE organization = ? AND owner = ?", (organization, owner)
    )
    if held is None:
        raise _taken_over()


def _taken_over() -> RunUnderWay:
    return RunUnderWay(
        "another process has taken over this organization; this run stops, and what it "
        "committed stays"
    )
