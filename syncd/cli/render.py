"""Tables: on a terminal as wide as it is, elsewhere as plain aligned text.

On a terminal columns share the width; what does not fit is shortened, and when even that does not
help, the least important columns drop out. Elsewhere every column is there in full, an empty cell
is ``-``, and there are no escape codes. Every cell may hold an attacker's text.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.cli import output
from syncd.host.text import terminal_safe

Row = dict[str, Any]

_GAP = 2
_CHUNK = 500
"""Rows that are aligned together; more are never held."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    title: str
    cell: Callable[[Row], object]
    drop: int = 0
    """The highest drops out first; 0 never does."""
    least: int = 6
    """It is useless if shown narrower than this."""
    right: bool = False
    style: Callable[[Row], str] | str = ""
    optional: bool = False
    """Left out on a terminal when all its cells are empty."""
    yields: bool = False
    """It gives way to the other columns until it is only ``least`` wide."""
    squeeze: Callable[[Row, int], str] | None = None
    """The cell in so many columns, for one that must not simply be cut off at its end."""

    def text(self, row: Row) -> str:
        """The cell as harmless text on one line."""
        value = self.cell(row)
        if value is None or value == "":
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            return f"{value:,}"
        return terminal_safe(str(value))

    def narrowed(self, row: Row, text: str, width: int) -> str:
        """The cell's text as it is best shown in ``width`` columns; it may still be cut there."""
        if self.squeeze is None or cell_len(text) <= width:
            return text
        return terminal_safe(self.squeeze(row, width))

    def style_of(self, row: Row) -> str:
        """How the cell looks on a terminal."""
        return self.style if isinstance(self.style, str) else self.style(row)


def show_table(columns: Sequence[Column], rows: Iterable[Row]) -> int:
    """Write a table to standard output; returns the number of rows."""
    styled = output.is_terminal()
    total = 0
    for text, count in table(columns, rows, width=output.width() if styled else None):
        output.write(text)
        total += count
    output.flush()
    return total


def table(
    columns: Sequence[Column], rows: Iterable[Row], *, width: int | None
) -> Iterator[tuple[str, int]]:
    """Pieces of a table, each with its number of rows. Without a width it is plain text."""
    source = iter(rows)
    fixed: list[tuple[Column, int]] = []
    while chunk := list(itertools.islice(source, _CHUNK)):
        cells = {column.title: [column.text(row) for row in chunk] for column in columns}
        first = not fixed
        if first:
            fixed = fit(columns, cells, width)
        if width is None:
            yield _plain(fixed, cells, head=first), len(chunk)
        else:
            yield _styled(fixed, cells, chunk, width, head=first), len(chunk)


def fit(
    columns: Sequence[Column], cells: dict[str, list[str]], width: int | None
) -> list[tuple[Column, int]]:
    """The columns to show and how wide each is."""
    natural = {
        c.title: max(cell_len(c.title), *(cell_len(text) for text in cells[c.title]))
        for c in columns
    }
    if width is None:
        return [(column, natural[column.title]) for column in columns]
    shown = [c for c in columns if not c.optional or any(cells[c.title])]

    def least(column: Column) -> int:
        return min(natural[column.title], max(column.least, cell_len(column.title)))

    def needed() -> int:
        return sum(least(c) for c in shown) + _GAP * (len(shown) - 1)

    while needed() > width and any(c.drop for c in shown):
        shown.remove(max(shown, key=lambda c: c.drop))
    room = width - _GAP * (len(shown) - 1)
    return list(zip(shown, _share(room, shown, natural, least), strict=True))


def _share(
    room: int, shown: list[Column], natural: dict[str, int], least: Callable[[Column], int]
) -> list[int]:
    """Widths that fit into the room: those that yield give way first, then the widest."""
    widths = [natural[column.title] for column in shown]
    floors = [least(column) for column in shown]
    while sum(widths) > room:
        givers = [i for i, width in enumerate(widths) if width > floors[i]]
        givers = [i for i in givers if shown[i].yields] or givers
        if not givers:
            # Narrower than the table can be: the first columns stay readable longest.
            givers = [i for i, width in enumerate(widths) if width > 1][-1:]
            if not givers:
                break
        widths[max(givers, key=lambda i: widths[i])] -= 1
    return widths


def _plain(fixed: list[tuple[Column, int]], cells: dict[str, list[str]], *, head: bool) -> str:
    lines = [[column.title for column, _ in fixed]] if head else []
    texts = (cells[column.title] for column, _ in fixed)
    lines += [[text or "-" for text in line] for line in zip(*texts, strict=True)]
    return "".join(_plain_line(fixed, line) for line in lines)


def _plain_line(fixed: list[tuple[Column, int]], texts: list[str]) -> str:
    parts = []
    for (column, width), text in zip(fixed, texts, strict=True):
        padding = " " * (width - cell_len(text))
        parts.append(padding + text if column.right else text + padding)
    return (" " * _GAP).join(parts).rstrip() + "\n"


def _styled(
    fixed: list[tuple[Column, int]],
    cells: dict[str, list[str]],
    rows: list[Row],
    width: int,
    *,
    head: bool,
) -> str:
    grid = Table(
        box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=head, header_style="bold"
    )
    for column, columns_wide in fixed:
        grid.add_column(
            Text(column.title),
            width=columns_wide,
            justify="right" if column.right else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for number, row in enumerate(rows):
        texts = (column.narrowed(row, cells[column.title][number], at) for column, at in fixed)
        styles = (column.style_of(row) for column, _ in fixed)
        grid.add_row(*(Text(text, style=style) for text, style in zip(texts, styles, strict=True)))
    return to_text(grid, width)


def to_text(renderable: Any, width: int) -> str:
    """What rich makes of something, as text with the terminal's escape codes."""
    console = Console(
        file=io.StringIO(), force_terminal=True, width=width, highlight=False, markup=False,
        emoji=False, legacy_windows=False,
    )  # fmt: skip
    with console.capture() as capture:
        console.print(renderable, crop=True)
    return capture.get()


def styled(text: str, style: str) -> str:
    """A line of harmless text in a style, if standard output is a terminal."""
    safe = terminal_safe(text)
    if not output.is_terminal():
        return safe
    return to_text(Text(safe, style=style), max(output.width(), len(safe) * 2)).rstrip("\n")
