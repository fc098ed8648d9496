from __future__ import annotations

import csv
import io
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from syncd.cli import risk
from syncd.cli.when import parse_since
from syncd.errors import UsageError
from tests.cli.conftest import Run
from tests.cli.seed import API, NOW, Seed


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_database_is_the_configurations_unless_named(
    run: Run, config: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_option = run("runs", "-c", config)
    monkeypatch.setenv("SYNCD_CONFIG", str(config))
    assert run("runs") == by_option == run("runs", "--database", database)
    assert by_option.code == 0


def test_a_missing_database_is_69_and_a_missing_config_78(run: Run, tmp_path: Path) -> None:
    ended = run("runs", "--database", tmp_path / "none.db")
    assert ended.code == 69
    assert "`syncd sync` makes it" in ended.err
    assert run("runs", "-c", tmp_path / "none.toml").code == 78


def test_runs_are_shown_newest_first(run: Run, database: Path) -> None:
    ended = run("runs", "--database", database)
    rows = [line.split() for line in ended.out.splitlines()]
    assert [row[0] for row in rows] == ["run", "4", "3", "2", "1"]
    assert rows[4][2:10] == [
        "succeeded", "2026-11-18T11:06:40Z", "1m", "10,200", "12", "0", "3", "-",
    ]  # fmt: skip
    assert ended.err == ""


def test_runs_say_when_there_are_more(run: Run, database: Path) -> None:
    ended = run("runs", "--database", database, "--limit", 1, "--org", "acme")
    assert len(ended.out.splitlines()) == 2
    assert ended.err == "the newest 1 runs; --limit 0 shows all\n"


def test_runs_as_json_are_rows_of_the_view(run: Run, database: Path) -> None:
    rows = _lines(run("runs", "--database", database, "--json", "--org", "beta").out)
    assert [(row["id"], row["state"], row["counts"]["user"]["added"]) for row in rows] == [
        (4, "interrupted", 12)
    ]


def test_a_run_whose_counts_are_broken_is_shown_without_them(run: Run, database: Path) -> None:
    writer = sqlite3.connect(database)
    with writer:
        writer.execute("UPDATE t_run SET counts = '{broken'")
    writer.close()
    ended = run("runs", "--database", database, "--org", "beta")
    assert ended.code == 0
    assert ended.out.splitlines()[1].split()[4:8] == ["0", "0", "0", "0"]


def test_empty_databases_are_explained(run: Run, tmp_path: Path) -> None:
    Seed(tmp_path / "new.db").close()
    for command, words in (("runs", "no run yet"), ("changes", "no changes"), ("apps", "no appl")):
        ended = run(command, "--database", tmp_path / "new.db")
        assert (ended.code, ended.out) == (0, "")
        assert words in ended.err
        assert run(command, "--database", tmp_path / "new.db", "--json").out == ""
    for view in ("users", "tokens"):
        csv_text = run("export", view, "--format", "csv", "--database", tmp_path / "new.db").out
        assert csv_text.count("\r\n") == 1
        jsonl = run("export", view, "--format", "jsonl", "--database", tmp_path / "new.db")
        assert (jsonl.code, jsonl.out) == (0, "")


def test_changes_are_told_with_names(run: Run, database: Path) -> None:
    lines = run("changes", "--database", database, "--org", "acme").out.splitlines()
    assert [line.split()[2:4] for line in lines[1:]] == [
        ["added", "user"], ["changed", "user"], ["changed", "token"], ["changed", "group"],
        ["removed", "relation"], ["added", "application"], ["removed", "token"],
    ]  # fmt: skip
    text = "\n".join(lines)
    assert "status: active -> suspended" in text
    assert "ann@acme.example -> Zoom" in text
    assert "scopes: +calendar.events -drive" in text
    assert "ann@acme.example in g1@acme.example" in text
    assert "organization -> Zoom" in text


def test_changes_are_filtered_and_limited(run: Run, database: Path) -> None:
    base = ("changes", "--database", database)
    since = _lines(run(*base, "--since", "2026-11-18T11:06:50Z", "--json").out)
    assert [row["seq"] for row in since] == [3, 4, 5, 6, 7]
    some = _lines(run(*base, "--kind", "changed", "--entity", "user,group", "--json").out)
    assert [row["seq"] for row in some] == [2, 4]
    ended = run(*base, "--limit", 2, "--run", 1)
    assert len(ended.out.splitlines()) == 3
    assert "the newest 2 changes" in ended.err
    assert run(*base, "--org", "nope").code == 64
    assert run(*base, "--since", "yesterday").code == 64


def test_since_is_a_time_or_a_duration() -> None:
    assert parse_since("24h", now=NOW) == NOW - 86400
    assert parse_since("7d", now=NOW) == NOW - 7 * 86400
    assert parse_since("2026-11-18T11:06:40Z") == NOW
    assert parse_since("2026-11-18 11:06:40") == NOW
    assert parse_since("2026-11-18T12:06:40+01:00") == NOW
    assert parse_since("2026-11-18") == NOW - 11 * 3600 - 6 * 60 - 40
    for wrong in ("", "7", "soon", "2026-13-01", "0001-01-01T00:00+23:59:59.1.1", "-24h"):
        with pytest.raises(UsageError, match="neither a time nor a duration"):
            parse_since(wrong)


def test_apps_come_by_risk_and_then_by_users(run: Run, database: Path) -> None:
    ended = run("apps", "--database", database, "--org", "acme")
    rows = [line.split()[:2] for line in ended.out.splitlines()]
    assert rows == [["risk", "users"], ["high", "1"], ["medium", "2"], ["medium", "1"]]
    assert ended.err == "3 applications: 1 high, 2 medium, 0 low\n"
    by_users = run("apps", "--database", database, "--sort", "users").out.splitlines()
    assert [line.split()[1] for line in by_users[1:]] == ["2", "1", "1"]
    assert by_users[2].startswith("high")


def test_apps_are_filtered_by_risk_and_limited(run: Run, database: Path) -> None:
    base = ("apps", "--database", database)
    assert len(run(*base, "--risk", "low").out.splitlines()) == 0
    assert len(run(*base, "--risk", "high,medium").out.splitlines()) == 4
    ended = run(*base, "--limit", 1)
    assert len(ended.out.splitlines()) == 2
    assert "the first 1 are shown" in ended.err


def test_apps_as_json_say_all_that_is_known(run: Run, database: Path) -> None:
    first = _lines(run("apps", "--database", database, "--json").out)[0]
    assert first == {
        "organization": "acme", "id": "mail.apps.example", "name": "Mail Merge 日程助手",
        "users": 1, "organization_wide": False, "other_grants": 0, "risk": "high",
        "riskiest_scope": "https://mail.google.com/", "rule": "https://mail.google.com/",
        "rule_source": "built-in", "reason": "reads, sends and deletes for ever all mail",
        "grants_by_risk": {"high": 1, "medium": 0, "low": 0},
        "scopes": [
            {"scope": "https://mail.google.com/", "users": 1, "risk": "high"},
            {"scope": API + "drive.file", "users": 1, "risk": "low"},
        ],
    }  # fmt: skip


def test_risk_is_of_each_grant_and_of_the_application(run: Run, database: Path) -> None:
    found = _lines(run("apps", "--database", database, "--json").out)
    (zoom,) = [app for app in found if app["name"] == "Zoom"]
    assert (zoom["risk"], zoom["users"]) == ("medium", 2)
    assert zoom["grants_by_risk"] == {"high": 0, "medium": 1, "low": 1}


def test_own_rules_decide_for_apps(run: Run, database: Path) -> None:
    risk.OWN_RULES.write_text(
        '[[rule]]\nscope = "https://mail.google.com/"\nlevel = "low"\nreason = "our own"\n'
    )
    found = _lines(run("apps", "--database", database, "--json").out)
    (mail,) = [app for app in found if app["id"] == "mail.apps.example"]
    assert (mail["risk"], mail["scopes"][0]["risk"]) == ("low", "low")
    risk.OWN_RULES.write_text("[[rule]]\n")
    ended = run("apps", "--database", database)
    assert ended.code == 78
    assert "rule[0].level: missing; allowed: high, medium, low" in ended.err


def test_export_as_csv_is_rfc_4180(run: Run, database: Path) -> None:
    text = run("export", "tokens", "--format", "csv", "--database", database).out
    assert text.count("\r\n") == 5
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert rows[0]["native"] == "false"
    assert json.loads(rows[0]["scopes"]) == [API + "calendar.events", "openid"]
    assert rows[0]["stale_since"] == ""


def test_export_as_jsonl_has_real_arrays(run: Run, database: Path) -> None:
    rows = _lines(run("export", "tokens", "--format", "jsonl", "--database", database).out)
    assert rows[0]["scopes"] == [API + "calendar.events", "openid"]
    assert (rows[0]["native"], rows[0]["stale_since"]) == (False, None)


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_all_views_also_show_what_was_removed(run: Run, database: Path, format: str) -> None:
    base = ("export", "--format", format, "--database", database, "--org", "acme")
    assert "old@acme.example" not in run(*base, "users").out
    assert "old@acme.example" in run(*base, "users", "--all").out
    ended = run(*base, "runs", "--all")
    assert (ended.code, ended.out) == (64, "")


def test_an_export_into_a_file_is_whole_and_private(
    run: Run, database: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    target = folder / "users.csv"
    base = ("export", "users", "--format", "csv", "--database", database)
    ended = run(*base, "--output", target)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert target.read_bytes().decode() == run(*base).out
    assert stat.S_IMODE(target.stat().st_mode) & 0o027 == 0
    assert [path.name for path in folder.iterdir()] == ["users.csv"]
    assert run(*base, "--output", tmp_path / "none" / "x.csv").code == 73


def test_the_config_in_effect_hides_nothing_but_secrets(run: Run, config: Path) -> None:
    shown = run("config", "show", "-c", config)
    assert (shown.code, shown.err) == (0, "")
    assert 'interval = "15m"' in shown.out
    document = json.loads(run("config", "show", "--json", "-c", config).out)
    assert document["store"]["url"].endswith("/syncd.db")


def test_the_default_config_needs_no_file(run: Run) -> None:
    ended = run("config", "default")
    assert ended.code == 0
    assert "#[[organization]]" in ended.out


def test_check_tells_every_problem(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[daemon]\nintervall = "15m"\n[log]\nlevel = "loud"\n')
    ended = run("check", "-c", path)
    assert (ended.code, ended.out) == (78, "")
    assert "2 problems" in ended.err
    assert "line 2: daemon.intervall" in ended.err
    assert "line 4: log.level" in ended.err


def test_check_reads_the_config_and_nothing_else(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    run("init", "google_workspace", "--output", path)
    ended = run("check", "-c", path)
    assert (ended.code, ended.err) == (0, "")
    assert "organization  acme: google_workspace, users, tokens, relations" in ended.out
    assert [each.name for each in tmp_path.iterdir()] == ["good.toml"]


def test_check_hints_at_init_when_there_is_no_organization(run: Run, config: Path) -> None:
    assert "`syncd init PROVIDER`" in run("check", "-c", config).out


def test_init_writes_a_valid_private_file_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new config.toml"
    ended = run("-c", path, "init", "google_workspace")
    assert (ended.code, ended.err) == (0, "")
    assert "admin.directory.user.security" in ended.out
    assert f"syncd -c '{path}' check --online" in ended.out
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0
    assert run("check", "-c", path).code == 0
    text = path.read_text()
    again = run("-c", path, "init", "google_workspace")
    assert (again.code, path.read_text()) == (73, text)


def test_init_of_what_is_not_there(run: Run, tmp_path: Path) -> None:
    ended = run("init", "nope", "--output", tmp_path / "x.toml")
    assert ended.code == 64
    assert "there are google_workspace" in ended.err
    ended = run("init", "google_workspace", "--output", tmp_path / "none" / "x.toml")
    assert ended.code == 73


def test_every_commented_key_of_init_is_valid(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    run("init", "google_workspace", "--output", path)
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(line[1:] if line[:1] == "#" != line[:2].strip() else line for line in lines)
    )
    ended = run("check", "-c", path)
    assert (ended.code, ended.err) == (0, "")
