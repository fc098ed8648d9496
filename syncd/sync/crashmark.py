"""Remembers across a crash which response was being decoded, so that one cannot kill for ever.

The mark is a page of memory that is mapped to a file: setting it costs no system call, and the
kernel keeps it when the process is killed.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from syncd.model import Collection, CollectionKind

SIZE = 4096


class CrashMark:
    """The mark of one organization's run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._map: mmap.mmap | None = None

    def open(self) -> tuple[int, Collection] | None:
        """Begin to mark; returns the run and collection in which the last process died, if any.

        Where the file cannot be made there is no mark: it is a precaution, and no run fails for it.
        """
        try:
            memory = self._map = self._mapped()
        except OSError:
            return None
        left = self._read(memory)
        memory[0] = 0
        return left

    def _mapped(self) -> mmap.mmap:
        number = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        try:
            # A full disk is an error here; to write into a hole of the file would kill the process.
            os.posix_fallocate(number, 0, SIZE)
            return mmap.mmap(number, SIZE)
        finally:
            os.close(number)

    @staticmethod
    def _read(memory: mmap.mmap) -> tuple[int, Collection] | None:
        text = memory[:].split(b"\0", 1)[0]
        try:
            run, kind, parent = json.loads(text)
            return int(run), Collection(CollectionKind(kind), str(parent))
        except (ValueError, TypeError):
            return None

    @contextlib.contextmanager
    def decoding(self, run: int, collection: Collection) -> Iterator[None]:
        """Mark the time in which a response of this collection is being decoded."""
        text = json.dumps([run, str(collection.kind), collection.parent]).encode()
        if self._map is None or len(text) >= SIZE:
            yield
            return
        # The first byte last: a mark that is half written is none.
        self._map[1 : len(text) + 1] = text[1:] + b"\0"
        self._map[0] = text[0]
        try:
            yield
        finally:
            self._map[0] = 0

    def close(self) -> None:
        """End of the run: nothing is being decoded."""
        if self._map is not None:
            self._map.close()
            self._map = None
        with contextlib.suppress(OSError):
            self._path.unlink()
