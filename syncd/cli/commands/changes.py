"""``syncd changes``: the change feed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from rich.cells import cell_len, set_cell_size

from syncd.cli import output
from syncd.cli.render import Column, Row, show_table
from syncd.cli.risk import short_scope
from syncd.cli.settings import open_database
from syncd.cli.when import parse_since
from syncd.host.text import terminal_safe
from syncd.store.reader import ReadOnlyDatabase

_STYLES = {"added": "green", "changed": "yellow", "removed": "red"}
_NameOf = Callable[[str, str, str], str]

_SHORTEST_HOLDER = 6
"""Columns that the first of two names keeps at least."""


def run(args: argparse.Namespace) -> int:
    """Show changes, the newest last."""
    since = parse_since(args.since) if args.since is not None else None
    limit = args.limit if args.limit is not None else (0 if args.json else 100)
    with open_database(args) as database:
        rows = database.changes(
            since,
            args.org,
            args.kind,
            entities=args.entity,
            run=args.run_id,
            limit=limit or None,
        )
        if args.json:
            output.write_json_lines(rows)
        else:
            several = args.org is None and len(database.organizations()) > 1
            show(database, rows, limit=limit, several=several)
    return 0


def show(
    database: ReadOnlyDatabase, rows: Iterator[Row], *, limit: int = 0, several: bool = False
) -> None:
    """Print changes of a database as a table.

    ``limit`` is how many were asked for at most; ``several`` shows their organizations too.
    """
    shown = show_table(_columns(several=several), _readable(database, rows))
    if not shown:
        output.note("no changes")
    elif shown == limit:
        newest = "newest change" if shown == 1 else f"newest {shown:,} changes"
        output.note(f"the {newest}; --limit 0 shows all")


def _columns(*, several: bool) -> list[Column]:
    organization = Column("organization", lambda row: row["organization"], drop=40)
    return [
        Column("at", lambda row: row["at"], drop=30, least=20),
        *([organization] if several else []),
        Column("run", lambda row: row["run_id"], drop=50, right=True, least=3),
        Column("change", lambda row: row["kind"], least=7, style=lambda row: _STYLES[row["kind"]]),
        Column("entity", lambda row: row["entity"], drop=20, least=11),
        Column(
            "what",
            lambda row: "".join(row["what"]),
            least=30,
            squeeze=lambda row, width: squeezed(row["what"], width),
        ),
        Column("how", lambda row: row["how"], drop=25, least=24, optional=True, yields=True),
    ]


def _readable(database: ReadOnlyDatabase, rows: Iterator[Row]) -> Iterator[Row]:
    """Changes with names in the place of ids, and with what is different in words."""
    name_of = lru_cache(maxsize=4096)(database.name_of)
    for row in rows:
        yield row | {"what": subject(row, name_of), "how": difference(row)}


def subject(row: Row, name_of: _NameOf) -> tuple[str, str, str]:
    """What a change is about, by name where there is one: a name, or two and what joins them.

    The last is the one that counts; of one name alone the others are empty.
    """
    key = row["key"] if isinstance(row["key"], dict) else {}
    organization = row["organization"]

    def named(kind: str, id: str) -> str:
        if kind in {"external", "service", "organization", "everyone"}:
            return id or kind
        return name_of(organization, kind, id)

    match row["entity"]:
        case "token":
            holder = named(key.get("principal_kind", ""), key.get("principal_id", ""))
            application = named("application", key.get("application_id", ""))
            return holder, " -> ", application
        case "relation":
            member = named(key.get("subject_kind", ""), key.get("subject_id", ""))
            place = named(key.get("object_kind", ""), key.get("object_id", ""))
            return member, " in ", place
        case entity:
            return "", "", named(entity, key.get("id", ""))


def squeezed(what: tuple[str, str, str], width: int) -> str:
    """The same in fewer columns: the first name goes without its domain, then is cut off.

    What is still too wide is left so, to be cut off at its end.
    """
    first, join, last = map(terminal_safe, what)
    if not first:
        return last
    room = width - cell_len(join + last)
    name, at, _ = first.partition("@")
    bare = f"{name}@…" if at else first
    if cell_len(bare) <= room:
        return f"{bare}{join}{last}"
    room = max(_SHORTEST_HOLDER, room)
    if cell_len(name) > room:
        name = set_cell_size(name, room - 1).rstrip() + "…"
    return f"{name}{join}{last}"


def difference(row: Row) -> str:
    """How a changed row differs from what it was."""
    before, after = row["before"], row["after"]
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ""
    names = [name for name in after if after[name] != before.get(name)]
    return "; ".join(_field(name, before.get(name), after[name]) for name in names)


def _field(name: str, before: Any, after: Any) -> str:
    if isinstance(before, list) and isinstance(after, list):
        gone = [f"-{short_scope(str(item))}" for item in before if item not in after]
        new = [f"+{short_scope(str(item))}" for item in after if item not in before]
        return f"{name}: {' '.join(new + gone)}"
    return f"{name}: {_value(before)} -> {_value(after)}"


def _value(value: Any) -> str:
    return '""' if value in ("", None) else str(value)
