"""The remote API's limits: its quota, the time it asks us to wait, and a budget for retries."""

from __future__ import annotations

from syncd.timing import Clock

QUOTA_SHARE = 0.97
"""Share of the quota that is used: the server counts by its own clock and windows."""

QUOTA_BURST = 0.02
"""Share of a minute's quota that may go out at once after a pause.

0.97 + 0.02 is below 1, so that no window of 60 s holds more requests than the quota.
"""


class RateLimiter:
    """Spreads requests so that no minute has more than the quota. First come, first served."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._clock = clock
        self._interval = 60.0 / (per_minute * QUOTA_SHARE)
        self._burst = max(1.0, per_minute * QUOTA_BURST) * self._interval
        self._next = clock.monotonic() - self._burst

    def reserve(self) -> float:
        """Take the next place; returns the seconds until it."""
        now = self._clock.monotonic()
        self._next = max(self._next, now - self._burst) + self._interval
        return max(0.0, self._next - now)

    async def wait(self) -> None:
        """Wait for the next place."""
        delay = self.reserve()
        if delay > 0:
            await self._clock.sleep(delay)


class NotBefore:
    """The time until which the server asked everybody to wait."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = clock.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds still to wait."""
        return max(0.0, self._until - self._clock.monotonic())

    def postpone(self, seconds: float) -> None:
        """The server asked to wait so long from now; an earlier, longer wait stays."""
        self._until = max(self._until, self._clock.monotonic() + seconds)

    async def wait(self) -> None:
        """Wait until requests may go out again."""
        while (seconds := self.seconds) > 0:
            await self._clock.sleep(seconds)


class RetryBudget:
    """Keeps retries to a share of the requests, so that they never multiply a provider's trouble.

    Each request earns a tenth of a retry, and each six seconds one. Source of the idea: Finagle's
    RetryBudget; the figures are those of "Handling Overload", Site Reliability Engineering, 2016.
    """

    SHARE = 0.1
    PER_SECOND = 10 / 60
    START = 20.0
    MOST = 200.0
    PATIENCE = 30.0
    """Seconds; where the budget allows no retry within them, there is none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._balance = self.START
        self._at = clock.monotonic()

    def earn(self) -> None:
        """A request goes out, be it the first time or a retry."""
        self._balance = min(self.MOST, self._balance + self.SHARE)

    def delay(self) -> float:
        """Seconds until the budget would allow a retry."""
        earned = (self._clock.monotonic() - self._at) * self.PER_SECOND
        return max(0.0, (1.0 - self._balance - earned) / self.PER_SECOND)

    def reserve(self) -> float:
        """Take a retry; returns the seconds until the budget allows it."""
        now = self._clock.monotonic()
        earned = (now - self._at) * self.PER_SECOND
        self._balance, self._at = min(self.MOST, self._balance + earned), now
        self._balance -= 1.0
        return max(0.0, -self._balance / self.PER_SECOND)

    async def wait(self) -> None:
        """Wait until the budget allows a retry."""
        delay = self.reserve()
        if delay > 0:
            await self._clock.sleep(delay)
