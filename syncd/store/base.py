"""What a store does: it commits batches and answers questions, and nothing else.

`Store` is the contract that the sync engine works against; ``tests/store`` holds every
implementation against it. Each method is one transaction: all of it is committed, or nothing.
Every method raises :class:`~syncd.errors.StoreError` when the database cannot be used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from syncd.model import (
    Collection,
    CollectionKind,
    CollectionState,
    CompleteListing,
    Frozen,
    Gone,
    Key,
    Kind,
    Page,
    RunState,
)

APPLICATION_ID = 0x73796E63
"""``PRAGMA application_id`` of a syncd database: "sync" in ASCII."""

SCHEMA_VERSION = 1
"""``PRAGMA user_version`` that this code reads and writes."""

Counts = dict[str, dict[str, int]]
"""entity -> read, added, changed, removed, refreshed, bad, held, dropped -> rows."""


def merge(into: Counts, more: Counts) -> None:
    """Add up counts, entity by entity."""
    for entity, kinds in more.items():
        target = into.setdefault(entity, {})
        for kind, rows in kinds.items():
            target[kind] = target.get(kind, 0) + rows


class AtomicRead(Frozen, frozen=True):
    """A collection that one response brought whole."""

    collection: Collection
    page: Page
    proof: CompleteListing | None
    """Without it the rows are added and changed, and none is removed."""


class PagedRead(Frozen, frozen=True):
    """One page of a collection that comes in pages, the next in order."""

    collection: Collection
    page: Page


class Exceptional(Frozen, frozen=True):
    """A collection that was not read, and why."""

    collection: Collection
    state: CollectionState
    reason: str


Item = AtomicRead | PagedRead | Exceptional


class Traffic(Frozen, frozen=True):
    """What the work since the last batch cost."""

    requests: int = 0
    request_seconds: float = 0.0
    wall_seconds: float = 0.0


class Batch(Frozen, frozen=True):
    """What one transaction commits."""

    run: int
    now: float
    items: Sequence[Item] = ()
    progress: dict[str, str] = {}
    """endpoint -> what of its queue is done once these items are in."""
    traffic: Traffic = Traffic()


class EndpointRecord(Frozen, frozen=True):
    """How far an endpoint of a run has come."""

    endpoint: str
    state: str
    phase: str
    progress: str
    unreadable: int
    reason: str


class RunRecord(Frozen, frozen=True):
    """A run that is open, as it was committed last."""

    key: int
    organization: int
    resumed: bool
    started_at: float
    endpoints: tuple[EndpointRecord, ...]
    counts: Counts
    requests: int
    request_seconds: float
    wall_seconds: float


class RunTotals(Frozen, frozen=True):
    """What a run's record says of it."""

    counts: Counts
    requests: int
    request_seconds: float
    wall_seconds: float


class Reading(Frozen, frozen=True):
    """Where a paged listing goes on."""

    cursor: str | None
    """None when all its pages are in."""
    pages: int
    proven: bool
    """No id repeated so far, and every record had an id."""
    restarts: int


class QueueItem(Frozen, frozen=True):
    """A unit of work that a listing brought: a user whose tokens, or a group whose members."""

    place: int
    """Place in the queue, from 0 without gaps."""
    id: str
    status: str
    live: bool


class Missing(Frozen, frozen=True):
    """A live row that a complete pass did not show."""

    key: Key
    id: str
    parent: str
    passes: int
    """Complete passes in a row without it, this one included."""
    tombstone: bool
    subject_kind: str = ""
    """Of a relation: what kind its subject was."""


class Hold(Frozen, frozen=True):
    """Removals of an entity that the guard held back."""

    digest: str
    rows: int
    passes: int
    first_at: float


class Staged(Frozen, frozen=True):
    """The removals of a run and entity that have their proof."""

    rows: int
    live: int
    """Rows of the entity that lived before this run, those rows included."""
    digest: str
    hold: Hold | None


class Lease(Frozen, frozen=True):
    """Who syncs an organization now."""

    owner: str
    pid: int
    heartbeat_at: float


class Store(Protocol):
    """The database, as the engine sees it.

    Whatever is written for a run raises RunUnderWay when its organization's lease was taken over.
    """

    async def open(self) -> None:
        """Open or create the database and bring its schema up to date."""

    async def close(self) -> None:
        """Leave the database so that others can read it; waits for what is going on in it."""

    async def bind(self, name: str, provider: str, customer: str, now: float) -> int:
        """The number of organization ``name``, made if new and bound to ``customer``.

        An empty customer binds nothing. Raises WrongCustomer when the organization was bound to
        another one.
        """

    async def take_lease(
        self, organization: int, owner: str, pid: int, now: float, *, steal: str = ""
    ) -> Lease | None:
        """Become the one who syncs the organization; None when that worked, else who it is.

        ``steal`` names an owner who is known to be dead.
        """

    async def release_lease(self, organization: int, owner: str) -> None:
        """Let others sync the organization."""

    async def beat(self, organization: int, owner: str, now: float) -> None:
        """Show that the owner of the lease is alive. Raises RunUnderWay when it was taken over."""

    async def open_run(
        self, organization: int, endpoints: Sequence[str], now: float, oldest: float
    ) -> RunRecord:
        """The run to work on: the last one if it was stopped and lives, else a new one.

        A stopped run goes on if its last commit is not before ``oldest`` and its endpoints are
        the same; otherwise it is closed as interrupted.
        """

    async def finish_run(
        self, run: int, state: RunState, reason: str, now: float, *, final: bool
    ) -> RunTotals:
        """Close a run, or with ``final=False`` leave it to be resumed; returns what it came to."""

    async def set_endpoint(
        self,
        run: int,
        endpoint: str,
        now: float,
        *,
        state: str = "running",
        phase: str = "",
        reason: str = "",
    ) -> None:
        """Record how far an endpoint has come."""

    async def apply(self, batch: Batch) -> Counts:
        """Commit a batch; returns what it added, changed, and so on."""

    async def reading(self, run: int, collection: Collection) -> Reading | None:
        """Where a paged listing goes on, None when it has not begun."""

    async def restart(self, run: int, collection: Collection) -> int:
        """Forget what a listing has shown so far; returns how often that happened now."""

    async def shown(self, run: int, collection: Collection) -> int:
        """How many ids a paged listing has shown so far."""

    async def queue(
        self, run: int, kind: CollectionKind, first: int, limit: int
    ) -> list[QueueItem]:
        """Work that listing ``kind`` has brought so far, from place ``first`` on."""

    async def queue_length(self, run: int, kind: CollectionKind) -> int:
        """How much work the listing has brought so far."""

    async def queue_rest(self, run: int, kind: CollectionKind, limit: int) -> bool:
        """Append live rows that the listing did not bring, a chunk at a time; False when done."""

    async def count_death(self, run: int, collection: Collection) -> int:
        """Note that the process died in this collection; returns how often that happened now."""

    async def deaths(self, run: int) -> dict[Collection, int]:
        """Collections in which the process died during this run."""

    async def mark_missing(self, run: int, collection: Collection, after: Key) -> Key | None:
        """After a complete pass: note a chunk of live rows it did not show; None when done."""

    async def missing(self, run: int, kind: Kind, after: Key, limit: int) -> list[Missing]:
        """Rows that this run's complete passes did not show and that wait for a witness."""

    async def settle_missing(
        self, run: int, kind: Kind, gone: Sequence[Gone], present: Sequence[Key]
    ) -> None:
        """Stage the removals that have a witness; forget those that were found to be there."""

    async def staged(self, run: int, kind: Kind) -> Staged:
        """The removals of this run and entity as one sum."""

    async def hold(self, run: int, kind: Kind, staged: Staged, now: float, *, full: bool) -> int:
        """Hold the staged removals back; returns the complete passes with this same result.

        ``full`` says that this run's pass was complete.
        """

    async def unhold(self, run: int, kind: Kind) -> None:
        """Forget that removals of this entity were held."""

    async def sweep(self, run: int, kind: Kind, now: float, limit: int) -> Counts | None:
        """Carry out up to ``limit`` staged removals, with what hangs on them; None when done."""

    async def settle_applications(self, run: int, after: Key, now: float, limit: int) -> Key | None:
        """Bring a chunk of applications up to date with the live tokens; None when done."""

    async def exceptions(self, organization: int, kind: CollectionKind) -> dict[str, str]:
        """Parents of collections that are unreadable, with the reason."""

    async def copy(self, target: Path) -> None:
        """Write a consistent copy of the database to a file that does not exist yet."""
