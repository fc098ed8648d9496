"""The program as people use it: real processes, real files, real exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.demo import Directory as Truth
from tests.support import process
from tests.support.history import before_everything
from tests.support.world import assert_same, stored, truth

pytestmark = pytest.mark.system


@pytest.fixture
def server(tmp_path: Path) -> Iterator[process.Directory]:
    home = tmp_path / "server"
    with process.directory(home, "--users", "60") as made:
        yield made


@pytest.fixture
def config(tmp_path: Path, server: process.Directory) -> Path:
    return process.write_config(tmp_path, server)


def assert_said(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence that says what happened and what to do, and no traceback."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr + done.stdout
    for word in words:
        assert word in done.stderr + done.stdout, (word, done.stdout, done.stderr)


def test_sync_reads_everything_and_says_so(tmp_path: Path, config: Path) -> None:
    done = process.run(config, "sync")
    assert_said(done, 0, "acme: run 1 succeeded", "effective speed-up")
    database = tmp_path / "syncd.db"
    assert_same(stored(database), truth(Truth(users=60)), database)
    assert database.stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".syncd.db*"))
    assert_said(process.run(config, "runs"), 0, "succeeded")
    assert_said(process.run(config, "apps", "--limit", "3"), 0, "applications")
    assert_said(process.run(config, "changes", "--limit", "3"), 0, "added")
    rows = process.run(config, "export", "users", "--format", "jsonl").stdout.splitlines()
    assert len([json.loads(row) for row in rows]) == 60
    assert_said(process.run(config, "backup", str(tmp_path / "copy.db")), 0)
    assert stored(tmp_path / "copy.db") == stored(database)


def test_sync_as_json_is_one_document_for_each_organization(config: Path) -> None:
    done = process.run(config, "sync", "--json")
    document = json.loads(done.stdout)
    assert (document["organization"], document["state"]) == ("acme", "succeeded")
    assert document["counts"]["user"] == {"read": 60, "added": 60}


def test_a_dry_run_lists_what_would_change_and_changes_nothing(
    tmp_path: Path, config: Path
) -> None:
    done = process.run(config, "sync", "--dry-run")
    assert_said(done, 0, "dry run succeeded", "nothing was written", "user", "token", "relation")
    assert not (tmp_path / "syncd.db").exists()
    assert process.run(config, "sync").returncode == 0
    before = (tmp_path / "syncd.db").read_bytes()
    done = process.run(config, "sync", "--dry-run")
    assert_said(done, 0, "no changes")
    assert (tmp_path / "syncd.db").read_bytes() == before
    assert not list(tmp_path.glob(".syncd-dry-run-*"))


def test_a_dry_run_on_an_empty_database_leaves_it_empty(tmp_path: Path, config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace('name = "acme"', 'name = "acme"\nenabled = false'))
    done = process.run(config, "sync", "--dry-run", "acme", "--endpoint", "users,tokens,relations")
    assert_said(done, 0, "dry run")
    assert not (tmp_path / "syncd.db").exists()


def test_check_and_check_online(tmp_path: Path, config: Path) -> None:
    assert_said(process.run(config, "check"), 0, "ok", "acme")
    done = process.run(config, "check", "--online")
    assert_said(done, 0, "customer", "C0demo1x2", "60 users", "groups", "tokens of one user")
    assert not (tmp_path / "syncd.db").exists()


def test_check_online_names_what_is_wrong(
    tmp_path: Path, config: Path, server: process.Directory
) -> None:
    server.control("faults", {"rules": [{"name": "forbidden_403", "path": "/groups"}]})
    done = process.run(config, "check", "--online")
    assert_said(done, 77, "FAIL", "admin.directory.group.readonly")
    (tmp_path / "key.json").unlink()
    assert_said(process.run(config, "check", "--online"), 77, "FAIL", "credentials", "key.json")


@pytest.mark.parametrize("command", ["sync", "check", "runs", "apps"])
def test_a_missing_configuration(tmp_path: Path, command: str) -> None:
    done = process.run(tmp_path / "nowhere.toml", command)
    assert_said(done, 78, "nowhere.toml", "syncd init")


def test_five_mistakes_in_one_answer_each_with_line_and_hint(tmp_path: Path, config: Path) -> None:
    config.write_text(
        f"""\
[stor]
url = "sqlite://{tmp_path}/syncd.db"
[sync]
max_removed_percent = 200
commit_intervall = "1s"
[[organization]]
name = "acme"
provider = "google_workspaces"
credentials = "file:{tmp_path}/key.json"
admin = "admin@acme.example"
retries = "six"
base_url = "http://directory.example"
"""
    )
    done = process.run(config, "check")
    assert_said(done, 78)
    for line, path, hint in (
        (1, "stor", "store"),
        (4, "sync.max_removed_percent", "100"),
        (5, "sync.commit_intervall", "commit_interval"),
        (8, "organization[0].provider", "google_workspace"),
        (11, "organization[0].retries", "20"),
        (12, "organization[0].base_url", "https"),
    ):
        found = [
            text for text in done.stderr.splitlines() if f"line {line}:" in text and path in text
        ]
        assert len(found) == 1, (line, path, done.stderr)
        assert hint in found[0], found


KEYS = {
    "missing": (None, "key.json"),
    "empty": ("", "is empty"),
    "no key": ('{"a": 1}', "service account"),
    "of a user": (
        '{"type":"authorized_user","client_email":"a","private_key":"SECRET"}',
        "service account",
    ),
    "no private key": (
        '{"type":"service_account","client_email":"a@b","private_key":"SECRET"}',
        "private key",
    ),
    "elsewhere": (
        (
            '{"type":"service_account","client_email":"a@b","private_key":"SECRET",'
            '"token_uri":"https://evil.example/token"}'
        ),
        "token_uri",
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_file_that_is_none(tmp_path: Path, config: Path, name: str) -> None:
    text, words = KEYS[name]
    (tmp_path / "key.json").unlink()
    if text is not None:
        (tmp_path / "key.json").write_text(text)
        (tmp_path / "key.json").chmod(0o600)
    done = process.run(config, "sync")
    assert_said(done, 77, words)
    assert "SECRET" not in done.stderr


def test_a_wrong_administrator(config: Path) -> None:
    config.write_text(config.read_text().replace("admin@acme.example", "nobody@acme.example"))
    assert_said(process.run(config, "sync"), 77, "nobody@acme.example")


def test_a_provider_that_is_not_there(config: Path) -> None:
    text = config.read_text().replace("retry_backoff", "retries = 1\nretry_backoff")
    config.write_text(text.replace("base_url = ", 'base_url = "http://127.0.0.1:1" #'))
    assert_said(process.run(config, "sync"), 69, "connect failed")


def test_an_unknown_organization(config: Path) -> None:
    assert_said(process.run(config, "sync", "acne"), 64, "acne", "acme")


def test_a_database_directory_that_is_missing(tmp_path: Path, config: Path) -> None:
    config.write_text(config.read_text().replace("/syncd.db", "/nowhere/syncd.db"))
    assert_said(process.run(config, "sync"), 73, "nowhere", "directory")


def test_a_database_of_another_program(tmp_path: Path, config: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "syncd.db")) as other:
        other.execute("CREATE TABLE photos (id)")
        other.commit()
    before = (tmp_path / "syncd.db").read_bytes()
    assert_said(process.run(config, "sync"), 69, "another program")
    assert (tmp_path / "syncd.db").read_bytes() == before
    (tmp_path / "syncd.db").write_text("no database at all, only text that is long enough")
    assert_said(process.run(config, "sync"), 69, "no SQLite database")


def test_another_customer_under_the_same_name(tmp_path: Path, config: Path) -> None:
    assert process.run(config, "sync").returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "syncd.db")) as database:
        database.execute("UPDATE t_organization SET customer = 'C0somebody'")
        database.commit()
    before = stored(tmp_path / "syncd.db")
    assert_said(process.run(config, "sync"), 78, "C0somebody", "C0demo1x2", "another")
    assert stored(tmp_path / "syncd.db") == before


def test_a_second_sync_of_the_same_organization_is_refused(tmp_path: Path) -> None:
    with process.directory(tmp_path / "server", "--users", "60", "--latency", "tokens=0.3") as slow:
        config = process.write_config(tmp_path, slow)
        first = process.start(config, "sync")
        while not slow.requests().get("tokens"):
            pass
        second = process.run(config, "sync")
        assert_said(second, 4, str(first.pid), "under way")
        assert second.stdout == ""
        first.communicate()
        assert first.returncode == 0
        database = tmp_path / "syncd.db"
        assert_same(stored(database), truth(Truth(users=60)), database)


def mounted(folder: Path, size: str) -> bool:
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    return done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_loses_nothing_and_the_run_goes_on_when_there_is_room(tmp_path: Path) -> None:
    small = tmp_path / "small"
    if not mounted(small, "1500k"):
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        with process.directory(tmp_path / "server", "--users", "500") as server:
            (tmp_path / "config").mkdir()
            config = process.write_config(tmp_path / "config", server)
            text = config.read_text()
            config.write_text(text.replace(f"{tmp_path}/config/syncd.db", f"{small}/syncd.db"))
            assert_said(process.run(config, "sync"), 69, "disk is full", "Make room")
            # At most the first naming of applications is open; every row has its record.
            subprocess.run(
                ["mount", "-o", "remount,size=50m", str(small)], check=True, capture_output=True
            )
            done = process.run(config, "sync")
            assert_said(done, 0, "resumed")
        database = small / "syncd.db"
        assert_same(stored(database), truth(Truth(users=500)), database)
        assert before_everything(database) == {}
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_demo_shows_all_there_is_to_see(tmp_path: Path) -> None:
    keep = tmp_path / "kept.db"
    done = process.run(
        tmp_path / "unused", "demo", "--users", "80", "--latency", "1ms", "--keep", str(keep)
    )
    assert_said(done, 0, "run 1 succeeded", "run 2 succeeded", "risk", "changed", str(keep))
    assert "differs" not in done.stdout
    database = keep
    assert_same(stored(database), truth(Truth(users=80).at(1)), database)
