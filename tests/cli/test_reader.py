from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.cli import arguments
from syncd.errors import CorruptDatabase, ForeignDatabase, SchemaTooNew, StoreError, UsageError
from syncd.store.base import APPLICATION_ID, SCHEMA_VERSION
from syncd.store.reader import LIVE_VIEWS, VIEWS, ReadOnlyDatabase, explain
from tests.cli.seed import HOSTILE, NOW, Seed


def test_rows_of_every_view_come_with_its_columns(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        for view in (*VIEWS, *(f"{view}_all" for view in LIVE_VIEWS)):
            rows = list(reader.rows(view))
            assert all(list(row) == reader.columns(view) for row in rows)
            assert rows or view in {"collections", "held_removals"}


def test_views_of_the_command_line_are_those_of_the_reader() -> None:
    assert arguments.VIEWS == VIEWS


def test_live_views_leave_out_what_was_removed(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        live = {row["email"] for row in reader.rows("users", organization="acme")}
        everybody = {row["email"] for row in reader.rows("users_all", organization="acme")}
    assert live == {"ann@acme.example", "bob@acme.example", "eve@acme.example"}
    assert everybody - live == {"old@acme.example"}


def test_json_columns_and_flags_have_their_types(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        token = next(reader.rows("tokens"))
        user = next(reader.rows("users"))
        change = next(reader.changes(kinds=("changed",)))
        run = next(reader.runs())
    assert token["scopes"] == ["https://www.googleapis.com/auth/calendar.events", "openid"]
    assert (token["native"], user["is_admin"]) == (False, True)
    assert (change["before"], change["key"]) == ({"status": "active"}, {"id": "2"})
    assert run["endpoints"] == ["users", "tokens"]


def test_json_text_that_is_none_stays_text(database: Path) -> None:
    writer = sqlite3.connect(database)
    with writer:
        writer.execute("UPDATE t_run SET counts = '{broken'")
    writer.close()
    with ReadOnlyDatabase(database) as reader:
        assert next(reader.runs())["counts"] == "{broken"


def test_unknown_organizations_and_views_are_usage_errors(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        with pytest.raises(UsageError, match="it has acme, beta"):
            list(reader.rows("users", organization="nope"))
        for view in ("nope", "users_all_all", "changes_all", "t_user", "users; DROP TABLE t_user"):
            with pytest.raises(UsageError, match="no view"):
                list(reader.rows(view))


def test_runs_come_newest_first_and_limited(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        assert [row["id"] for row in reader.runs()] == [4, 3, 2, 1]
        assert [row["id"] for row in reader.runs(limit=2, organization="acme")] == [3, 2]


def test_changes_come_oldest_first_and_filtered(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:

        def seqs(**filters: object) -> list[int]:
            return [row["seq"] for row in reader.changes(**filters)]  # type: ignore[arg-type]

        assert seqs() == [1, 2, 3, 4, 5, 6, 7]
        assert seqs(since=NOW + 10) == [3, 4, 5, 6, 7]
        assert seqs(since=NOW + 99) == []
        assert seqs(kinds=("changed",)) == [2, 3, 4]
        assert seqs(kinds=("changed", "removed"), entities=("token", "relation")) == [3, 5, 7]
        assert seqs(organization="beta") == []
        assert seqs(run=1, limit=2) == [6, 7]
        assert seqs(run=2) == []
        assert seqs(kinds=("changed",), limit=1) == [4]


def test_counts_are_of_live_rows(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        counts = {"users": 4, "tokens": 4, "relations": 1, "applications": 3, "groups": 1}
        assert reader.counts() == counts
        assert reader.counts("beta") == dict.fromkeys(counts, 0) | {"users": 1}


def test_names_of_things_and_their_ids_otherwise(database: Path) -> None:
    with ReadOnlyDatabase(database) as reader:
        assert reader.name_of("acme", "user", "1") == "ann@acme.example"
        assert reader.name_of("beta", "user", "1") == "zed@beta.example"
        assert reader.name_of("acme", "application", "evil.apps.example") == HOSTILE
        assert reader.name_of("acme", "user", "99") == "99"
        assert reader.name_of("acme", "external", "x") == "x"


def test_nothing_can_be_written(database: Path) -> None:
    before = database.read_bytes()
    with (
        ReadOnlyDatabase(database) as reader,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        reader._connection.execute("DELETE FROM t_user")  # noqa: SLF001
    assert database.read_bytes() == before


def test_a_missing_database_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no database yet; `syncd sync` makes it"):
        ReadOnlyDatabase(tmp_path / "syncd.db")
    assert not (tmp_path / "syncd.db").exists()


def _empty(path: Path) -> None:
    path.touch()


def _text(path: Path) -> None:
    path.write_text("hello, I am no database at all " * 99)


def _foreign(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE x (y)")
    db.close()


def _too_new(path: Path) -> None:
    Seed(path, version=SCHEMA_VERSION + 1).close()


def _older(path: Path) -> None:
    Seed(path, version=SCHEMA_VERSION - 1).close()


def _without_views(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("CREATE TABLE x (y)")
    db.close()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_empty, ForeignDatabase, "no database of syncd"),
        (_text, ForeignDatabase, "no SQLite database"),
        (_foreign, ForeignDatabase, "no database of syncd"),
        (_too_new, SchemaTooNew, "a newer syncd wrote this"),
        (_older, StoreError, "an older syncd wrote this"),
        (_without_views, StoreError, "lacks something"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(
    tmp_path: Path, make: Callable[[Path], None], error: type[StoreError], words: str
) -> None:
    path = tmp_path / "syncd.db"
    make(path)
    with pytest.raises(error, match=words) as caught, ReadOnlyDatabase(path) as reader:
        list(reader.rows("users"))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_damaged_database_is_called_damaged(database: Path) -> None:
    data = bytearray(database.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    database.write_bytes(data)
    with pytest.raises(CorruptDatabase, match="damaged"), ReadOnlyDatabase(database) as reader:
        list(reader.rows("users"))


def test_a_locked_database_says_so(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.store.reader._BUSY_TIMEOUT", 0.0)
    writer = sqlite3.connect(database, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(StoreError, match="locked"):
            ReadOnlyDatabase(database)
    finally:
        writer.close()


@pytest.mark.parametrize("name", ["SQLITE_CANTOPEN", "SQLITE_READONLY_CANTINIT"])
def test_a_database_that_may_not_be_read_says_who_may(name: str) -> None:
    error = sqlite3.OperationalError("injected")
    error.sqlite_errorname = name
    found = explain(Path("/var/lib/syncd/syncd.db"), error)
    assert "member of the group that owns /var/lib/syncd" in str(found)


def test_a_path_with_the_signs_of_a_uri_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=rwc#x%41 b.db"
    Seed(path).close()
    with ReadOnlyDatabase(path) as reader:
        assert reader.organizations() == []


def test_an_iterator_shows_one_state_while_others_write(tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    for number in range(2000):
        seed.user(organization, f"u{number}")
    with ReadOnlyDatabase(seed.path) as reader:
        rows = reader.rows("users")
        next(rows)
        seed.db.execute("UPDATE t_user SET name = 'new', removed_at = 1 WHERE key > 1000")
        rest = list(rows)
        assert len(rest) == 1999
        assert {row["name"] for row in rest if row["id"] == "u1500"} == {"User u1500"}
        assert reader.counts()["users"] == 1000
    seed.close()


def test_memory_is_flat_in_the_number_of_rows(tmp_path: Path) -> None:
    def peak(users: int) -> int:
        seed = Seed(tmp_path / f"{users}.db")
        organization = seed.organization()
        seed.db.execute("BEGIN")
        for number in range(users):
            seed.user(organization, f"u{number}", name="x" * 200)
        seed.db.execute("COMMIT")
        seed.close()
        with ReadOnlyDatabase(seed.path) as reader:
            tracemalloc.start()
            assert sum(1 for _ in reader.rows("users")) == users
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    assert peak(20_000) < 1.5 * peak(2_000)
