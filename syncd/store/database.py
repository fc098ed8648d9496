"""One SQLite connection: opening it, its schema, its transactions, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syncd.errors import CannotCreate, CorruptDatabase, ForeignDatabase, SchemaTooNew, StoreError
from syncd.store.base import APPLICATION_ID
from syncd.store.copying import copy_database

MIGRATIONS = Path(__file__).parent / "migrations"

BUSY_TIMEOUT = 10.0
"""Seconds to wait for a lock of another program."""

CLOSE_PATIENCE = 2.0
"""Seconds to try to leave WAL at a clean stop, so that readers need no write access."""


def translate(path: Path, error: sqlite3.Error) -> StoreError:
    """What a SQLite error means to the user."""
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path}: the database is locked by another program for more than "
            f"{BUSY_TIMEOUT:g} s; close whatever holds it open for writing and start again"
        )
    if name == "SQLITE_FULL" or (name.startswith("SQLITE_IOERR") and _disk_is_full(path)):
        return StoreError(
            f"{path}: the disk is full; nothing that was committed is lost. Make room in "
            f"{path.parent} and start again: the run goes on where it stopped"
        )
    if name == "SQLITE_NOTADB":
        return ForeignDatabase(
            f"{path}: this file is no SQLite database; name another file in [store] url"
        )
    if name.startswith("SQLITE_CORRUPT"):
        return CorruptDatabase(
            f"{path}: the database is damaged ({name}). Keep a copy, then move it aside or "
            "restore a backup; syncd fills a new one from the provider"
        )
    if name.startswith("SQLITE_READONLY"):
        return StoreError(f"{path}: the database cannot be written; check its owner and mode")
    if name == "SQLITE_CANTOPEN":
        return CannotCreate(
            f"{path}: the database cannot be opened; check that {path.parent} exists and that "
            "this user may write there"
        )
    return StoreError(f"{path}: SQLite says {name or type(error).__name__}: {error}")


def _disk_is_full(path: Path) -> bool:
    try:
        room = os.statvfs(path.parent)
    except OSError:
        return False
    return room.f_bavail * room.f_frsize < 1 << 16


def migrations(folder: Path = MIGRATIONS) -> list[tuple[int, str]]:
    """Schema steps as (version, SQL), from files named ``0001_what.sql``."""
    return [(int(p.name.split("_")[0]), p.read_text()) for p in sorted(folder.glob("*.sql"))]


def statements(script: str) -> Iterator[str]:
    """The statements of a script; each ends at the end of a line.

    (``executescript`` would commit the transaction that it is run in.)
    """
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


class Database:
    """A connection that writes. Used by one thread at a time."""

    def __init__(self, path: Path, steps: list[tuple[int, str]] | None = None) -> None:
        self.path = path
        self.steps = migrations() if steps is None else steps
        self.version = self.steps[-1][0]
        self._connection: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """The open connection."""
        if self._connection is None:
            raise StoreError(f"{self.path}: the database is not open")
        return self._connection

    def open(self) -> None:
        """Open or create the file and bring its schema up to date.

        Raises CannotCreate, ForeignDatabase, SchemaTooNew, CorruptDatabase or StoreError.
        """
        self._make_file()
        try:
            self._connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:  # whatever went wrong: the file is let go
                self._drop()
                raise
        except sqlite3.Error as error:
            raise translate(self.path, error) from error

    def _make_file(self) -> None:
        """Create the file if there is none: 0640, whatever the umask."""
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
        try:
            try:
                number = os.open(self.path, flags | os.O_EXCL, 0o640)
            except FileExistsError:
                os.close(os.open(self.path, flags, 0o640))
            else:
                os.fchmod(number, 0o640)
                os.close(number)
        except IsADirectoryError as error:
            raise CannotCreate(
                f"{self.path}: this is a directory; name a file in [store] url"
            ) from error
        except OSError as error:
            folder = self.path.parent
            what = f"make {folder} writable for this user" if folder.is_dir() else f"make {folder}"
            raise CannotCreate(
                f"{self.path}: the database cannot be created or written: {error.strerror}; "
                f"{what}, or name another file in [store] url"
            ) from error

    def _prepare(self) -> None:
        execute = self.connection.execute
        # One state of the file: another process may be making it at this moment.
        execute("BEGIN")
        found = self._check_ours()
        execute("COMMIT")
        if found == 0:
            execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._enter_wal()
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA cache_size = -4000")
        execute("PRAGMA journal_size_limit = 16777216")
        if found < self.version:
            self._migrate()

    def _enter_wal(self) -> None:
        """Switch to WAL. SQLite does not wait by itself when others open the file right now."""
        deadline = time.monotonic() + BUSY_TIMEOUT
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not busy:
                    raise
                if time.monotonic() >= deadline:
                    raise StoreError(
                        f"{self.path}: another program has been reading or writing the database "
                        f"for {BUSY_TIMEOUT:.0f} s without a pause, so that it cannot be opened "
                        "for writing; let it finish or close it, and start again"
                    ) from error
                time.sleep(0.01)
            else:
                return

    def _check_ours(self) -> int:
        """The schema version found. Raises when the file is not for this program to write."""
        found = int(self.one("PRAGMA user_version")[0])
        application = int(self.one("PRAGMA application_id")[0])
        empty = not self.all("SELECT 1 FROM sqlite_master LIMIT 1")
        if application != APPLICATION_ID and not (empty and application == 0 and found == 0):
            raise ForeignDatabase(
                f"{self.path}: this database belongs to another program; "
                "name another file in [store] url"
            )
        if found > self.version:
            raise SchemaTooNew(
                f"{self.path}: written by a newer syncd (schema {found}; this one knows "
                f"{self.version}); install a syncd that knows schema {found}, or name another file"
            )
        return found

    def _migrate(self) -> None:
        """Bring the schema up to date in one transaction, with a copy of what was."""
        with self.transaction():
            # Another process may have done it while this one waited for its turn.
            found = self._check_ours()
            if 0 < found < self.version:
                self._keep_copy(found)
            for version, script in self.steps:
                if version > found:
                    for statement in statements(script):
                        self.connection.execute(statement)
            self.connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.connection.execute(f"PRAGMA user_version = {self.version}")

    def _keep_copy(self, found: int) -> None:
        """A copy of the old schema's rows, read beside the transaction that will change them."""
        target = self.path.with_name(f"{self.path.name}.v{found}.bak")
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as reader:
            copy_database(reader, target, replace=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block is committed, or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:  # also for a cancellation: nothing of the block stays
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        self.commit()

    def commit(self) -> None:
        """Commit; on failure nothing of the transaction stays."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def one(self, sql: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        """The first row; a query that must have one."""
        row: tuple[Any, ...] = self.connection.execute(sql, parameters).fetchone()
        return row

    def maybe(self, sql: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        row: tuple[Any, ...] | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """All rows: for results that are small by design."""
        return self.connection.execute(sql, parameters).fetchall()

    def copy(self, target: Path) -> None:
        """Write a consistent copy to a file that does not exist yet."""
        copy_database(self.connection, target)

    def close(self) -> None:
        """Leave the file so that a reader without write access can open it.

        With a reader connected WAL cannot be left; then -wal and -shm stay and readers still work.
        """
        if self._connection is None:
            return
        try:
            self.connection.execute("PRAGMA busy_timeout = 200")
            deadline = time.monotonic() + CLOSE_PATIENCE
            while not self._leave_wal() and time.monotonic() < deadline:
                time.sleep(0.1)
        finally:
            self._drop()

    def _leave_wal(self) -> bool:
        try:
            return bool(self.one("PRAGMA journal_mode = DELETE")[0] == "delete")
        except sqlite3.OperationalError:
            return False

    def _drop(self) -> None:
        self.connection.close()
        self._connection = None
