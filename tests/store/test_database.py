"""The SQLite file: how it is made, opened, migrated and left, and what its troubles are called."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.errors import (
    CannotCreate,
    CorruptDatabase,
    ForeignDatabase,
    SchemaTooNew,
    StoreError,
)
from syncd.model import Group, Kind, Token, User
from syncd.store import database
from syncd.store.base import APPLICATION_ID, SCHEMA_VERSION
from syncd.store.database import Database, migrations, statements, translate
from syncd.store.sqlite import SqliteStore
from tests.store.driver import GROUPS, USERS, Driver, token, tokens_of

STEP_1 = "CREATE TABLE t (a TEXT NOT NULL); -- one; and only\nINSERT INTO t VALUES ('old');"
STEP_2 = "ALTER TABLE t ADD COLUMN b TEXT;\nUPDATE t SET b = a || '!';"
STEP_3 = "UPDATE t SET b = b || '?';"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextlib.contextmanager
def opened(path: Path, *steps: str) -> Iterator[Database]:
    """A database that is open, with the real schema or with these steps."""
    found = list(enumerate(steps, 1)) or None
    db = Database(path, found)
    db.open()
    try:
        yield db
    finally:
        db.close()


@contextlib.contextmanager
def outsider(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program that uses the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT", 0.05)


def test_the_schema_is_the_one_that_readers_know() -> None:
    assert migrations()[-1][0] == SCHEMA_VERSION
    assert [version for version, _ in migrations()] == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_is_for_its_owner_and_group_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with opened(path):
            files = sorted(path.parent.iterdir())
            assert [f.name for f in files] == ["syncd.db", "syncd.db-shm", "syncd.db-wal"]
            assert {mode(file) for file in files} == {0o640}
    finally:
        os.umask(before)
    assert mode(path) == 0o640


def test_the_mode_of_a_file_that_is_there_is_left_alone(path: Path) -> None:
    with opened(path):
        pass
    path.chmod(0o600)
    with opened(path):
        assert mode(path) == 0o600


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    with opened(path) as db:
        assert db.one("PRAGMA user_version") == (SCHEMA_VERSION,)
        assert db.one("PRAGMA application_id") == (APPLICATION_ID,)
        assert db.one("PRAGMA auto_vacuum") == (2,), "incremental"


def test_a_file_may_stand_behind_a_link(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    with opened(link):
        assert path.exists()


def test_a_foreign_database_is_refused_and_left_alone(path: Path) -> None:
    with outsider(path) as other:
        other.execute("CREATE TABLE theirs (a)")
    before = path.read_bytes()
    with pytest.raises(ForeignDatabase, match="belongs to another program; name another"):
        Database(path).open()
    assert path.read_bytes() == before


@pytest.mark.parametrize("pragma", ["application_id = 7", "user_version = 7"])
def test_an_empty_database_with_a_mark_is_foreign(path: Path, pragma: str) -> None:
    with outsider(path) as other:
        other.execute(f"PRAGMA {pragma}")
    with pytest.raises(ForeignDatabase):
        Database(path).open()


def test_what_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_text("my notes\n" * 100)
    with pytest.raises(ForeignDatabase, match="no SQLite database; name another"):
        Database(path).open()
    assert path.read_text() == "my notes\n" * 100


def test_a_directory_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(CannotCreate, match="this is a directory; name a file"):
        Database(path).open()


def test_a_missing_directory_is_named(path: Path) -> None:
    with pytest.raises(CannotCreate, match=r"No such file or directory; make .*nowhere"):
        Database(path.parent / "nowhere" / "syncd.db").open()


def test_a_newer_schema_is_refused_with_the_version_that_is_needed(path: Path) -> None:
    with opened(path):
        pass
    with outsider(path) as other:
        other.execute("PRAGMA user_version = 9")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=f"schema 9; this one knows {SCHEMA_VERSION}.*install"):
        Database(path).open()
    assert path.read_bytes() == before


def test_an_old_schema_is_brought_up_to_date_and_a_copy_is_kept(path: Path) -> None:
    with opened(path, STEP_1):
        pass
    with opened(path, STEP_1, STEP_2, STEP_3) as db:
        assert db.all("SELECT a, b FROM t") == [("old", "old!?")]
        assert db.one("PRAGMA user_version") == (3,)
    copy = path.with_name("syncd.db.v1.bak")
    assert mode(copy) == 0o640
    with outsider(copy) as old:
        assert old.execute("SELECT * FROM t").fetchall() == [("old",)]
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
    assert sorted(p.name for p in path.parent.iterdir()) == ["syncd.db", "syncd.db.v1.bak"]


def test_an_older_copy_makes_way_for_the_new_one(path: Path) -> None:
    with opened(path, STEP_1):
        pass
    copy = path.with_name("syncd.db.v1.bak")
    copy.write_text("an earlier try")
    with opened(path, STEP_1, STEP_2):
        pass
    with outsider(copy) as old:
        assert old.execute("SELECT * FROM t").fetchall() == [("old",)]


def test_a_schema_that_is_up_to_date_is_not_copied(path: Path) -> None:
    for _ in range(2):
        with opened(path, STEP_1):
            pass
    assert [p.name for p in path.parent.iterdir()] == ["syncd.db"]


@pytest.mark.parametrize("broken", ["UPDATE nowhere SET a = 1;", "CREATE TABLE half ("])
def test_a_migration_that_fails_leaves_the_old_schema_whole(path: Path, broken: str) -> None:
    with opened(path, STEP_1):
        pass
    with pytest.raises(StoreError, match="SQLITE_ERROR"):
        Database(path, [(1, STEP_1), (2, STEP_2), (3, broken)]).open()
    with opened(path, STEP_1) as db:
        assert db.all("SELECT * FROM t") == [("old",)]
        assert db.one("PRAGMA user_version") == (1,)


def test_a_first_schema_that_fails_can_be_tried_again(path: Path) -> None:
    with pytest.raises(StoreError):
        Database(path, [(1, STEP_1 + "\nNONSENSE;")]).open()
    with opened(path, STEP_1) as db:
        assert db.all("SELECT * FROM t") == [("old",)]


def test_a_copy_that_cannot_be_made_stops_the_migration(path: Path) -> None:
    with opened(path, STEP_1):
        pass
    path.with_name("syncd.db.v1.bak").mkdir()
    with pytest.raises(CannotCreate, match=r"v1\.bak"):
        Database(path, [(1, STEP_1), (2, STEP_2)]).open()
    with opened(path, STEP_1) as db:
        assert db.all("SELECT * FROM t") == [("old",)]


@pytest.mark.parametrize("there", [(), (STEP_1,)], ids=["new", "old"])
def test_of_openers_at_once_one_migrates_and_all_find_it_done(
    path: Path, there: tuple[str, ...]
) -> None:
    if there:
        with opened(path, *there):
            pass
    barrier, failures = threading.Barrier(6), list[BaseException]()
    databases = [Database(path, [(1, STEP_1), (2, STEP_2), (3, STEP_3)]) for _ in range(6)]

    def start(db: Database) -> None:
        barrier.wait()
        try:
            db.open()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start, args=(db,)) for db in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for db in databases:
        db.close()
    assert failures == []
    with outsider(path) as found:
        assert found.execute("SELECT * FROM t").fetchall() == [("old", "old!?")]
    if there:
        with outsider(path.with_name("syncd.db.v1.bak")) as old:
            assert old.execute("SELECT * FROM t").fetchall() == [("old",)]


def test_who_waited_for_another_to_migrate_finds_it_done(path: Path) -> None:
    """Steps that change rows would do harm if they were carried out twice."""
    steps = [(1, STEP_1), (2, STEP_2), (3, STEP_3)]
    with opened(path, STEP_1):
        pass
    late = Database(path, steps)
    late._connection = sqlite3.connect(path, isolation_level=None)  # noqa: SLF001  it has looked
    with opened(path, STEP_1, STEP_2, STEP_3):
        late._migrate()  # noqa: SLF001  and comes to it only now
    late.close()
    with outsider(path) as found:
        assert found.execute("SELECT b FROM t").fetchall() == [("old!?",)]


def test_statements_end_at_line_ends_outside_comments_and_bodies() -> None:
    trigger = "CREATE TRIGGER x AFTER INSERT ON t BEGIN\n  DELETE FROM t;\n  SELECT 1;\nEND;\n"
    script = f"-- a; b;\nSELECT 1; -- c; d\n{trigger}SELECT ';\n';\n\nSELECT 2"
    assert list(statements(script)) == [
        "-- a; b;\nSELECT 1; -- c; d\n",
        trigger,
        "SELECT ';\n';\n",
        "\nSELECT 2",
    ]


def test_it_is_in_wal_while_open_and_plain_after_a_clean_close(path: Path) -> None:
    with opened(path), outsider(path) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    with opened(path):
        pass
    with outsider(path) as reader:
        assert reader.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [p.name for p in path.parent.iterdir()] == ["syncd.db"]


def test_a_reader_that_is_connected_at_the_close_reads_on(path: Path) -> None:
    with outsider(path) as reader:
        with opened(path) as db:
            reader.execute("BEGIN")
            before = reader.execute("SELECT count(*) FROM t_organization").fetchone()
            db.connection.execute("INSERT INTO t_organization VALUES (1, 'a', 'p', '', 0, 0)")
        assert reader.execute("SELECT count(*) FROM t_organization").fetchone() == before
        reader.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM t_organization").fetchone() == (1,)
    with opened(path):
        pass
    assert [p.name for p in path.parent.iterdir()] == ["syncd.db"]


def test_the_close_waits_a_little_for_a_reader(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CLOSE_PATIENCE", 60.0)
    db = Database(path)
    db.open()
    reader = sqlite3.connect(path, check_same_thread=False)
    reader.execute("SELECT * FROM t_run").fetchall()
    waited = threading.Event()

    def sleep(_: float) -> None:
        reader.close()
        waited.set()

    monkeypatch.setattr(time, "sleep", sleep)
    db.close()
    assert waited.is_set()
    with outsider(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_a_close_of_what_was_never_open_is_nothing(path: Path) -> None:
    db = Database(path)
    db.close()
    with pytest.raises(StoreError, match="not open"):
        db.connection.execute("SELECT 1")


@pytest.mark.usefixtures("impatient")
async def test_a_writer_that_does_not_let_go_is_an_error_and_passes(acme: Driver) -> None:
    slow = SqliteStore(acme.path)
    await slow.open()
    driver = Driver(slow, acme.path)
    driver.now = acme.now
    await driver.begin()
    with outsider(acme.path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked by another program for more than 0\.05 s"):
            await driver.page(USERS, User("1"))
        other.execute("ROLLBACK")
    await driver.page(USERS, User("1"))
    assert driver.ids("users") == ["1"]
    await slow.close()


@pytest.mark.usefixtures("impatient")
def test_a_file_that_is_locked_cannot_be_opened_now(path: Path) -> None:
    with opened(path):
        pass
    with outsider(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked by another program"):
            Database(path).open()
    with opened(path):
        pass


@pytest.mark.usefixtures("impatient")
def test_a_file_that_somebody_reads_all_the_time_cannot_be_opened_now(path: Path) -> None:
    with opened(path):
        pass
    with outsider(path) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM t_run").fetchall()
        with pytest.raises(StoreError, match="another program has been reading"):
            Database(path).open()
    with opened(path):
        pass


@pytest.mark.usefixtures("impatient")
def test_who_opens_it_waits_for_somebody_who_reads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(path):
        pass
    with outsider(path) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM t_run").fetchall()
        monkeypatch.setattr(time, "monotonic", lambda: 0.0)
        monkeypatch.setattr(time, "sleep", lambda _: other.execute("COMMIT"))
        db = Database(path)
        db.open()
        monkeypatch.undo()
        db.close()


def test_a_damaged_file_is_called_so(path: Path) -> None:
    with opened(path) as db:
        db.connection.executemany(
            "INSERT INTO t_organization VALUES (?, ?, 'p', '', 0, 0)",
            [(n, f"{n:0500}") for n in range(500)],
        )
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096 * 30))
    with pytest.raises(CorruptDatabase, match=r"damaged \(SQLITE_CORRUPT.*Keep a copy"):
        asyncio.run(use(path))


async def use(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    try:
        for n in range(500):
            await store.bind(f"{n:0500}", "p", "", 0.0)
    finally:
        with contextlib.suppress(StoreError):
            await store.close()


def test_a_damaged_schema_is_found_at_the_start(path: Path) -> None:
    with opened(path):
        pass
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 900)
    with pytest.raises(CorruptDatabase):
        Database(path).open()


@contextlib.contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder that everybody may use, and no privileges in it."""
    folder = Path(tempfile.mkdtemp())
    privileged = os.geteuid() == 0
    try:
        if privileged:
            os.chown(folder, 65534, -1)
            os.seteuid(65534)
        yield folder
    finally:
        if privileged:
            os.seteuid(0)
        folder.chmod(0o777)
        shutil.rmtree(folder)


def test_a_file_that_may_only_be_read_is_refused() -> None:
    with as_nobody() as folder:
        path = folder / "syncd.db"
        with opened(path):
            pass
        path.chmod(0o440)
        with pytest.raises(CannotCreate, match=r"Permission denied; make .* writable"):
            Database(path).open()


def test_a_directory_that_may_only_be_read_is_an_error_that_says_so() -> None:
    with as_nobody() as folder:
        path = folder / "syncd.db"
        with opened(path):
            pass
        folder.chmod(0o555)
        with pytest.raises(StoreError, match=r"cannot be (opened|written); check"):
            Database(path).open()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def some_tokens(page: int) -> list[Token]:
    return [token("x", f"{page}-{n}") for n in range(9)]


@pytest.mark.system
async def test_a_full_disk_loses_nothing_and_the_run_goes_on(small_disk: Path) -> None:
    path = small_disk / "syncd.db"
    store = SqliteStore(path)
    await store.open()
    driver = Driver(store, path)
    await driver.begin()
    await driver.page(GROUPS, Group("first"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    pages = 0

    async def fill() -> None:
        nonlocal pages
        while True:
            await driver.whole(tokens_of(str(pages)), *some_tokens(pages))
            pages += 1

    with pytest.raises(StoreError, match=r"the disk is full; nothing .* is lost.*Make room in"):
        await fill()
    assert len(driver.rows("tokens")) == pages * 9, "whole batches, and all that were committed"
    ballast.unlink()
    await driver.whole(tokens_of(str(pages)), *some_tokens(pages))
    assert len(driver.rows("tokens")) == (pages + 1) * 9
    assert driver.ids("groups") == ["first"]
    assert await driver.sweep(Kind.TOKEN) == {}
    await store.close()
    with outsider(path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.system
def test_no_database_fits_on_a_full_disk(small_disk: Path) -> None:
    with contextlib.suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(2_000_000))
    with pytest.raises(StoreError, match="disk is full"):
        Database(small_disk / "syncd.db").open()


class Strange(sqlite3.OperationalError):
    """An error of SQLite that nobody expects."""


def error(name: str) -> sqlite3.Error:
    made = Strange("strange")
    made.sqlite_errorname = name
    return made


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("SQLITE_LOCKED_SHAREDCACHE", StoreError, "locked"),
        ("SQLITE_READONLY_DBMOVED", StoreError, "cannot be written; check its owner and mode"),
        ("SQLITE_CANTOPEN", CannotCreate, "cannot be opened; check that"),
        ("SQLITE_CORRUPT_INDEX", CorruptDatabase, "damaged"),
        ("SQLITE_IOERR_READ", StoreError, "SQLite says SQLITE_IOERR_READ: strange"),
        ("SQLITE_FULL", StoreError, "the disk is full"),
        ("", StoreError, "SQLite says Strange: strange"),
    ],
)
def test_each_error_of_sqlite_has_its_words(
    path: Path, name: str, kind: type[StoreError], text: str
) -> None:
    said = translate(path, error(name))
    assert type(said) is kind
    assert text in str(said)
    assert str(said).startswith(str(path))


def test_an_input_error_on_a_disk_that_is_gone_is_told_as_it_is() -> None:
    said = translate(Path("/nowhere/at/all/syncd.db"), error("SQLITE_IOERR_WRITE"))
    assert "SQLITE_IOERR_WRITE" in str(said)


def test_a_failed_commit_is_rolled_back(path: Path) -> None:
    with opened(path) as db:
        execute = db.connection.execute
        execute("PRAGMA defer_foreign_keys = ON")
        execute("BEGIN IMMEDIATE")
        execute("PRAGMA defer_foreign_keys = ON")
        execute("INSERT INTO t_lease VALUES (99, 'one', 1, 0, 0)")
        with pytest.raises(sqlite3.IntegrityError):
            db.commit()
        assert not db.connection.in_transaction
        assert db.all("SELECT * FROM t_lease") == []


def test_a_block_that_ends_its_own_transaction_can_still_fail(path: Path) -> None:
    def fail(db: Database) -> None:
        with db.transaction():
            db.connection.execute("ROLLBACK")
            raise ZeroDivisionError

    with opened(path) as db:
        with pytest.raises(ZeroDivisionError):
            fail(db)
        assert not db.connection.in_transaction
