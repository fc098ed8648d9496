"""Names that attack: the terminal, the spreadsheet, and whoever reads JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.seed import FORMULA, HOSTILE

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LISTINGS = ("runs", "changes", "apps", "runs --json", "changes --json", "apps --json")
_EXPORTS = tuple(
    f"export {view} --format {format}"
    for view in ("users", "groups", "applications", "changes", "tokens", "runs")
    for format in ("csv", "jsonl")
)


def _on_a_terminal(line: str, width: int) -> str:
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    environment = {
        "PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": str(width),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd.cli.parser", *line.split()],
        stdin=theirs, stdout=theirs, stderr=theirs, env=environment,
    )  # fmt: skip
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 65536):
            pieces.append(piece)
    except OSError:
        pass  # the other end is closed: all has been read
    os.close(ours)
    assert process.wait(60) == 0
    return b"".join(pieces).decode("utf-8")


def _assert_harmless(shown: str) -> None:
    """Nothing but colours, line ends and what can be seen."""
    bare = _COLOURS.sub("", shown).replace("\r", "").replace("\n", "")
    assert not [char for char in bare if not char.isprintable()]


@pytest.mark.system
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("line", ["runs", "changes", "apps"])
def test_tables_do_nothing_to_the_terminal(database: Path, line: str, width: int) -> None:
    shown = _on_a_terminal(f"{line} --database {database}", width)
    assert "\x1b[" in shown
    _assert_harmless(shown)
    assert "[red]" in shown or (line == "runs" and width < 120)


@pytest.mark.system
@pytest.mark.parametrize("line", [line for line in (*_LISTINGS, *_EXPORTS) if " " in line])
def test_exports_and_json_do_nothing_to_the_terminal(database: Path, line: str) -> None:
    _assert_harmless(_on_a_terminal(f"{line} --database {database}", 80))


@pytest.mark.parametrize("line", ["runs", "changes", "apps"])
def test_elsewhere_than_on_a_terminal_there_are_no_escape_codes(
    run: Run, database: Path, line: str
) -> None:
    ended = run(*line.split(), "--database", database)
    assert "\x1b" not in ended.out + ended.err
    _assert_harmless(ended.out)
    assert "[red]" in ended.out


@pytest.mark.parametrize("view", ["users", "groups", "applications", "changes", "runs"])
def test_no_cell_of_a_csv_is_a_formula(run: Run, database: Path, view: str) -> None:
    text = run("export", view, "--format", "csv", "--database", database).out
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\t"))]
    assert not set("".join(cells)) & set("\x1b\x07\x9b\u202e")


def test_formulas_are_text_in_csv_and_themselves_in_json(run: Run, database: Path) -> None:
    text = run("export", "groups", "--format", "csv", "--database", database).out
    (group,) = csv.DictReader(io.StringIO(text))
    assert (group["name"], group["description"]) == ("'" + FORMULA, "line one\nline two")
    text = run("export", "groups", "--format", "jsonl", "--database", database).out
    assert json.loads(text)["name"] == FORMULA


def test_json_gives_hostile_names_as_they_are(run: Run, database: Path) -> None:
    lines = run("apps", "--json", "--database", database).out.splitlines()
    assert HOSTILE in {json.loads(line)["name"] for line in lines}
