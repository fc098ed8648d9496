from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from syncd.cli import output
from syncd.cli.render import Column, styled, table, to_text
from tests.cli.seed import HOSTILE

_SGR = re.compile(r"\x1b\[[0-9;]*m")

COLUMNS = (
    Column("id", lambda row: row["id"], right=True, least=3),
    Column("name", lambda row: row["name"], least=10, style="red"),
    Column("when", lambda row: row["when"], drop=10, least=20),
    Column("why", lambda row: row.get("why"), drop=20, least=12, optional=True),
)


def _row(id: int, name: str = "Ann", why: str | None = None) -> dict[str, Any]:
    return {"id": id, "name": name, "when": "2026-11-18T11:06:40Z", "why": why}


def _show(rows: list[dict[str, Any]], width: int | None) -> list[str]:
    return "".join(text for text, _ in table(COLUMNS, rows, width=width)).splitlines()


def _plain(lines: list[str]) -> list[str]:
    return [_SGR.sub("", line).rstrip() for line in lines]


def test_elsewhere_than_on_a_terminal_a_table_is_plain_and_complete() -> None:
    assert _show([_row(7), _row(1234, "x" * 90, "because")], None) == [
        "   id  name" + " " * 88 + "when                  why",
        "    7  Ann" + " " * 89 + "2026-11-18T11:06:40Z  -",
        "1,234  " + "x" * 90 + "  2026-11-18T11:06:40Z  because",
    ]


def test_columns_drop_out_by_importance_when_the_terminal_is_narrow() -> None:
    rows = [_row(1, "a long name here", "a long reason here")]
    assert _plain(_show(rows, 80))[0] == "id  name              when                  why"
    assert _plain(_show(rows, 44))[0] == "id  name              when"
    assert _plain(_show(rows, 30))[0] == "id  name"


def test_what_does_not_fit_is_shortened_with_a_mark() -> None:
    assert _plain(_show([_row(1, "n" * 50)], 40))[1] == " 1  nnnnnnnnnnnnn…  2026-11-18T11:06:40Z"


def test_a_column_that_yields_is_narrowed_before_the_others() -> None:
    columns = (
        Column("what", lambda row: row["what"], least=5),
        Column("how", lambda row: row["how"], least=5, yields=True),
    )
    rows = [{"what": "w" * 20, "how": "h" * 10}]
    (text, _), *_ = table(columns, rows, width=28)
    assert _plain(text.splitlines())[1] == "w" * 20 + "  hhhhh…"
    (text, _), *_ = table(columns, rows, width=20)
    assert _plain(text.splitlines())[1] == "w" * 12 + "…  hhhh…"


def test_a_cell_may_know_itself_how_to_be_narrow() -> None:
    column = Column("x", lambda _: "a" * 30, squeeze=lambda row, width: f"{row['x']}{width}\x1b")
    (text, _), *_ = table((column,), [{"x": "!"}], width=20)
    assert _plain(text.splitlines())[1] == "!20\\x1b"
    assert "".join(text for text, _ in table((column,), [{}], width=None)) == f"x\n{'a' * 30}\n"


def test_columns_that_hold_nothing_are_left_out_on_a_terminal() -> None:
    assert "why" not in _show([_row(1)], 200)[0]
    assert "why" in _show([_row(1)], None)[0]


@given(
    st.lists(st.text(st.characters(), max_size=60), min_size=1, max_size=4),
    st.integers(20, 130),
)
def test_no_line_is_wider_than_the_terminal_and_none_obeys_a_name(
    names: list[str], width: int
) -> None:
    lines = _show([_row(i, name, name) for i, name in enumerate(names)], width)
    assert len(lines) == len(names) + 1
    for line in lines:
        bare = _SGR.sub("", line)
        assert cell_len(bare) <= width
        assert bare.isprintable()


@pytest.mark.parametrize("width", [None, 60])
def test_long_tables_are_aligned_in_pieces(width: int | None) -> None:
    pieces = list(table(COLUMNS, (_row(i) for i in range(1200)), width=width))
    assert [count for _, count in pieces] == [500, 500, 200]
    assert sum(text.count("name") for text, _ in pieces) == 1


def test_a_table_that_cannot_fit_is_cut() -> None:
    lines = _plain(_show([_row(1234, "x" * 90)], 9))
    assert all(len(line) <= 9 for line in lines)
    assert all(len(line) <= 2 for line in _plain(_show([_row(1234)], 2)))


def test_an_empty_table_is_nothing() -> None:
    assert _show([], 80) == _show([], None) == []


def test_wide_characters_keep_the_columns_straight() -> None:
    lines = _show([_row(1, "日程助手"), _row(2, "Zoom")], None)
    assert [cell_len(line[: line.index("2026")]) for line in lines[1:]] == [14, 14]


def test_styles_appear_on_a_terminal_only() -> None:
    assert "\x1b[31m" in "".join(_show([_row(1)], 80))
    assert "\x1b" not in "".join(_show([_row(1)], None))
    assert styled(HOSTILE, "red").isprintable()


def test_a_line_has_colours_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert styled("x", "red") == "x"
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    assert styled("x" * 200, "red") == "\x1b[31m" + "x" * 200 + "\x1b[0m"


def test_markup_and_escape_codes_of_a_cell_are_text() -> None:
    (line,) = _plain(_show([_row(1, HOSTILE)], 200))[1:]
    assert "[red]=cmd|' /C calc'!A0\\x1b[2J\\x1b]0;owned\\x07\\u202eevil\\x9b31m\\nnext" in line
    assert to_text("[red]x[/red] :smile:", 40).strip() == "[red]x[/red] :smile:"
