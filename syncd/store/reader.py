"""Reading the database without being able to write it: what the commands and exports ask.

Rows come in chunks, so memory does not grow with the database. What one iterator brings is one
state of the database, however long it takes and whatever is committed meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from syncd.errors import ForeignDatabase, SchemaTooNew, StoreError, UsageError
from syncd.store.base import APPLICATION_ID, SCHEMA_VERSION
from syncd.store.copying import copy_database
from syncd.store.database import translate
from syncd.store.usage import ApplicationUse, applications

Row = dict[str, Any]

LIVE_VIEWS = ("users", "tokens", "relations", "applications", "groups")
"""Views that show live rows; each has an ``_all`` view that shows the removed ones too."""

VIEWS = (*LIVE_VIEWS, "user_applications", "changes", "runs", "collections", "held_removals")
"""The views that :meth:`ReadOnlyDatabase.rows` reads by name."""

_ORDER = {"changes": "seq", "runs": "id"}
_JSON = frozenset({"scopes", "endpoints", "counts", "before", "after"})
_JSON_IN = {"changes": _JSON | {"key"}}
_FLAGS = frozenset({"is_admin", "native", "anonymous"})
_CHUNK = 500
_BUSY_TIMEOUT = 5.0


class ReadOnlyDatabase:
    """The database as somebody sees it who may read it. A context manager.

    Raises StoreError, ForeignDatabase, SchemaTooNew or CorruptDatabase, each with one sentence
    that says what to do.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise StoreError(
                f"{path}: there is no database yet; `syncd sync` makes it, or name another one "
                "with --database FILE"
            )
        self._connection = self._open()
        try:
            with self._errors():
                self._check_ours()
        except BaseException:  # whatever it was, the file is let go
            self.close()
            raise

    def _open(self) -> sqlite3.Connection:
        uri = f"file:{quote(str(self.path.absolute()))}?mode=ro"
        with self._errors():
            connection = sqlite3.connect(
                uri, uri=True, timeout=_BUSY_TIMEOUT, isolation_level=None, cached_statements=32
            )
        connection.text_factory = lambda data: data.decode("utf-8", "replace")
        return connection

    def _check_ours(self) -> None:
        application = int(self._one("PRAGMA application_id")[0])
        version = int(self._one("PRAGMA user_version")[0])
        if application != APPLICATION_ID:
            raise ForeignDatabase(
                f"{self.path}: this is no database of syncd; name the right one in [store] url, "
                "or with --database FILE"
            )
        if version > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"{self.path}: a newer syncd wrote this database (schema {version}; this one "
                f"knows {SCHEMA_VERSION}); use a syncd that knows schema {version}"
            )
        if version < SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: an older syncd wrote this database (schema {version}; this one "
                f"reads {SCHEMA_VERSION}); the next `syncd sync` brings it up to date"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def _one(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._connection.execute(sql, parameters).fetchone()
        return row

    def _stream(self, view: str, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows as dictionaries: JSON text as what it stands for, flags as booleans."""
        with self._errors():
            cursor = self._connection.execute(sql, parameters)
        try:
            names = [column[0] for column in cursor.description]
            readers = [_reader_of(name, view) for name in names]
            while True:
                with self._errors():
                    chunk = cursor.fetchmany(_CHUNK)
                if not chunk:
                    return
                for values in chunk:
                    yield {
                        name: value if read is None or value is None else read(value)
                        for name, read, value in zip(names, readers, values, strict=True)
                    }
        finally:
            with contextlib.suppress(sqlite3.ProgrammingError):  # the database is closed already
                cursor.close()

    def columns(self, view: str) -> list[str]:
        """The names of a view's columns."""
        with self._errors():
            cursor = self._connection.execute(f"SELECT * FROM {_known(view)} LIMIT 0")
        return [column[0] for column in cursor.description]

    def organizations(self) -> list[str]:
        """The names of all organizations in the database, sorted."""
        with self._errors():
            rows = self._connection.execute("SELECT name FROM t_organization ORDER BY name")
            return [name for (name,) in rows]

    def _organization(self, name: str | None) -> str | None:
        """The name of an organization that exists, or None for all of them."""
        if name is not None and name not in (known := self.organizations()):
            there = f"it has {', '.join(known)}" if known else "it has none yet"
            raise UsageError(f"no organization {name!r} in {self.path}: {there}")
        return name

    def rows(self, view: str, *, organization: str | None = None) -> Iterator[Row]:
        """Every row of a view of :data:`VIEWS`, or of an ``_all`` view."""
        order = f" ORDER BY {_ORDER[view]}" if view in _ORDER else ""
        where, parameters = "", list[Any]()
        if (name := self._organization(organization)) is not None:
            where, parameters = " WHERE organization = ?", [name]
        return self._stream(view, f"SELECT * FROM {_known(view)}{where}{order}", parameters)

    def runs(self, limit: int | None = None, organization: str | None = None) -> Iterator[Row]:
        """Runs, the newest first."""
        where, parameters = "", list[Any]([-1 if limit is None else limit])
        if (name := self._organization(organization)) is not None:
            where, parameters = " WHERE organization = ?", [name, *parameters]
        sql = f"SELECT * FROM runs{where} ORDER BY id DESC LIMIT ?"
        return self._stream("runs", sql, parameters)

    def changes(
        self,
        since: float | None = None,
        organization: str | None = None,
        kinds: Sequence[str] = (),
        *,
        entities: Sequence[str] = (),
        run: int | None = None,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """The change feed, the oldest first; with ``limit`` only the newest that many.

        ``since`` is in seconds since 1970; ``kinds`` are added, changed, removed; ``entities`` are
        user, token, group, relation, application.
        """
        where, parameters = ["TRUE"], list[Any]()
        if since is not None:
            where.append(
                "seq >= (SELECT min(seq) FROM t_change WHERE at >= ?)"
                " AND at >= strftime('%Y-%m-%dT%H:%M:%SZ', ?, 'unixepoch')"
            )
            parameters += [since, since]
        if (name := self._organization(organization)) is not None:
            where.append("organization = ?")
            parameters.append(name)
        if run is not None:
            where.append("run_id = ?")
            parameters.append(run)
        for column, values in (("kind", kinds), ("entity", entities)):
            if values:
                where.append(f"{column} IN ({', '.join('?' * len(values))})")
                parameters += values
        matches = " AND ".join(where)
        if limit is not None:
            newest = f"SELECT seq FROM changes WHERE {matches} ORDER BY seq DESC LIMIT ?"
            matches = f"({matches}) AND seq >= (SELECT min(seq) FROM ({newest}))"
            parameters = [*parameters, *parameters, limit]
        sql = f"SELECT * FROM changes WHERE {matches} ORDER BY seq"
        return self._stream("changes", sql, parameters)

    def applications(
        self,
        organization: str | None = None,
        classify: Callable[[tuple[str, ...]], str] | None = None,
    ) -> Iterator[ApplicationUse]:
        """Live applications with their users and scopes; see :mod:`syncd.store.usage`."""
        chosen = self._organization(organization)
        return self._guarded(applications(self._connection, chosen, classify))

    def _guarded(self, items: Iterator[ApplicationUse]) -> Iterator[ApplicationUse]:
        with self._errors():
            yield from items

    def counts(self, organization: str | None = None) -> dict[str, int]:
        """Live rows by view."""
        where, parameters = "", list[Any]()
        if (name := self._organization(organization)) is not None:
            where = " AND organization = (SELECT key FROM t_organization WHERE name = ?)"
            parameters = [name]
        with self._errors():
            return {
                view: int(
                    self._one(
                        f"SELECT count(*) FROM t_{view[:-1]} WHERE removed_at IS NULL{where}",
                        parameters,
                    )[0]
                )
                for view in LIVE_VIEWS
            }

    def name_of(self, organization: str, entity: str, id: str) -> str:
        """What people call a user, group or application; its id if it has no name."""
        column = {"user": "email", "group": "email", "application": "name"}.get(entity)
        if column is None:
            return id
        sql = (
            f"SELECT e.{column} FROM t_{entity} e JOIN t_organization o ON o.key = e.organization"
            " WHERE o.name = ? AND e.id = ?"
        )
        with self._errors():
            row = self._one(sql, (organization, id))
        return str(row[0]) if row and row[0] else id

    def backup(self, target: Path, progress: Callable[[int, int], None] | None = None) -> int:
        """Write a consistent copy to a file that does not exist yet; returns its size in bytes.

        ``progress`` is told the pages that remain and the pages in all. Raises CannotCreate if the
        file cannot be written, and leaves nothing behind then.
        """
        with self._errors():
            return copy_database(self._connection, target, progress)


def explain(path: Path, error: sqlite3.Error) -> StoreError:
    """What a SQLite error means to somebody who reads."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path}: the database is locked by another program; try again when that has finished"
        )
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(
            f"{path}: the database cannot be opened for reading; run as root or as a member of "
            f"the group that owns {path.parent}"
        )
    if name == "SQLITE_ERROR":
        return StoreError(
            f"{path}: the database lacks something that this syncd reads ({error}); "
            "run `syncd sync` with this version, or restore a backup"
        )
    return translate(path, error)


def _known(view: str) -> str:
    live = view.removesuffix("_all")
    if view in VIEWS or (live in LIVE_VIEWS and live != view):
        return view
    raise UsageError(f"no view {view!r}; there are {', '.join(VIEWS)}")


def _reader_of(name: str, view: str) -> Callable[[Any], Any] | None:
    if name in _JSON_IN.get(view, _JSON):
        return _decode
    return bool if name in _FLAGS else None


def _decode(text: str) -> Any:
    """The value of JSON text; text that is none stays as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
