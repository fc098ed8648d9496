"""What a database says, in forms that can be compared: nothing left, or the same as another."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.feed import Row, walk_back

VIEWS = ("users_all", "applications_all", "tokens_all", "groups_all", "relations_all")
TIMES = {"first_seen_at", "changed_at", "stale_since"}


def before_everything(database: Path, organization: str = "acme") -> dict[str, dict[str, Row]]:
    """What is left when every change is undone; it must be nothing."""
    state = walk_back(database, organization)
    return {entity: rows for entity, rows in state.items() if rows}


def digest(database: Path) -> str:
    """All entity rows without times, and the change feed as a multiset without run and time."""
    whole = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        for view in VIEWS:
            rows = connection.execute(f"SELECT * FROM {view}")
            names = [column[0] for column in rows.description if column[0] not in TIMES]
            lines = sorted(
                json.dumps({name: _plain(name, row[name]) for name in names}) for row in rows
            )
            whole.update("\n".join((view, *lines)).encode())
        feed = Counter(
            tuple(row)
            for row in connection.execute("SELECT entity, key, kind, before, after FROM changes")
        )
        whole.update(repr(sorted(feed.items(), key=repr)).encode())
    return whole.hexdigest()


def _plain(name: str, value: Any) -> Any:
    """Whether a row was removed counts, and not when."""
    return value is not None if name == "removed_at" else value
