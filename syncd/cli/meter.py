"""How fast a run goes and when it will be done, from what the engine has counted so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from syncd.sync.progress import EndpointProgress, Progress
from syncd.timing import format_duration

WINDOW = 30.0
"""Seconds over which rates are taken."""

_SPACING = 0.5
"""Seconds between two samples that are kept."""

WORKING = frozenset({"waiting", "running"})


@dataclass(slots=True)
class Meter:
    """Rates of one endpoint over the last :data:`WINDOW` seconds."""

    _samples: deque[tuple[float, int, int]] = field(default_factory=deque)

    def update(self, now: float, done: int, rows: int) -> None:
        """Note how far it is. Going back, such as after a restarted listing, starts afresh."""
        samples = self._samples
        if samples and (done < samples[-1][1] or rows < samples[-1][2]):
            samples.clear()
        if len(samples) > 1 and now - samples[-2][0] < _SPACING:
            samples.pop()
        samples.append((now, done, rows))
        while len(samples) > 2 and now - samples[1][0] >= WINDOW:
            samples.popleft()

    @property
    def rows_per_second(self) -> float | None:
        """Rows per second, None while nobody knows."""
        return self._rate(2)

    def seconds_left(self, total: int) -> float | None:
        """When the units that are known now will be done, None while nobody knows."""
        speed = self._rate(1)
        if not speed:
            return None
        return max(0, total - self._samples[-1][1]) / speed

    def _rate(self, what: int) -> float | None:
        if len(self._samples) < 2:
            return None
        first, last = self._samples[0], self._samples[-1]
        seconds = last[0] - first[0]
        return (last[what] - first[what]) / seconds if seconds >= _SPACING else None


@dataclass(frozen=True, slots=True)
class EndpointView:
    """One endpoint at one moment, in words."""

    progress: EndpointProgress
    rate: float | None
    left: float | None
    earlier: bool = False
    """It ended in an earlier process of its run."""

    @property
    def working(self) -> bool:
        """It has not ended."""
        return self.progress.state in WORKING

    @property
    def count(self) -> str:
        """Units done, and of how many."""
        done, total = self.progress.done, self.progress.total
        if total is None:
            return f"{done:,}" if done else ""
        return f"{done:,} of {total:,}{'' if self.progress.total_final else ' so far'}"

    @property
    def short_count(self) -> str:
        """The same, shorter: ``+`` when more may come."""
        done, total = self.progress.done, self.progress.total
        if total is None:
            return self.count
        return f"{done:,}/{total:,}{'' if self.progress.total_final else '+'}"

    @property
    def share(self) -> str:
        """Percent done."""
        total = self.progress.total
        return f"{min(100, self.progress.done * 100 // total)} %" if total else ""

    @property
    def speed(self) -> str:
        """Rows per second."""
        return f"{self.rate:,.0f} rows/s" if self.working and self.rate is not None else ""

    @property
    def eta(self) -> str:
        """How long it will take."""
        over = "" if self.progress.total_final else "over "
        return f"{over}{self._seconds_left} left" if self._seconds_left else ""

    @property
    def short_eta(self) -> str:
        """The same, shorter: ``>`` when more may come."""
        sign = "" if self.progress.total_final else ">"
        return f"eta {sign}{self._seconds_left}" if self._seconds_left else ""

    @property
    def _seconds_left(self) -> str:
        if self.left is None or self.progress.state != "running":
            return ""
        return format_duration(max(1, round(self.left)))

    @property
    def parallel(self) -> str:
        """Requests that go on, of how many that may."""
        if self.progress.state != "running":
            return ""
        return f"{self.progress.in_flight}/{self.progress.limit} parallel"

    @property
    def unreadable(self) -> str:
        """Collections that could not be read."""
        return f"{self.progress.unreadable:,} unreadable" if self.progress.unreadable else ""

    @property
    def status(self) -> str:
        """What it is at, or how it ended and why."""
        if self.working:
            phase = self.progress.phase
            return self.progress.state if self.progress.state == "waiting" else phase
        reason = f": {self.progress.reason}" if self.progress.reason else ""
        return f"{self.progress.state}{' earlier' if self.earlier else ''}{reason}"


_Cell = Callable[[EndpointView], str]
CELLS: dict[str, _Cell] = {
    "count": lambda view: view.count,
    "share": lambda view: view.share,
    "speed": lambda view: view.speed,
    "eta": lambda view: view.eta,
    "parallel": lambda view: view.parallel,
    "unreadable": lambda view: view.unreadable,
    "status": lambda view: view.status,
}
"""What a line shows after the bar."""

SHORT: dict[str, _Cell] = {
    "count": lambda view: view.short_count,
    "eta": lambda view: view.short_eta,
}
"""The same in fewer columns."""


@dataclass(frozen=True, slots=True)
class RunView:
    """One run at one moment: a copy, so that the engine may go on meanwhile."""

    progress: Progress
    endpoints: tuple[EndpointView, ...]
    elapsed: float
    left_as: str = ""
    """What the run is called if nobody works on it any more although it has not ended."""

    @property
    def finished(self) -> bool:
        """All its endpoints have ended."""
        return bool(self.endpoints) and not any(view.working for view in self.endpoints)

    @property
    def outcome(self) -> str:
        """One word for how it ended: done, partial, failed or stopped; empty while it goes on."""
        if not self.finished:
            return self.left_as
        states = {view.progress.state for view in self.endpoints}
        if states & {"stopped", "interrupted"}:
            return self.left_as or "stopped"
        if states == {"succeeded"}:
            return "done"
        return "failed" if states <= {"failed", "aborted"} else "partial"

    def left(self, word: str) -> RunView:
        """The run as it was left: what was running has stopped, and nothing is waited for."""
        endpoints = tuple(
            replace(view, progress=replace(view.progress, state="stopped"))
            if view.progress.state == "running"
            else view
            for view in self.endpoints
        )
        progress = replace(self.progress, waiting="")
        return replace(self, progress=progress, endpoints=endpoints, left_as=word)

    @property
    def title(self) -> str:
        """Which run it is."""
        words = [f"run {self.progress.run}"] if self.progress.run else []
        words += ["resumed"] if self.progress.resumed else []
        words += ["dry run"] if self.progress.dry else []
        return ", ".join(words)


_UNITS = {"users": "user", "relations": "group"}
"""What an endpoint's units are among the run's counts; those of tokens are not there."""


def _ended_earlier(run: Progress, endpoint: EndpointProgress) -> bool:
    """Whether an endpoint of a resumed run had ended before this process began."""
    ended = endpoint.state in {"succeeded", "partial"}
    return run.resumed and ended and endpoint.total is None and not endpoint.rows


def _read(run: Progress, endpoint: str) -> int:
    return run.counts.get(_UNITS.get(endpoint, ""), {}).get("read", 0)


class RunMeter:
    """Watches one run."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._meters: dict[str, Meter] = {}

    def view(self, now: float) -> RunView:
        """The run as it is now."""
        views = []
        for endpoint in list(self.progress.endpoints.values()):
            copied = replace(endpoint)
            earlier = _ended_earlier(self.progress, copied)
            if earlier and not copied.done:
                # Nobody counted in this process; the run's own figures know.
                copied.done = _read(self.progress, copied.endpoint)
            meter = self._meters.setdefault(copied.endpoint, Meter())
            if copied.state != "waiting":
                meter.update(now, copied.done, copied.rows)
            left = meter.seconds_left(copied.total) if copied.total is not None else None
            views.append(EndpointView(copied, meter.rows_per_second, left, earlier))
        elapsed = max(0.0, now - self.progress.started) if self.progress.started else 0.0
        return RunView(replace(self.progress), tuple(views), elapsed)
