"""Points in time as people give them on a command line."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from syncd.errors import UsageError
from syncd.timing import parse_duration


def parse_since(text: str, now: float | None = None) -> float:
    """Seconds since 1970 of ``2026-11-23``, ``2026-11-23T15:10:08Z``, or of ``24h`` or ``7d`` ago.

    A time without an offset is UTC, as all times in the database.
    """
    try:
        return (time.time() if now is None else now) - parse_duration(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text!r} is neither a time nor a duration; "
            "give one like 2026-11-23, 2026-11-23T15:10:08Z, 24h or 7d"
        ) from None
