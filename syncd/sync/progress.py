"""What a run is doing now and what it came to: plain values for whoever shows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.model import RunState


@dataclass(slots=True)
class EndpointProgress:
    """One endpoint of a run that is going on."""

    endpoint: str
    state: str = "waiting"
    """``waiting``, ``running`` or a :class:`RunState`."""
    phase: str = ""
    """What it is at, such as ``listing`` or ``checking missing``."""
    done: int = 0
    """Units of work finished: users for tokens, users for users, groups for relations."""
    total: int | None = None
    """Units known so far; None while nobody knows."""
    total_final: bool = False
    """No more units will come."""
    rows: int = 0
    """Entities read."""
    unreadable: int = 0
    in_flight: int = 0
    """Requests that are going on."""
    limit: int = 1
    """Requests that may go on at once."""
    reason: str = ""


@dataclass(slots=True)
class Progress:
    """One run that is going on. Updated in place by the engine; readers copy what they show."""

    organization: str
    run: int = 0
    resumed: bool = False
    dry: bool = False
    started: float = 0.0
    """Monotonic seconds at which this process began to work on the run."""
    endpoints: dict[str, EndpointProgress] = field(default_factory=dict)
    requests: int = 0
    request_seconds: float = 0.0
    retries: int = 0
    not_applicable: int = 0
    """Collections that cannot be asked for by design, such as tokens of suspended users."""
    waiting: str = ""
    """What the run waits for just now, such as ``Retry-After`` or ``quota``; empty if nothing."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """entity -> added, changed, removed, read, bad, held, dropped -> rows."""


@dataclass(frozen=True, slots=True)
class EndpointResult:
    """How an endpoint ended."""

    endpoint: str
    state: RunState
    reason: str
    unreadable: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: all that its one summary line tells."""

    organization: str
    run: int
    state: RunState
    reason: str
    resumed: bool
    endpoints: tuple[EndpointResult, ...]
    counts: dict[str, dict[str, int]]
    """entity (user, token, group, relation, application) -> added, changed, removed, read, bad,
    held, dropped -> rows."""
    requests: int
    request_seconds: float
    """Time spent in requests, all of them added up."""
    wall_seconds: float
    unreadable: int
    """Collections that could not be read."""
    exit_code: int
    not_applicable: int = 0
    """Collections that cannot be asked for by design, such as tokens of suspended users."""

    @property
    def speed_up(self) -> float:
        """Measured effective speed-up: time spent in requests divided by wall time."""
        return self.request_seconds / self.wall_seconds if self.wall_seconds else 0.0

    def total(self, what: str) -> int:
        """Rows of all entities that were ``added``, ``changed``, ``removed``, ``held`` ..."""
        return sum(counts.get(what, 0) for counts in self.counts.values())
