"""scripts/check_coverage.py finds every gap in the gated parts, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scripts.check_coverage import GATED, gaps, main

COMPLETE: dict[str, Any] = {"missing_lines": [], "missing_branches": []}


def report(**files: Any) -> dict[str, Any]:
    """A report in which every gated part is complete, but for what is told."""
    names = [part if part.endswith(".py") else f"{part}/x.py" for part in GATED]
    return {
        "meta": {"branch_coverage": True},
        "totals": {"percent_covered": 50.0},
        "files": dict.fromkeys(names, COMPLETE) | files,
    }


def test_complete_parts_have_no_gaps() -> None:
    assert gaps(report()) == []


def test_missing_lines_and_branches_are_listed_in_order() -> None:
    figures = {"missing_lines": [7, 3], "missing_branches": [[3, 4], [5, -1], [9, 12]]}
    assert gaps(report(**{"syncd/store/sqlite.py": figures})) == [
        "syncd/store/sqlite.py:3: never run",
        "syncd/store/sqlite.py:5: never went to the end of the function",
        "syncd/store/sqlite.py:7: never run",
        "syncd/store/sqlite.py:9: never went to line 12",
    ]


def test_gaps_elsewhere_do_not_count() -> None:
    figures = {"missing_lines": [1], "missing_branches": []}
    elsewhere = {"syncd/cli/render.py": figures, "syncd/sync/worker.py": figures}
    assert gaps(report(**elsewhere)) == []


def test_a_gated_part_that_was_not_measured_is_a_gap() -> None:
    measured = report()
    del measured["files"]["syncd/sync/ledger.py"]
    assert gaps(measured) == ["syncd/sync/ledger.py: not in the coverage report"]


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (report(), 0, ""),
        (
            report(**{"syncd/config/load.py": {"missing_lines": [4], "missing_branches": []}}),
            1,
            "syncd/config/load.py:4: never run\ncoverage gaps: 1; in all 50.0 %",
        ),
        (report() | {"meta": {"branch_coverage": False}}, 1, "the report knows no branches"),
    ],
)
def test_main_says_what_is_missing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: dict[str, Any],
    code: int,
    said: str,
) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    assert main([str(path)]) == code
    assert capsys.readouterr().out.startswith(said)
