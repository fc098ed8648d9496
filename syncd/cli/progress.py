"""Showing runs that are going on: in place on a terminal, as log events now and then elsewhere.

The engine updates a :class:`~syncd.sync.progress.Progress` in place and knows nothing of who
watches it::

    with progress_display(interval=10.0) as display:
        display.add(progress)
        ...
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli import output
from syncd.cli.meter import CELLS, SHORT, EndpointView, RunMeter, RunView
from syncd.cli.report import reporter
from syncd.errors import Interrupted
from syncd.host.text import terminal_safe
from syncd.sync.progress import Progress
from syncd.timing import format_duration

REFRESHES_PER_SECOND = 5
_BAR = (8, 40)
_GAP = 2
_SPINNER = {False: "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", True: "|/-\\"}
_SIGNS = {
    "waiting": ("·", ".", "dim"),
    "succeeded": ("✓", "+", "green"),
    "partial": ("!", "!", "yellow"),
    "failed": ("✗", "x", "red"),
    "aborted": ("✗", "x", "red"),
    "interrupted": ("-", "-", "yellow"),
    "stopped": ("-", "-", "yellow"),
}

_SHORTENED = "shorten"
_GIVEN_UP = (
    ("status", ""),
    ("share", ""),
    ("eta", _SHORTENED),
    ("count", _SHORTENED),
    ("parallel", ""),
    ("eta", ""),
    ("speed", ""),
    ("unreadable", ""),
    ("count", ""),
)
"""What is shortened or left out where a line has no room, in this order."""


class Display:
    """Shows runs until it is left; a context manager."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._meters: list[RunMeter] = []

    def add(self, progress: Progress) -> None:
        """Show this run too."""
        self._meters = [*self._meters, RunMeter(progress)]

    def views(self) -> list[RunView]:
        """All runs as they are now."""
        now = self._clock()
        return [meter.view(now) for meter in self._meters]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last state where it can be seen."""


_ECHO = len("^C")
"""Columns that stay free: what the terminal echoes must not begin a new line."""

_STOPS = (Interrupted, KeyboardInterrupt)


class LiveDisplay(Display):
    """A few lines on a terminal that are kept up to date by a thread of rich."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._painter = Painter()
        self._left_as = ""
        self._live = Live(
            console=console,
            get_renderable=self._paint,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _paint(self) -> RenderableType:
        width, ascii_only = self._console.width - _ECHO, self._console.options.ascii_only
        now = self._clock()
        views = self.views()
        if self._left_as:
            views = [view.left(self._left_as) for view in views]
        return self._painter.paint(views, width, ascii_only=ascii_only, now=now)

    def print_above(self, text: str) -> None:
        """Print lines above the display."""
        safe = "\n".join(terminal_safe(line) for line in text.splitlines())
        for each in output.wrapped(safe, cast("TextIO", self._console.file)).split("\n"):
            self._console.print(Text(each), soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left_as = "stopped" if isinstance(error, _STOPS) else "failed"
        # Nothing moves any more, so that what was kept free for later is free now.
        self._painter = Painter()
        self._live.stop()


class Painter:
    """Draws runs. Columns never get narrower, so that nothing jumps."""

    def __init__(self) -> None:
        self._widths: dict[tuple[str, bool], int] = {}

    def paint(
        self, views: list[RunView], width: int, *, ascii_only: bool, now: float
    ) -> RenderableType:
        """All runs in ``width`` columns."""
        several = len(views) > 1
        parts: list[RenderableType] = []
        for view in views:
            parts.append(_head(view, width))
            if not (several and view.finished):
                parts.append(self._endpoints(view, width, ascii_only=ascii_only, now=now))
        return Group(*parts)

    def _endpoints(self, view: RunView, width: int, *, ascii_only: bool, now: float) -> Table:
        texts = {
            (name, short): [terminal_safe(cell(endpoint)) for endpoint in view.endpoints]
            for short, cells in ((False, CELLS), (True, SHORT))
            for name, cell in cells.items()
        }
        names = [terminal_safe(endpoint.progress.endpoint) for endpoint in view.endpoints]
        self._widen(texts)
        shown, bar = self._fit(max(map(cell_len, names), default=0) + 2, width)
        grid = Table(box=None, show_header=False, padding=(0, _GAP, 0, 0), pad_edge=False)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        if bar:
            grid.add_column(width=bar, no_wrap=True)
        for name, short in shown:
            justify = "left" if name in {"unreadable", "status"} else "right"
            grid.add_column(
                width=self._widths[name, short] if name != "status" else None,
                justify=justify,  # type: ignore[arg-type]
                no_wrap=True,
                overflow="ellipsis",
            )
        for number, endpoint in enumerate(view.endpoints):
            sign, style = _sign(endpoint, ascii_only=ascii_only, now=now)
            row: list[RenderableType] = [Text.assemble((sign, style), " ", names[number])]
            row += [_bar(endpoint, bar, now)] if bar else []
            row += [Text(texts[cell][number], style=_STYLES.get(cell[0], "")) for cell in shown]
            grid.add_row(*row)
        return grid

    def _widen(self, texts: dict[tuple[str, bool], list[str]]) -> None:
        for cell, lines in texts.items():
            widest = max(map(cell_len, lines), default=0)
            self._widths[cell] = max(self._widths.get(cell, 0), widest)

    def _fit(self, taken: int, width: int) -> tuple[list[tuple[str, bool]], int]:
        """The cells to show, which of them short, and the width of the bar, 0 for none."""
        shown = [(name, False) for name in CELLS if self._widths[name, False]]

        def room() -> int:
            return width - taken - sum(self._widths[cell] + _GAP for cell in shown) - _GAP

        for name, how in _GIVEN_UP:
            if room() >= (0 if len(shown) <= 1 else _BAR[0]):
                break
            shown = [
                (name, True) if cell[0] == name else cell
                for cell in shown
                if how == _SHORTENED or cell[0] != name
            ]
        return shown, min(_BAR[1], room()) if room() >= _BAR[0] else 0


_OUTCOMES = {"done": "green", "failed": "red"}
_STYLES = {"unreadable": "yellow", "status": "dim", "parallel": "cyan", "speed": "magenta"}


def _head(view: RunView, width: int) -> Text:
    progress = view.progress
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(terminal_safe(progress.organization), style="bold")
    if view.title:
        head.append(f"  {view.title}")
    head.append(f"  {format_duration(round(view.elapsed))}" if view.elapsed >= 1 else "")
    if view.outcome:
        head.append(f"  {view.outcome}", style=_OUTCOMES.get(view.outcome, "yellow"))
    elif progress.waiting:
        head.append(f"  waits for {terminal_safe(progress.waiting)}", style="yellow")
    head.truncate(width, overflow="ellipsis")
    return head


def _sign(endpoint: EndpointView, *, ascii_only: bool, now: float) -> tuple[str, str]:
    state = endpoint.progress.state
    if state == "running":
        frames = _SPINNER[ascii_only]
        return frames[int(now * REFRESHES_PER_SECOND) % len(frames)], "cyan"
    sign, plain, style = _SIGNS.get(state, ("?", "?", ""))
    return (plain if ascii_only else sign), style


def _bar(endpoint: EndpointView, width: int, now: float) -> RenderableType:
    progress = endpoint.progress
    if progress.state == "waiting":
        return Text("")
    if progress.state == "running" and progress.total is None:
        return ProgressBar(total=None, width=width, pulse=True, animation_time=now)
    if not progress.total:
        # Nothing to do is done; how much an ended listing lacks, nobody knows.
        return ProgressBar(total=1, completed=int(progress.state == "succeeded"), width=width)
    return ProgressBar(
        total=progress.total, completed=min(progress.done, progress.total), width=width
    )


class LineDisplay(Display):
    """Reports each run that goes on once each interval, for logs and pipes."""

    def __init__(
        self,
        report: Callable[[RunView], None],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._report = report
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)

    def _work(self) -> None:
        while not self._end.wait(self._interval):
            self.tick()

    def tick(self) -> None:
        """Report each run that goes on."""
        for view in self.views():
            if not view.finished:
                self._report(view)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()


def progress_display(
    *, interval: float = 10.0, stream: TextIO | None = None, quiet: bool = False
) -> Display:
    """The display that fits the stream, which is standard error unless given."""
    target = sys.stderr if stream is None else stream
    if quiet:
        return Display(time.monotonic)
    if output.is_terminal(target) and os.environ.get("TERM") not in {"dumb", "unknown"}:
        return LiveDisplay(Console(file=target, highlight=False, markup=False, emoji=False))
    return LineDisplay(reporter(target), interval)
