"""Who uses an application, and what it may do: the grants of each application, added up.

A user's access is what the user granted together with what was granted for the whole organization.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Scopes = tuple[str, ...]
Classify = Callable[[Scopes], str]


@dataclass(slots=True)
class ApplicationUse:
    """One live application of one organization."""

    organization: str
    id: str
    name: str
    users: int = 0
    """Users who can be acted for: those who granted access, or all if it is organization-wide."""
    organization_wide: bool = False
    """It was granted access to everybody's data."""
    others: int = 0
    """Grants by groups and service accounts."""
    scopes: Counter[str] = field(default_factory=Counter)
    """All scopes -> users for whom each was granted."""
    classes: Counter[str] = field(default_factory=Counter)
    """What ``classify`` says of the scopes that one principal granted -> such principals."""


_APPLICATIONS = """
SELECT o.name, a.organization, a.key, a.id, a.name
FROM t_application a JOIN t_organization o ON o.key = a.organization
WHERE a.removed_at IS NULL AND (?1 IS NULL OR o.name = ?1)
ORDER BY o.name, a.key
"""
_LIVE_USERS = "SELECT count(*) FROM t_user WHERE organization = ? AND removed_at IS NULL"
_SCOPE_SETS = """
SELECT principal_kind, scopes, count(*), max(id <> '') FROM t_token
WHERE application = ? AND removed_at IS NULL GROUP BY principal_kind, scopes
"""
_BY_PRINCIPAL = """
SELECT principal_id, scopes FROM t_token
WHERE application = ? AND principal_kind = 'user' AND removed_at IS NULL ORDER BY principal_id
"""


def applications(
    connection: sqlite3.Connection, organization: str | None, classify: Classify | None
) -> Iterator[ApplicationUse]:
    """Each live application, one after another."""
    live: dict[int, int] = {}
    cursor = connection.execute(_APPLICATIONS, (organization,))
    for name, key, application, id, title in cursor:
        if key not in live:
            live[key] = int(connection.execute(_LIVE_USERS, (key,)).fetchone()[0])
        use = ApplicationUse(name, id, title)
        _add_grants(connection, application, use, live[key], classify)
        yield use


def _add_grants(
    connection: sqlite3.Connection,
    application: int,
    use: ApplicationUse,
    live: int,
    classify: Classify | None,
) -> None:
    wide: set[str] = set()
    own: list[tuple[Scopes, int]] = []
    repeated = False
    for kind, text, count, named in connection.execute(_SCOPE_SETS, (application,)):
        scopes = _scopes(text)
        if kind == "user":
            own.append((scopes, count))
            repeated = repeated or bool(named)
        elif kind == "organization":
            use.organization_wide = True
            wide.update(scopes)
        else:
            use.others += count
            _add(use, scopes, users=0, principals=count, classify=classify)
    # Only grants with an id of their own can be several of one user.
    for scopes, users in _merged(connection, application) if repeated else own:
        use.users += users
        held = tuple(sorted(wide.union(scopes))) if wide else scopes
        _add(use, held, users=users, principals=users, classify=classify)
    if use.organization_wide and (rest := max(0, live - use.users)):
        use.users += rest
        _add(use, tuple(sorted(wide)), users=rest, principals=rest, classify=classify)


def _add(
    use: ApplicationUse, scopes: Scopes, *, users: int, principals: int, classify: Classify | None
) -> None:
    for scope in scopes:
        use.scopes[scope] += users
    if classify is not None:
        use.classes[classify(scopes)] += principals


def _merged(connection: sqlite3.Connection, application: int) -> Iterator[tuple[Scopes, int]]:
    """What each user granted, all grants of one user together."""
    rows = connection.execute(_BY_PRINCIPAL, (application,))
    for _, group in itertools.groupby(rows, key=lambda row: row[0]):
        yield tuple(sorted({scope for _, text in group for scope in _scopes(text)})), 1


def _scopes(text: str) -> Scopes:
    """The scopes of one grant. Text that is no list, which no syncd writes, is no scope."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    return tuple(str(scope) for scope in value) if isinstance(value, list) else ()
