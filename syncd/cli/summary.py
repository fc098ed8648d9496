"""What a run came to: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from syncd.host.text import terminal_safe
from syncd.model import RunState
from syncd.sync.progress import RunResult
from syncd.timing import format_duration

_ENTITIES = {
    "user": "users",
    "token": "tokens",
    "application": "applications",
    "group": "groups",
    "relation": "relations",
}
_COUNTS = ("read", "added", "changed", "removed")
_NEVER_READ = frozenset({"application"})
"""They are not asked for: tokens name them."""


def summary(result: RunResult, *, dry: bool = False) -> str:
    """A run's result in a few lines of plain text."""
    return "\n".join([_headline(result, dry=dry), *_table(result), *_remarks(result, dry=dry)])


def _headline(result: RunResult, *, dry: bool) -> str:
    what = f"dry run {result.state}" if dry else f"run {result.run} {result.state}"
    resumed = ", resumed" if result.resumed else ""
    reason = f": {terminal_safe(result.reason)}" if result.reason else ""
    took = format_duration(result.wall_seconds)
    return f"{terminal_safe(result.organization)}: {what} in {took}{resumed}{reason}"


def _table(result: RunResult) -> Iterator[str]:
    rows = [
        (_ENTITIES.get(entity, entity), [_figure(entity, counts, name) for name in _COUNTS])
        for entity, counts in sorted(result.counts.items(), key=_place)
        if any(counts.get(name, 0) for name in _COUNTS)
    ]
    if not rows:
        return
    grid = [list(_COUNTS), *(figures for _, figures in rows)]
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    titles = ["", *(title for title, _ in rows)]
    first = max(map(len, titles))
    for title, cells in zip(titles, grid, strict=True):
        yield _line(title, first, cells, widths)


def _figure(entity: str, counts: dict[str, int], name: str) -> str:
    if name == "read" and entity in _NEVER_READ:
        return "-"
    return f"{counts.get(name, 0):,}"


def _place(item: tuple[str, dict[str, int]]) -> tuple[int, str]:
    order = list(_ENTITIES)
    return (order.index(item[0]) if item[0] in order else len(order)), item[0]


def _line(title: str, first: int, cells: list[str], widths: list[int]) -> str:
    figures = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return f"  {title.ljust(first)}  {figures}"


def _remarks(result: RunResult, *, dry: bool) -> Iterator[str]:
    name = terminal_safe(result.organization)
    for endpoint in result.endpoints:
        if endpoint.state not in {RunState.SUCCEEDED, RunState.RUNNING} and endpoint.reason:
            reason = terminal_safe(endpoint.reason)
            yield f"  {endpoint.endpoint} {endpoint.state}: {reason}"
    if result.unreadable:
        yield (
            f"  {_many(result.unreadable, 'collection')} could not be read; what was known of them "
            "is kept and marked: `syncd export collections --format csv`"
        )
    if result.not_applicable:
        yield f"  {_not_applicable(result.not_applicable)}"
    if bad := result.total("bad") + result.total("dropped"):
        yield f"  {_many(bad, 'record')} could not be understood; what was known of them is kept"
    if result.total("held"):
        held = ", ".join(
            f"{counts['held']:,} {_ENTITIES.get(entity, entity)}"
            for entity, counts in sorted(result.counts.items(), key=_place)
            if counts.get("held")
        )
        yield (
            f"  removals held, as they are unusually many: {held}\n"
            f"    if that is right: `syncd sync {name} --allow-removals`"
        )
    if result.state in {RunState.INTERRUPTED, RunState.ABORTED} and not dry:
        yield f"  `syncd sync {name}` goes on where this one stopped"
    if result.requests:
        busy = format_duration(result.request_seconds)
        yield (
            f"  {_many(result.requests, 'request')} took {busy} in all: "
            f"effective speed-up {result.speed_up:.1f}x"
        )
    if dry:
        yield "  nothing was written to the database"


def _not_applicable(users: int) -> str:
    who, whose = ("user is", "its") if users == 1 else ("users are", "their")
    return (
        f"{users:,} {who} suspended or archived: {whose} tokens cannot be asked for; "
        "what was known of them is kept"
    )


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def result_json(result: RunResult, *, dry: bool = False) -> dict[str, Any]:
    """A run's result as ``syncd sync --json`` prints it: one JSON document."""
    return {
        "organization": result.organization,
        "run": result.run,
        "state": str(result.state),
        "reason": result.reason or None,
        "dry_run": dry,
        "resumed": result.resumed,
        "endpoints": [
            {
                "endpoint": each.endpoint,
                "state": str(each.state),
                "reason": each.reason or None,
                "unreadable": each.unreadable,
                "seconds": round(each.seconds, 3),
            }
            for each in result.endpoints
        ],
        "counts": result.counts,
        "unreadable": result.unreadable,
        "not_applicable": result.not_applicable,
        "held_removals": result.total("held"),
        "requests": result.requests,
        "request_seconds": round(result.request_seconds, 3),
        "wall_seconds": round(result.wall_seconds, 3),
        "speed_up": round(result.speed_up, 2),
        "exit_code": int(result.exit_code),
    }
