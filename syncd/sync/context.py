"""What the workers of one run share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from syncd.config import OrganizationConfig, SyncConfig
from syncd.errors import SyncdError, UpstreamError
from syncd.governor.governor import Governor
from syncd.model import (
    ENDPOINT_OF,
    ENTITY_OF,
    Collection,
    CollectionKind,
    CollectionState,
    Kind,
    RunState,
)
from syncd.providers.base import Provider
from syncd.store.base import EndpointRecord, Exceptional, RunRecord, Store
from syncd.sync.ledger import Guard
from syncd.sync.progress import EndpointProgress, Progress
from syncd.sync.reader import Reader
from syncd.sync.writer import Writer
from syncd.timing import Clock

_log = structlog.get_logger(__name__)


class EndpointFailed(SyncdError):
    """An endpoint cannot go on; the others can."""

    def __init__(self, message: str, cause: SyncdError) -> None:
        super().__init__(message)
        self.cause = cause


class QueueSignal:
    """Tells whoever works off a queue that it has grown, or that no more will come."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self.final = False

    def grown(self) -> None:
        """There is more work."""
        self._changed.set()

    def finish(self) -> None:
        """No more work will come."""
        self.final = True
        self._changed.set()

    async def wait(self) -> None:
        """Wait for either."""
        await self._changed.wait()
        self._changed.clear()


@dataclass(slots=True)
class Context:
    """One run and all that its workers need. Workers share nothing else."""

    config: OrganizationConfig
    settings: SyncConfig
    run: RunRecord
    store: Store
    provider: Provider
    governor: Governor
    writer: Writer
    guard: Guard
    readers: dict[str, Reader]
    """endpoint -> reader through its route's gate"""
    clock: Clock
    progress: Progress
    deaths: dict[Collection, int]
    customer: str
    """The provider's id of the customer; empty if it cannot be told."""
    queues: dict[CollectionKind, QueueSignal] = field(default_factory=dict)
    failures: dict[str, SyncdError] = field(default_factory=dict)
    """endpoint -> what ended it"""
    witness_requests: int = 0
    """GETs that were spent on missing rows."""
    _reasons: set[tuple[str, str]] = field(default_factory=set)

    def endpoint(self, name: str) -> EndpointProgress:
        """The progress of an endpoint."""
        return self.progress.endpoints[name]

    def recorded(self, name: str) -> EndpointRecord:
        """What an earlier process committed of an endpoint of this run."""
        for record in self.run.endpoints:
            if record.endpoint == name:
                return record
        return EndpointRecord(name, RunState.RUNNING, "", "", 0, "")

    def lost_records(self, endpoint: str) -> int:
        """Records of this run's endpoint that could not be kept.

        Those that could not be decoded, and memberships of users who are not here any more: one of
        these may have come back. Tokens that are dropped went with their user.
        """
        counts = self.progress.counts
        bad = sum(
            counts.get(entity, {}).get("bad", 0)
            for kind, entity in ENTITY_OF.items()
            if ENDPOINT_OF[kind] == endpoint
        )
        dropped = counts.get(Kind.RELATION, {}).get("dropped", 0)
        return bad + (dropped if endpoint == "relations" else 0)

    def queue(self, kind: CollectionKind) -> QueueSignal:
        """The signal of the queue that a listing brings."""
        return self.queues.setdefault(kind, QueueSignal())

    async def unreadable(
        self,
        collection: Collection,
        reason: str,
        error: SyncdError | None = None,
        place: int | None = None,
    ) -> None:
        """A collection could not be read: its rows stay and are marked, the run goes on."""
        endpoint = ENDPOINT_OF[collection.kind]
        self.endpoint(endpoint).unreadable += 1
        # The first failure of a kind is worth a line; the others are counted.
        log = _log.debug if (endpoint, reason) in self._reasons else _log.warning
        self._reasons.add((endpoint, reason))
        log(
            "collection_unreadable",
            organization=self.config.name,
            run=self.run.key,
            endpoint=endpoint,
            collection=str(collection),
            reason=reason,
            error=str(error) if error is not None else "",
        )
        item = Exceptional(collection, CollectionState.UNREADABLE, reason)
        await self.writer.put(item, endpoint, place)


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a task group: a bug before anything else, a cancellation last."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop()
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            leaves.append(error)
    return min(leaves, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, asyncio.CancelledError):
        return 3
    if isinstance(error, EndpointFailed):
        return 2
    return 1 if isinstance(error, SyncdError) else 0


def reason_of(error: SyncdError) -> str:
    """The short code of what went wrong."""
    if isinstance(error, UpstreamError):
        return error.verdict.reason
    return type(error).__name__
