"""Clocks that tests can replace, durations as people write them, and back-off."""

from __future__ import annotations

import asyncio
import random
import re
import time
from datetime import UTC, datetime
from typing import Protocol

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Clock(Protocol):
    """Where time comes from. All figures are seconds."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""

    def time(self) -> float:
        """Seconds since 1970-01-01T00:00:00Z; may jump."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clock and the running event loop's sleep."""

    def monotonic(self) -> float:
        """See :class:`Clock`."""
        return time.monotonic()

    def time(self) -> float:
        """See :class:`Clock`."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """See :class:`Clock`."""
        await asyncio.sleep(seconds)


def parse_duration(text: str) -> float:
    """Seconds in a duration such as ``"90s"``, ``"15m"`` or ``"1h30m"``.

    Raises ValueError for anything else; a bare number has no unit and is refused.
    """
    position, total = 0, 0.0
    for match in _DURATION.finditer(text):
        if match.start() != position:
            break
        total += float(match[1]) * _UNIT_SECONDS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise ValueError(f"not a duration: {text!r}")
    return total


def format_duration(seconds: float) -> str:
    """A duration in at most two units, such as ``1h30m``, ``15m``, ``4.2s`` or ``80ms``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}".rstrip("0").rstrip(".") + "s"
    units = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
    rest, parts = round(seconds), []
    for name, size in units:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{name}")
    return "".join(parts[:2])


def iso_utc(timestamp: float) -> str:
    """ISO 8601 in UTC with seconds, such as ``2026-11-23T15:10:08Z``."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def backoff(attempt: int, *, first: float = 0.5, most: float = 30.0) -> float:
    """Seconds before retry number ``attempt`` (from 1): exponential with full jitter.

    Half of the ceiling is kept as a floor so that a retry never comes at once. Source: "Exponential
    Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = min(most, first * 2.0 ** (attempt - 1))
    return ceiling / 2 + random.uniform(0.0, ceiling / 2)
