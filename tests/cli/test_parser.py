from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from syncd import __version__
from syncd.cli import dispatch, output
from syncd.cli.parser import build_parser, entry
from syncd.demo import FAULT_NAMES
from syncd.errors import ExitCode, StoreError
from tests.cli.conftest import Run

COMMANDS = (
    "sync", "check", "init", "runs", "changes", "apps", "export", "backup", "config show",
    "config default", "demo",
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_exit_codes(run: Run, command: str) -> None:
    ended = run(*command.split(), "--help")
    assert ended.code == 0
    assert f"example:\n  syncd {command}" in ended.out
    assert "exit codes:\n    0  ok" in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_in_the_help_is_a_valid_command_line(run: Run, command: str) -> None:
    text = run(*command.split(), "--help").out
    example = text.split("example:\n")[1].split("\n")[0].split(">")[0].split()
    assert build_parser().parse_args(example[1:]).execute is not None


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["bogus"],
        ["export", "users"],
        ["export", "nope", "--format", "csv"],
        ["export", "users", "--format", "xml"],
        ["changes", "--kind", "added,nope"],
        ["changes", "--kind", ","],
        ["changes", "--limit", "-1"],
        ["changes", "--limit", "x"],
        ["sync", "--endpoint", "files"],
        ["demo", "--latency", "60"],
        ["runs", "--databas", "x"],
        ["config"],
        ["--version=3"],
    ],
)
def test_usage_errors_end_with_64_and_say_where_help_is(run: Run, line: list[str]) -> None:
    ended = run(*line)
    assert (ended.code, ended.out) == (64, "")
    assert "try `syncd" in ended.err or "usage: syncd" in ended.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_speaks_of_this_version_only(run: Run, command: str) -> None:
    text = run(*command.split(), "--help").out + run("--help").out
    assert not re.search(r"^ +75 |brake|reload|restart|systemctl", text, re.MULTILINE)
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("sync", [0, 3, 4, 64, 69, 73, 77, 78, 130]),
        ("check", [0, 64, 69, 77, 78]),
    ],
)
def test_the_exit_codes_of_a_command_are_told(run: Run, command: str, codes: list[int]) -> None:
    text = run(command, "--help").out.split("exit codes:\n")[1]
    assert [int(line.split()[0]) for line in text.splitlines()] == codes


def test_help_is_a_command_too(run: Run) -> None:
    assert run("help") == run("--help")
    assert run("help", "config", "show") == run("config", "show", "--help")
    assert run("help").code == 0
    assert run("help", "bogus").code == 64


def test_the_help_of_sync_explains_what_sync_shows(run: Run) -> None:
    text = " ".join(run("sync", "--help").out.split())
    assert "effective speed-up time spent in requests, all of them added up, divided by" in text
    for words in ("39 of 500 so far", "39/500+", "over 3s left", "eta >3s", "2/3 parallel"):
        assert words in text


def test_the_help_of_apps_explains_its_columns_and_rules(run: Run) -> None:
    text = " ".join(run("apps", "--help").out.split())
    assert "users at risk users whose own grant reaches that level" in text
    assert "docs/risk.md describes the file" in text


def test_the_help_of_demo_names_every_fault_and_a_wrong_one_finds_its_neighbours(run: Run) -> None:
    text = run("demo", "--help").out
    listed = text.split("faults:\n")[1].split("\n\n")[0]
    assert [name.strip() for name in listed.split(",")] == list(FAULT_NAMES)
    assert "rate_limit_429, rate_limit_429_date" in run("demo", "--fault", "429=0.1").err
    assert "near it: slow_body" in run("demo", "--fault", "slow_bdy").err
    assert "lists them" in run("demo", "--fault", "=1").err
    assert build_parser().parse_args(["demo", "--fault", "hang=1"]).fault == ["hang=1"]


def test_an_empty_organization_is_no_demo(run: Run) -> None:
    for users in ("0", "-1", "x"):
        ended = run("demo", "--users", users)
        assert (ended.code, ended.out) == (64, "")
        assert "1 or more" in ended.err


def test_the_config_file_may_stand_before_or_after_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parse = build_parser().parse_args
    assert parse(["-c", "a.toml", "runs"]).config == Path("a.toml")
    assert parse(["runs", "-c", "a.toml"]).config == Path("a.toml")
    assert parse(["-c", "a.toml", "runs", "--config", "b.toml"]).config == Path("b.toml")
    assert parse(["runs"]).config is None


def test_options_become_values() -> None:
    parse = build_parser().parse_args
    sync = parse(["sync", "acme", "--endpoint", "users, tokens,users", "--dry-run"])
    assert (sync.organizations, sync.endpoint) == (["acme"], ("users", "tokens"))
    assert (sync.dry_run, sync.allow_removals, sync.json) == (True, False, False)
    demo = parse(["demo", "--latency", "60ms", "--keep", "x.db"])
    assert (demo.users, demo.seed, demo.latency, demo.keep) == (500, 1, 0.06, Path("x.db"))
    assert parse(["changes"]).limit is None
    assert parse(["runs"]).limit == 20


@pytest.mark.system
def test_the_version_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys\nfrom syncd.cli.parser import entry\n"
        "try: entry(['--version'])\nexcept SystemExit: pass\n"
        "heavy = ('rich', 'httpx2', 'msgspec', 'structlog', 'sqlite3', 'asyncio', 'uvloop')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    # Measuring coverage imports some of them.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, timeout=60, env=environment,
    )  # fmt: skip
    assert done.stdout == f"syncd {__version__}\n[]\n"


def _raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(_: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(dispatch, "runs", fail)


def test_an_error_is_one_message_and_its_exit_code(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, StoreError("/x: broken\x1b[2J\n  second line\u202e"))
    ended = run("runs")
    assert (ended.code, ended.out) == (69, "")
    assert ended.err == "syncd: /x: broken\\x1b[2J\n  second line\\u202e\n"


def test_ctrl_c_ends_with_130_and_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, KeyboardInterrupt())
    assert run("runs") == type(run("runs"))(130, "", "")


def test_a_bug_ends_with_70_and_a_traceback_without_values(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: argparse.Namespace) -> int:
        password = "hunter2hunter2"
        raise RuntimeError(f"no place for {len(password)} characters")

    monkeypatch.setattr(dispatch, "runs", fail)
    ended = run("runs")
    assert (ended.code, ended.out) == (ExitCode.BUG, "")
    assert "RuntimeError" in ended.err
    assert "no place for 14 characters" in ended.err
    assert "hunter2" not in ended.err.replace('password = "hunter2hunter2"', "")


def test_a_broken_pipe_of_the_network_is_no_closed_output(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, BrokenPipeError())
    assert run("runs").code == ExitCode.BUG


def test_a_reader_that_went_away_ends_quietly(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _raising(monkeypatch, output.OutputClosed())
    monkeypatch.setattr(output, "abandon", lambda: None)
    assert entry(["runs"]) == 0
    assert capsys.readouterr() == ("", "")
