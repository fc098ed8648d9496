"""``syncd export``: a view as CSV for people and spreadsheets, or as JSON Lines for programs.

JSON Lines hold every value as it is. In CSV a text that a spreadsheet would take for a formula
begins with ``'``, and invisible characters are left out; lists and objects are JSON text, flags are
``true`` or ``false``.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from syncd.cli import output
from syncd.cli.settings import open_database
from syncd.errors import CannotCreate, UsageError
from syncd.host.text import csv_safe
from syncd.store.reader import LIVE_VIEWS

Row = dict[str, Any]
Write = Callable[[bytes], object]

_PIECE = 1 << 16


def run(args: argparse.Namespace) -> int:
    """Write a view to standard output or to a new file."""
    view = args.view
    if args.all:
        if view not in LIVE_VIEWS:
            raise UsageError(f"--all is for {', '.join(LIVE_VIEWS)}; {view} shows everything")
        view = f"{view}_all"
    with open_database(args) as database:
        columns, rows = database.columns(view), database.rows(view, organization=args.org)
        pieces = csv_pieces(columns, rows) if args.format == "csv" else jsonl_pieces(rows)
        if args.output is None:
            for piece in pieces:
                output.write_bytes(piece)
            output.flush()
        else:
            with new_file(args.output) as write:
                for piece in pieces:
                    write(piece)
    return 0


def csv_pieces(columns: list[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """RFC 4180: a header row, CRLF, UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_cell(value) for value in row.values()])
        if buffer.tell() > _PIECE:
            yield _taken(buffer)
    yield _taken(buffer)


def csv_cell(value: Any) -> str:
    """One value as the text of a harmless cell."""
    if isinstance(value, list | dict):
        return csv_safe(output.json_text(value))
    return csv_safe(value)


def jsonl_pieces(rows: Iterable[Row]) -> Iterator[bytes]:
    """One JSON document per line, UTF-8."""
    buffer = io.StringIO()
    for row in rows:
        buffer.write(output.json_text(row) + "\n")
        if buffer.tell() > _PIECE:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode("utf-8")


@contextmanager
def new_file(path: Path) -> Iterator[Write]:
    """A file, 0640, that is there whole or not at all; an existing one is replaced.

    What is no ordinary file (a device, a pipe, a link to one) is written to as it is.
    """
    if path.exists() and (path.is_symlink() or not path.is_file()):
        with _written(path), path.open("wb") as file:
            yield file.write
        return
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
    try:
        with _written(path):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            descriptor = os.open(partial, flags, 0o640)
            with os.fdopen(descriptor, "wb") as file:
                yield file.write
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise CannotCreate(
            f"{path}: cannot be written: {error.strerror or error}; "
            "name a file in a directory that this user may write"
        ) from error
