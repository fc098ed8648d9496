"""``syncd runs``: the history of runs."""

from __future__ import annotations

import argparse

from syncd.cli import output
from syncd.cli.render import Column, Row, show_table
from syncd.cli.settings import open_database
from syncd.timing import format_duration

STATE_STYLES = {
    "succeeded": "green",
    "partial": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
    "failed": "red",
    "aborted": "red",
}


def run(args: argparse.Namespace) -> int:
    """Show the newest runs, the newest first."""
    with open_database(args) as database:
        rows = database.runs(args.limit or None, args.org)
        if args.json:
            output.write_json_lines(rows)
            return 0
        several = args.org is None and len(database.organizations()) > 1
        shown = show_table(_columns(several=several), rows)
        if not shown:
            output.note("no run yet; `syncd sync` starts one")
        elif shown == args.limit:
            newest = "newest run" if shown == 1 else f"newest {shown:,} runs"
            output.note(f"the {newest}; --limit 0 shows all")
    return 0


def total(row: Row, what: str) -> int:
    """Rows of all entities that a run added, changed, removed, ..."""
    counts = row["counts"]
    if not isinstance(counts, dict):
        return 0
    return sum(int(each.get(what, 0)) for each in counts.values() if isinstance(each, dict))


def speed_up(row: Row) -> float | None:
    """How many requests ran at once on average."""
    wall = row["wall_seconds"]
    return row["request_seconds"] / wall if wall else None


def _columns(*, several: bool) -> list[Column]:
    def count(what: str) -> Column:
        return Column(what, lambda row: total(row, what), drop=_DROP[what], right=True, least=3)

    def percent(name: str, title: str, drop: int) -> Column:
        return Column(title, lambda row: _percent(row[name]), drop=drop, right=True, optional=True)

    organization = Column("organization", lambda row: row["organization"], drop=10, least=12)
    return [
        Column("run", lambda row: row["id"], right=True, least=3),
        *([organization] if several else []),
        Column(
            "state",
            lambda row: row["state"],
            style=lambda row: STATE_STYLES[row["state"]],
            least=11,
        ),
        Column("started", lambda row: row["started_at"], drop=5, least=20),
        Column("took", lambda row: format_duration(row["wall_seconds"]), drop=25, right=True),
        *(count(what) for what in ("read", "added", "changed", "removed")),
        Column(
            "unreadable",
            lambda row: row["unreadable"] or "",
            drop=50,
            right=True,
            optional=True,
            style="yellow",
        ),
        Column("requests", lambda row: row["requests"], drop=60, right=True),
        Column("speed-up", lambda row: _factor(speed_up(row)), drop=80, right=True),
        percent("peak_cpu", "cpu", 70),
        percent("peak_memory", "memory", 90),
        Column("brakes", lambda row: row["brakes"] or "", drop=85, right=True, optional=True),
        Column("resumes", lambda row: row["resumes"] or "", drop=75, right=True, optional=True),
        Column("reason", lambda row: row["reason"], drop=40, least=24, optional=True),
    ]


_DROP = {"read": 45, "added": 20, "changed": 22, "removed": 21}


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _factor(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}x"
