"""Runs as the engine describes them."""

from __future__ import annotations

from syncd.model import RunState
from syncd.sync.progress import EndpointProgress, EndpointResult, Progress, RunResult
from tests.cli.seed import HOSTILE

COUNTS = {
    "relation": {"read": 900, "removed": 1},
    "user": {"read": 5000, "added": 12, "changed": 3},
    "token": {"read": 25310, "added": 100, "removed": 5, "held": 340, "bad": 2},
    "application": {"added": 3},
    "group": {},
}


def going_on() -> Progress:
    """A run with one endpoint in each state."""
    progress = Progress("acme", run=12, resumed=True, started=100.0, waiting="Retry-After")
    progress.endpoints = {
        "users": EndpointProgress(
            "users", state="succeeded", done=5000, total=5000, total_final=True, rows=5000
        ),
        "tokens": EndpointProgress(
            "tokens", state="running", phase="reading", done=1000, total=4000, rows=9000,
            unreadable=3, in_flight=2, limit=3,
        ),
        "relations": EndpointProgress("relations"),
    }  # fmt: skip
    return progress


def hostile() -> Progress:
    """A run in which every text attacks the terminal."""
    progress = Progress(HOSTILE, run=1, waiting=HOSTILE)
    progress.endpoints["users"] = EndpointProgress(
        HOSTILE, state="failed", phase=HOSTILE, reason=HOSTILE
    )
    progress.endpoints["tokens"] = EndpointProgress(HOSTILE, state="running", phase=HOSTILE)
    return progress


def result(**changes: object) -> RunResult:
    """A run that ended partly."""
    values: dict[str, object] = {
        "organization": "acme", "run": 12, "state": RunState.PARTIAL,
        "reason": "2 collections unreadable", "resumed": True,
        "endpoints": (
            EndpointResult("users", RunState.SUCCEEDED, "", 0, 3.0),
            EndpointResult("tokens", RunState.PARTIAL, "2 users answered 403", 2, 30.0),
        ),
        "counts": COUNTS, "requests": 5123, "request_seconds": 113.6, "wall_seconds": 42.13,
        "unreadable": 2, "exit_code": 3,
    }  # fmt: skip
    return RunResult(**values | changes)  # type: ignore[arg-type]
