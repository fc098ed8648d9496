"""What the demo server counts."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any, NamedTuple


class LogEntry(NamedTuple):
    """One request that was answered; status 0 means it got no proper answer."""

    method: str
    path: str
    """The path with its query."""
    status: int


class Stats:
    """Counts requests; control requests are not counted."""

    def __init__(self, log_size: int) -> None:
        """Keep the last `log_size` requests."""
        self.requests: Counter[str] = Counter()
        """Requests by kind."""
        self.statuses: Counter[int] = Counter()
        """Replies by status; 0 counts requests without a proper reply."""
        self.in_flight: Counter[str] = Counter()
        """Requests being answered now, by kind."""
        self.max_in_flight: Counter[str] = Counter()
        """The most requests answered at the same time, by kind."""
        self.over_quota = 0
        """Requests refused because of the quota per minute."""
        self.log: deque[LogEntry] = deque(maxlen=log_size)

    def begin(self, kind: str) -> None:
        """Count a request that has arrived."""
        self.requests[kind] += 1
        now = self.in_flight[kind] + 1
        self.in_flight[kind] = now
        self.max_in_flight[kind] = max(self.max_in_flight[kind], now)

    def end(self, kind: str, method: str, path: str, status: int) -> None:
        """Count a request that was answered."""
        self.in_flight[kind] -= 1
        self.statuses[status] += 1
        self.log.append(LogEntry(method, path, status))

    def reset(self) -> None:
        """Forget everything but the requests being answered now."""
        self.requests.clear()
        self.statuses.clear()
        self.max_in_flight.clear()
        self.over_quota = 0
        self.log.clear()

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "requests": dict(self.requests),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "max_in_flight": dict(self.max_in_flight),
            "over_quota": self.over_quota,
            "log": [list(entry) for entry in self.log],
        }


class Quota:
    """A limit of requests in any stretch of `window` seconds, counted in sixtieths of it."""

    _SLOTS = 60

    def __init__(self, limit: int, window: float = 60.0) -> None:
        """Allow `limit` requests."""
        self._limit = limit
        self._slot = window / self._SLOTS
        self._counts: deque[tuple[int, int]] = deque()
        self._total = 0

    def take(self, now: float) -> bool:
        """Count a request at `now` (seconds of a clock that never goes back) if it may pass."""
        slot = int(now / self._slot)
        while self._counts and self._counts[0][0] <= slot - self._SLOTS:
            self._total -= self._counts.popleft()[1]
        if self._total >= self._limit:
            return False
        self._total += 1
        if self._counts and self._counts[-1][0] == slot:
            self._counts[-1] = (slot, self._counts[-1][1] + 1)
        else:
            self._counts.append((slot, 1))
        return True
