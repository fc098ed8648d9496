"""A run that is going on, told to a log: as events with fields, or in words for people."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TextIO

import structlog

from syncd.cli.meter import CELLS, EndpointView, RunView
from syncd.host.render import JsonRenderer
from syncd.host.text import terminal_safe
from syncd.timing import iso_utc


def reporter(stream: TextIO) -> Callable[[RunView], None]:
    """Reports as events of the log; as a line of words where the log is for people."""

    def report(view: RunView) -> None:
        log = structlog.get_logger()
        if not structlog.is_configured():
            _write_line(stream, view)
        elif isinstance(structlog.get_config()["processors"][-1], JsonRenderer):
            log.info("progress_reported", **fields(view))
        elif log.is_enabled_for(logging.INFO):
            _write_line(stream, view)

    return report


def _write_line(stream: TextIO, view: RunView) -> None:
    try:
        stream.write(f"{iso_utc(time.time())} {line(view)}\n")
        stream.flush()
    except (OSError, ValueError):
        pass  # a sync goes on although nobody watches it any more


def fields(view: RunView) -> dict[str, Any]:
    """A run as the values of a log event."""
    progress = view.progress
    return {
        "organization": progress.organization,
        "run": progress.run,
        "resumed": progress.resumed,
        "dry_run": progress.dry,
        "seconds": round(view.elapsed, 3),
        "requests": progress.requests,
        "retries": progress.retries,
        "waiting_for": progress.waiting,
        "endpoints": [_endpoint_fields(endpoint) for endpoint in view.endpoints],
    }


def _endpoint_fields(view: EndpointView) -> dict[str, Any]:
    progress = view.progress
    rate, left = (view.rate, view.left) if view.working else (None, None)
    return {
        "endpoint": progress.endpoint,
        "state": progress.state,
        "phase": progress.phase,
        "done": progress.done,
        "total": progress.total,
        "total_final": progress.total_final,
        "rows": progress.rows,
        "rows_per_second": None if rate is None else round(rate, 1),
        "seconds_left": None if left is None else round(left, 1),
        "in_flight": progress.in_flight,
        "limit": progress.limit,
        "unreadable": progress.unreadable,
        "reason": progress.reason,
    }


def line(view: RunView) -> str:
    """A run on one line of plain text."""
    title = f" {view.title}" if view.title else ""
    parts = []
    for endpoint in view.endpoints:
        words = [cell(endpoint) for cell in CELLS.values()]
        parts.append(" ".join([endpoint.progress.endpoint, *filter(None, words)]))
    if view.progress.waiting:
        parts.append(f"waits for {view.progress.waiting}")
    text = "; ".join(parts)
    return terminal_safe(f"{view.progress.organization}{title}: {text or 'starting'}")
