from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from syncd.errors import CannotCreate, CorruptDatabase, StoreError
from syncd.store.reader import ReadOnlyDatabase
from tests.cli.conftest import Run
from tests.cli.seed import Seed


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_copy_is_whole_private_and_a_single_file(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    old = os.umask(0)
    try:
        with ReadOnlyDatabase(database) as reader:
            size = reader.backup(target)
    finally:
        os.umask(old)
    assert _files(target.parent) == {"copy.db"}
    assert (stat.S_IMODE(target.stat().st_mode), target.stat().st_size) == (0o640, size)
    with ReadOnlyDatabase(target) as copy, ReadOnlyDatabase(database) as reader:
        assert list(copy.rows("tokens")) == list(reader.rows("tokens"))


def test_a_copy_of_a_database_in_wal_needs_nothing_beside_it(tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    seed.organization()
    with ReadOnlyDatabase(seed.path) as reader:
        reader.backup(tmp_path / "copy.db")
    seed.close()
    (tmp_path / "copy.db").chmod(0o440)
    db = sqlite3.connect(f"file:{tmp_path}/copy.db?mode=ro", uri=True)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_a_copy_is_of_one_state_while_somebody_writes(tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    seed.db.execute("BEGIN")
    for number in range(4000):
        seed.user(organization, f"u{number}", name="a" * 300)
    seed.db.execute("COMMIT")
    steps = 0

    def write(_remaining: int, _total: int) -> None:
        nonlocal steps
        steps += 1
        seed.db.execute("UPDATE t_user SET name = name || 'b'")

    with ReadOnlyDatabase(seed.path) as reader:
        reader.backup(tmp_path / "copy.db", write)
    seed.close()
    assert 2 <= steps <= 10
    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*), min(name), max(name) FROM t_user").fetchone() == (
        4000, "a" * 300, "a" * 300,
    )  # fmt: skip
    copy.close()


@pytest.mark.parametrize("kind", ["file", "dangling link", "directory"])
def test_nothing_is_ever_overwritten(database: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "copy.db"
    if kind == "file":
        target.write_text("precious")
    elif kind == "directory":
        target.mkdir()
    else:
        target.symlink_to(tmp_path / "nowhere")
    before = _files(tmp_path)
    with ReadOnlyDatabase(database) as reader, pytest.raises(CannotCreate, match="exists already"):
        reader.backup(target)
    assert _files(tmp_path) == before
    assert kind != "file" or target.read_text() == "precious"


def test_a_file_that_appears_meanwhile_is_kept(database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    def appear(_remaining: int, _total: int) -> None:
        target.write_text("precious")

    with ReadOnlyDatabase(database) as reader, pytest.raises(CannotCreate, match="exists already"):
        reader.backup(target, appear)
    assert target.read_text() == "precious"
    assert _files(tmp_path) == {"syncd.db", "copy.db"}


def test_without_hard_links_the_copy_is_renamed(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("syncd.store.copying.os.link", refuse)
    with ReadOnlyDatabase(database) as reader:
        reader.backup(tmp_path / "copy.db")
        other = tmp_path / "other.db"

        def appear(_remaining: int, _total: int) -> None:
            other.write_text("precious")

        with pytest.raises(CannotCreate, match="exists already"):
            reader.backup(other, appear)
    assert _files(tmp_path) == {"syncd.db", "copy.db", "other.db"}
    assert other.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("SQLITE_FULL", CannotCreate, "the disk is full"),
        ("SQLITE_CANTOPEN", CannotCreate, "it cannot be opened"),
        ("SQLITE_CORRUPT", CorruptDatabase, "damaged"),
    ],
)
def test_a_copy_that_fails_leaves_nothing_behind(
    database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: type[StoreError],
    words: str,
) -> None:
    def fail(*_: object) -> None:
        failure = sqlite3.OperationalError("injected")
        failure.sqlite_errorname = name
        raise failure

    monkeypatch.setattr("syncd.store.copying._fill", fail)
    with ReadOnlyDatabase(database) as reader, pytest.raises(error, match=words):
        reader.backup(tmp_path / "copy.db")
    assert _files(tmp_path) == {"syncd.db"}


def test_a_directory_that_is_not_there_is_named(database: Path, tmp_path: Path) -> None:
    with ReadOnlyDatabase(database) as reader, pytest.raises(CannotCreate, match="No such file"):
        reader.backup(tmp_path / "missing" / "copy.db")


def test_readers_and_writers_go_on_after_a_copy(tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    with ReadOnlyDatabase(seed.path) as reader:
        reader.backup(tmp_path / "copy.db")
        seed.organization()
        assert reader.organizations() == ["acme"]
    seed.close()


def test_the_command_says_what_it_wrote(run: Run, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    ended = run("backup", target, "--database", database)
    assert (ended.code, ended.err) == (0, "")
    assert f"{target}: a copy of {database}" in ended.out
    assert run("backup", target, "--database", database).code == 73
