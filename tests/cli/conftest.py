"""A database with rows, and a way to run commands on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len

from syncd.cli import output, risk
from syncd.cli.parser import entry
from tests.cli.seed import Seed, fill


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]
Narrow = Callable[..., list[str]]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "syncd.db"
    seed = Seed(path)
    fill(seed)
    seed.close()
    return path


@pytest.fixture
def config(tmp_path: Path, database: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(f'[store]\nurl = "sqlite:///{database}"\n')
    return path


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SYNCD_CONFIG", raising=False)
    monkeypatch.setattr(risk, "OWN_RULES", tmp_path / "risk.toml")


@pytest.fixture
def narrow(run: Run, monkeypatch: pytest.MonkeyPatch) -> Narrow:
    """Run a command as if on a terminal of that width; gives its lines without colours."""
    monkeypatch.setattr(output, "is_terminal", lambda _stream=None: True)

    def run_command(width: int, *arguments: object) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(width))
        ended = run(*arguments)
        assert ended.code == 0
        lines = re.sub(r"\x1b\[[0-9;]*m", "", ended.out + ended.err).splitlines()
        assert all(cell_len(line) <= width for line in lines)
        return [line.rstrip() for line in lines]

    return run_command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process."""

    def run_command(*arguments: object) -> Ended:
        try:
            code = entry([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run_command
