"""What a process was decoding when it died is known to the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.model import Collection, CollectionKind
from syncd.sync.crashmark import SIZE, CrashMark

TOKENS = Collection(CollectionKind.TOKENS, "user \u0142 1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def left(path: Path) -> tuple[int, Collection] | None:
    """What the next process finds."""
    mark = CrashMark(path)
    try:
        return mark.open()
    finally:
        mark.close()


def test_nothing_is_marked_before_between_and_after(path: Path) -> None:
    mark = CrashMark(path)
    assert mark.open() is None
    with mark.decoding(7, TOKENS):
        pass
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    assert left(copy) is None
    mark.close()
    assert not path.exists()
    mark.close()


def test_a_mark_that_is_left_tells_the_run_and_the_collection(path: Path) -> None:
    mark = CrashMark(path)
    mark.open()
    with mark.decoding(6, Collection(CollectionKind.USERS)), mark.decoding(7, TOKENS):
        copy = path.with_name("copy")
        shutil.copy(path, copy)
    mark.close()
    next_one = CrashMark(copy)
    assert next_one.open() == (7, TOKENS)
    assert CrashMark(copy).open() is None, "it is told once"
    next_one.close()


def test_a_decoder_that_fails_leaves_no_mark(path: Path) -> None:
    mark = CrashMark(path)
    mark.open()

    def fail() -> None:
        with mark.decoding(7, TOKENS):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes()[0] == 0
    mark.close()


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff\xfe", b"{}", b"[1]", b'[1, "nonsense", ""]', b'["x", "users", ""]', b"null"],
)
def test_a_file_that_tells_nothing_is_no_mark(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    assert left(path) is None


def test_an_id_that_does_not_fit_is_not_marked(path: Path) -> None:
    mark = CrashMark(path)
    mark.open()
    with mark.decoding(7, Collection(CollectionKind.TOKENS, "x" * SIZE)):
        assert path.read_bytes()[0] == 0
    mark.close()


def test_a_place_that_cannot_be_written_leaves_the_run_without_marks(path: Path) -> None:
    mark = CrashMark(path / "nowhere")
    assert mark.open() is None
    with mark.decoding(7, TOKENS):
        pass
    mark.close()


def test_the_mark_outlives_a_killed_process(path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from syncd.model import Collection, CollectionKind
from syncd.sync.crashmark import CrashMark
mark = CrashMark(Path({str(path)!r}))
mark.open()
with mark.decoding(7, Collection(CollectionKind.TOKENS, "9")):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=Path.cwd())
    assert done.returncode == -signal.SIGKILL
    assert left(path) == (7, Collection(CollectionKind.TOKENS, "9"))


@pytest.mark.system
def test_a_full_disk_does_not_kill_the_process(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        with contextlib.suppress(OSError):
            (folder / "ballast").write_bytes(bytes(1 << 17))
        mark = CrashMark(folder / "mark")
        assert mark.open() is None
        with mark.decoding(7, TOKENS):
            pass
        mark.close()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
