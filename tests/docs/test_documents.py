"""What the documentation says is so: its commands run, its queries answer, its columns exist."""

from __future__ import annotations

import contextlib
import re
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.cli.parser import build_parser
from syncd.errors import ExitCode
from tests.support import process

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration whose organization has been synced twice, with changes in between."""
    folder = tmp_path_factory.mktemp("documented")
    with process.directory(folder / "server", "--users", "60") as server:
        config = process.write_config(folder, server)
        assert process.run(config, "sync").returncode == 0
        server.control("epoch", {"epoch": 1})
        assert process.run(config, "sync").returncode == 0
        yield config


def blocks(language: str) -> list[tuple[str, str]]:
    pattern = re.compile(rf"^```{language}\n(.*?)^```", re.MULTILINE | re.DOTALL)
    return [(path.name, block) for path in DOCUMENTS for block in pattern.findall(path.read_text())]


def commands() -> list[str]:
    """Every syncd command in a shell block or in running text, without its comment."""
    found = []
    for _, block in [*blocks("sh"), *blocks("text")]:
        for line in block.splitlines():
            text = line.removeprefix("$ ").split("  #")[0].strip()
            if text.startswith("syncd ") and (block.startswith("$ ") is line.startswith("$ ")):
                found.append(text)
    return sorted(set(found))


NOT_HERE = {"syncd init google_workspace": "writes to /etc"}


@pytest.mark.parametrize("command", commands())
def test_a_documented_command_runs(synced: Path, command: str) -> None:
    if command in NOT_HERE:
        build_parser().parse_args(shlex.split(command)[1:])
        return
    done = process.run(synced, *shlex.split(command)[1:])
    assert done.returncode == ExitCode.OK, done.stderr


@pytest.mark.parametrize(("document", "query"), blocks("sql"))
def test_a_documented_query_answers(synced: Path, document: str, query: str) -> None:
    database = synced.parent / "syncd.db"
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = connection.execute(query).fetchall()
    assert rows or "unreadable" in query, document


def test_a_documented_configuration_is_valid(synced: Path, tmp_path: Path) -> None:
    for document, block in blocks("toml"):
        path = tmp_path / "config.toml"
        path.write_text(block)
        done = process.run(path, "check")
        assert done.returncode == 0, (document, done.stderr)


def test_every_view_and_column_is_documented(synced: Path) -> None:
    text = (ROOT / "docs/database.md").read_text()
    with contextlib.closing(sqlite3.connect(synced.parent / "syncd.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall()
        views = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            for (name,) in names
        }
    assert views
    for view, columns in views.items():
        if view.endswith("_all"):
            assert columns == views[view.removesuffix("_all")]
            continue
        described = re.search(rf"^- `{view}`: (.*?)(?=^- `|^## )", text, re.MULTILINE | re.DOTALL)
        assert described, view
        named = re.findall(r"`([a-z_]+)`", described[1])
        assert [name for name in named if name in columns][: len(columns)] == columns, view


def test_the_exit_codes_in_the_readme_are_those_of_the_program() -> None:
    text = (ROOT / "README.md").read_text()
    listed = text[text.index("Exit codes:") :]
    listed = listed[: listed.index("\n\n")]
    codes = {int(code) for code in re.findall(r"(?:^|[ ,])(\d+) [a-z]", listed, re.MULTILINE)}
    later = {ExitCode.NO_DAEMON, ExitCode.BRAKE}
    assert codes == {int(code) for code in ExitCode if code not in later}


def test_links_between_documents_lead_somewhere() -> None:
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / target).exists(), (document.name, target)


def test_every_dependency_has_its_line_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed
    for name in re.findall(r'"([A-Za-z0-9_-]+)', listed[1]):
        assert f"[{name}](" in text, name
