"""Clocks that tests set by hand."""

from __future__ import annotations

import asyncio
import traceback


class VirtualClock:
    """Time that passes only by sleeping, or by hand. For one task at a time."""

    def __init__(self, at: float = 1000.0) -> None:
        self.now = at
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_700_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def everything_said(error: BaseException) -> str:
    """All that a log could show of an error: its traceback, its texts and reprs."""
    parts = ["".join(traceback.TracebackException.from_exception(error).format())]
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        parts += [str(cause), repr(cause)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n".join(parts)
