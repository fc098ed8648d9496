from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from syncd.cli import risk
from syncd.cli.commands import changes
from syncd.cli.when import parse_since
from syncd.errors import UsageError
from tests.cli.conftest import Narrow, Run
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
    assert ended.err == f"syncd: --database {tmp_path}/none.db: there is no such file\n"
    config = tmp_path / "config.toml"
    config.write_text('[store]\nurl = "sqlite:none.db"\n')
    ended = run("runs", "-c", config)
    assert ended.code == 69
    assert "`syncd sync` makes it" in ended.err
    assert run("runs", "-c", tmp_path / "none.toml").code == 78


def test_a_wrong_database_that_was_named_is_no_matter_of_the_config(
    run: Run, config: Path, tmp_path: Path
) -> None:
    for wrong in (tmp_path, config):
        ended = run("runs", "--database", wrong)
        assert (ended.code, ended.out) == (69, "")
        assert ended.err.startswith(f"syncd: --database {wrong}: this is ")
        assert "store" not in ended.err


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
    assert ended.err == "the newest run; --limit 0 shows all\n"
    assert run("runs", "--database", database, "--limit", 2).err.startswith("the newest 2 runs;")


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


def test_a_token_keeps_its_application_on_a_narrow_terminal(narrow: Narrow, tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    run = seed.run(organization)
    seed.user(organization, "1", email="maximiliane.von.und.zu.hohenlohe@very-long.acme.example")
    for name in ("LastPass", "Atlassian Jira"):
        application = seed.application(organization, name, name)
        seed.change(run, 2, seed.token(organization, "1", application, ["openid"]), 1)
    seed.close()
    for width, holder in (
        (50, r"maxim\S*…"),
        (80, r"maximiliane\S+…"),
        (120, r"maxim\S+example"),
    ):
        head, *lines = narrow(width, "changes", "--database", seed.path)
        assert "how" not in head
        assert re.search(rf" {holder} -> LastPass$", lines[0])
        assert re.search(rf" {holder} -> Atlassian Jira$", lines[1])


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (26, "leo.jensen@… -> LastPass"),
        (24, "leo.jensen@… -> LastPass"),
        (23, "leo.jensen -> LastPass"),
        (19, "leo.je… -> LastPass"),
        (10, "leo.j… -> LastPass"),
    ],
)
def test_the_holder_is_shortened_before_the_application(width: int, text: str) -> None:
    assert changes.squeezed(("leo.jensen@acme.example", " -> ", "LastPass"), width) == text


def test_what_has_no_address_is_shortened_too() -> None:
    assert changes.squeezed(("organization", " -> ", "Zoom"), 16) == "organiz… -> Zoom"
    assert changes.squeezed(("", "", "a" * 50), 16) == "a" * 50


def test_changes_are_filtered_and_limited(run: Run, database: Path) -> None:
    base = ("changes", "--database", database)
    since = _lines(run(*base, "--since", "2026-11-18T11:06:50Z", "--json").out)
    assert [row["seq"] for row in since] == [3, 4, 5, 6, 7]
    some = _lines(run(*base, "--kind", "changed", "--entity", "user,group", "--json").out)
    assert [row["seq"] for row in some] == [2, 4]
    ended = run(*base, "--limit", 2, "--run", 1)
    assert len(ended.out.splitlines()) == 3
    assert "the newest 2 changes" in ended.err
    assert "the newest change;" in run(*base, "--limit", 1).err
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


def _figures(text: str) -> list[tuple[str, int, int]]:
    """Level, users at risk and all users of each line."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [(row[0], int(row[1]), int(row[2])) for row in rows]


def test_apps_come_by_risk_and_then_by_users_at_risk(run: Run, tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    drive, mail = (seed.application(organization, name, name) for name in ("drive", "mail"))
    for number in range(5):
        seed.user(organization, str(number))
        seed.token(organization, str(number), drive, [API + "drive"] if number == 3 else ["openid"])
    for number in range(2):
        seed.token(organization, str(number), mail, ["https://mail.google.com/"])
    seed.close()
    base = ("apps", "--database", seed.path)
    assert _figures(run(*base).out) == [("high", 2, 2), ("high", 1, 5)]
    assert _figures(run(*base, "--sort", "users").out) == [("high", 1, 5), ("high", 2, 2)]
    assert [each["users_at_risk"] for each in _lines(run(*base, "--json").out)] == [2, 1]


def test_apps_end_with_how_many_there_are(run: Run, database: Path) -> None:
    ended = run("apps", "--database", database, "--org", "acme")
    assert _figures(ended.out) == [("high", 1, 1), ("medium", 1, 2), ("medium", 1, 1)]
    assert ended.err == "3 applications: 1 high, 2 medium, 0 low\n"


def test_a_grant_without_scopes_reaches_the_level_of_any_application(
    run: Run, tmp_path: Path
) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    application = seed.application(organization, "a", "a")
    for name, scopes in (("1", ["openid"]), ("2", [])):
        seed.user(organization, name)
        seed.token(organization, name, application, scopes)
    seed.close()
    assert _figures(run("apps", "--database", seed.path).out) == [("low", 2, 2)]


def test_columns_of_apps_that_say_nothing_are_left_out(run: Run, tmp_path: Path) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    seed.user(organization, "1")
    application = seed.application(organization, "a", "a")
    seed.token(organization, "1", application, ["openid"])
    head = run("apps", "--database", seed.path).out.splitlines()[0]
    assert head.split("  ")[0] == "risk"
    assert not {"for everybody", "rule from", "organization"} & set(re.split("  +", head))
    seed.token(organization, "", application, ["openid"], principal_kind="organization")
    seed.close()
    risk.OWN_RULES.write_text('[[rule]]\nscope = "openid"\nlevel = "high"\nreason = "ours"\n')
    head, row = run("apps", "--database", seed.path).out.splitlines()
    assert {"for everybody", "rule from"} <= set(re.split("  +", head))
    assert {"yes", str(risk.OWN_RULES)} <= set(re.split("  +", row))


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (50, ["application"]),
        (80, ["all users", "application", "riskiest scope"]),
        (120, ["all users", "application", "riskiest scope", "reason"]),
    ],
)
def test_apps_keep_what_counts_on_a_narrow_terminal(
    narrow: Narrow, database: Path, width: int, columns: list[str]
) -> None:
    head, *_ = narrow(width, "apps", "--database", database, "--org", "acme")
    assert re.split("  +", head) == ["risk", "users at risk", *columns]


def test_apps_are_filtered_by_risk_and_limited(run: Run, database: Path) -> None:
    base = ("apps", "--database", database)
    assert len(run(*base, "--risk", "low").out.splitlines()) == 0
    assert len(run(*base, "--risk", "high,medium").out.splitlines()) == 4
    ended = run(*base, "--limit", 1)
    assert len(ended.out.splitlines()) == 2
    assert "the first one is shown, --limit 0" in ended.err
    assert "the first 2 are shown, --limit 0" in run(*base, "--limit", 2).err


def test_apps_as_json_say_all_that_is_known(run: Run, database: Path) -> None:
    first = _lines(run("apps", "--database", database, "--json").out)[0]
    assert first == {
        "organization": "acme", "id": "mail.apps.example", "name": "Mail Merge 日程助手",
        "users": 1, "users_at_risk": 1, "organization_wide": False, "other_grants": 0,
        "risk": "high", "riskiest_scope": "https://mail.google.com/", "rule": "https://mail.google.com/",
        "rule_source": "built-in", "reason": "reads and sends mail, and deletes any of it for good",
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
    assert "write `users --all`" in run(*base, "users_all").err


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
    _fill_in(path)
    ended = run("check", "-c", path)
    assert (ended.code, ended.err) == (0, "")
    assert "organization  acme: google_workspace, users, tokens, relations" in ended.out
    assert [each.name for each in tmp_path.iterdir()] == ["good.toml"]


def test_check_hints_at_init_when_there_is_no_organization(run: Run, config: Path) -> None:
    assert "`syncd init PROVIDER`" in run("check", "-c", config).out


def _fill_in(path: Path) -> None:
    text = path.read_text().replace('name = "CHANGE-ME"', 'name = "acme"')
    path.write_text(text.replace('admin = "CHANGE-ME"', 'admin = "admin@acme.example"'))


def test_init_writes_a_private_file_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new config.toml"
    ended = run("-c", path, "init", "google_workspace")
    assert (ended.code, ended.err) == (0, "")
    assert "admin.directory.user.security" in ended.out
    assert f"syncd -c '{path}' check --online\n" in ended.out
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0
    text = path.read_text()
    again = run("-c", path, "init", "google_workspace")
    assert (again.code, path.read_text()) == (73, text)
    assert "never overwritten; name another file with --output FILE" in again.err


def test_check_finds_what_init_left_to_be_changed(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    run("init", "google_workspace", "--output", path)
    lines = path.read_text().splitlines()
    left = [number for number, line in enumerate(lines, 1) if '= "CHANGE-ME"' in line]
    ended = run("check", "-c", path)
    assert ended.code == 78
    found = re.findall(r"line (\d+): organization\[0\]\.(\w+): \"CHANGE-ME\"", ended.err)
    assert [int(number) for number, _ in found] == left
    assert {key for _, key in found} == {"name", "admin"}
    _fill_in(path)
    assert run("check", "-c", path).code == 0


def test_init_says_where_the_key_goes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    steps = run("init", "google_workspace", "--output", path).out
    assert "install -d -m 0700 /etc/syncd/credentials\n" in steps
    assert "install -m 0600 KEY.json /etc/syncd/credentials/acme.json\n" in steps
    assert 'credentials = "credential:acme.json"' in path.read_text()
    assert f"edit {path}: change every CHANGE-ME" in steps


def test_init_makes_the_directory_of_its_file(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "etc" / "config.toml"
    assert run("init", "google_workspace", "--output", path).code == 0
    assert stat.S_IMODE(path.parent.stat().st_mode) & ~0o750 == 0
    assert path.exists()


def test_init_says_how_to_make_a_directory_that_it_cannot_make(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "no" / "such folder"
    ended = run("init", "google_workspace", "--output", folder / "config.toml")
    assert (ended.code, ended.out) == (73, "")
    assert f"run `mkdir -p -m 0750 '{folder}'` first, or name another file" in ended.err


def test_init_of_what_is_not_there(run: Run, tmp_path: Path) -> None:
    ended = run("init", "nope", "--output", tmp_path / "x.toml")
    assert ended.code == 64
    assert "there are google_workspace" in ended.err


def test_every_commented_key_of_init_is_valid(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    run("init", "google_workspace", "--output", path)
    _fill_in(path)
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(line[1:] if line[:1] == "#" != line[:2].strip() else line for line in lines)
    )
    ended = run("check", "-c", path)
    assert (ended.code, ended.err) == (0, "")
