"""A consistent copy of a database that somebody else is writing."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Callable
from pathlib import Path

from syncd.errors import CannotCreate

_PAGES = 256
"""Pages copied at a time: 1 MiB. Between them others get their turn."""


def copy_database(
    source: sqlite3.Connection,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    replace: bool = False,
) -> int:
    """Copy ``source`` into a new file, 0640, whole or not there at all; returns its size.

    ``replace``: a file of that name may be there already, and makes way for the finished copy.
    """
    if not replace and (target.exists() or target.is_symlink()):
        raise _exists(target)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        _create(partial)
        _fill(source, partial, progress)
        _make_durable(partial)
        size = partial.stat().st_size
        if replace:
            partial.replace(target)
        else:
            _name(partial, target)
        _make_durable(target.parent)
        return size
    except OSError as error:
        raise CannotCreate(
            f"{target}: the copy cannot be written: {error.strerror or error}; name a file in a "
            "directory that this user may write and that has room"
        ) from error
    except sqlite3.Error as error:
        if (name := error.sqlite_errorname) not in {"SQLITE_FULL", "SQLITE_CANTOPEN"}:
            raise
        reason = "the disk is full" if name == "SQLITE_FULL" else "it cannot be opened"
        raise CannotCreate(
            f"{target}: the copy cannot be written: {reason}; name a file elsewhere"
        ) from error
    finally:
        _remove(partial)


def _exists(target: Path) -> CannotCreate:
    return CannotCreate(
        f"{target}: exists already and is not overwritten; name a file that does not exist"
    )


def _create(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o640)
    try:
        os.fchmod(descriptor, 0o640)
    finally:
        os.close(descriptor)


def _fill(
    source: sqlite3.Connection, path: Path, progress: Callable[[int, int], None] | None
) -> None:
    """Copy all pages of one state of the database.

    The open transaction holds that state; without it every commit of another process would start
    the copy anew.
    """
    copy = sqlite3.connect(path, isolation_level=None)
    try:
        copy.execute("PRAGMA synchronous = OFF")
        copy.execute("PRAGMA journal_mode = OFF")
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            source.backup(
                copy,
                pages=_PAGES,
                progress=None if progress is None else _told(progress),
                sleep=0.005,
            )
        finally:
            source.execute("ROLLBACK")
        # The copy of a database in WAL mode is in WAL mode too, and could not be read without
        # permission to write beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    finally:
        copy.close()


def _told(progress: Callable[[int, int], None]) -> Callable[[int, int, int], None]:
    return lambda _status, remaining, total: progress(remaining, total)


def _make_durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _name(partial: Path, target: Path) -> None:
    """Give the finished file its name, unless somebody took that name meanwhile."""
    try:
        os.link(partial, target)
    except FileExistsError:
        raise _exists(target) from None
    except OSError:
        # A file system without hard links.
        if target.exists():
            raise _exists(target) from None
        partial.rename(target)


def _remove(partial: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            partial.with_name(partial.name + suffix).unlink()
