"""Showing runs that are going on: in place on a terminal, as a line now and then elsewhere.

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
from typing import Self, TextIO

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from syncd.cli import output
from syncd.cli.meter import EndpointView, RunMeter, RunView
from syncd.host.text import terminal_safe
from syncd.sync.progress import Progress
from syncd.timing import format_duration, iso_utc

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

_Cell = Callable[[EndpointView], str]
_CELLS: tuple[tuple[str, int, _Cell], ...] = (
    ("count", 1, lambda view: view.count),
    ("share", 6, lambda view: view.share),
    ("speed", 3, lambda view: view.speed),
    ("eta", 4, lambda view: view.eta),
    ("parallel", 5, lambda view: view.parallel),
    ("unreadable", 2, lambda view: view.unreadable),
    ("status", 7, lambda view: view.status),
)
"""What a line shows after the bar, and in which order it drops out: the highest first."""


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

    def __exit__(self, *_: object) -> None:
        """Leave the last state where it can be seen."""


class LiveDisplay(Display):
    """A few lines on a terminal that are kept up to date by a thread of rich."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._console = console
        self._painter = Painter()
        self._left = False
        self._live = Live(
            console=console,
            get_renderable=self._paint,
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def _paint(self) -> RenderableType:
        width, ascii_only = self._console.width, self._console.options.ascii_only
        now = self._clock()
        views = [view.stopped() for view in self.views()] if self._left else self.views()
        return self._painter.paint(views, width, ascii_only=ascii_only, now=now)

    def print_above(self, text: str) -> None:
        """Print lines above the display."""
        for each in text.splitlines():
            self._console.print(Text(terminal_safe(each)), soft_wrap=True)

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._left = True
        self._live.stop()


class Painter:
    """Draws runs. Columns never get narrower, so that nothing jumps."""

    def __init__(self) -> None:
        self._widths: dict[str, int] = {}

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
            name: [terminal_safe(cell(endpoint)) for endpoint in view.endpoints]
            for name, _, cell in _CELLS
        }
        names = [terminal_safe(endpoint.progress.endpoint) for endpoint in view.endpoints]
        shown, bar = self._fit(texts, max(map(cell_len, names), default=0) + 2, width)
        grid = Table(box=None, show_header=False, padding=(0, _GAP, 0, 0), pad_edge=False)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        if bar:
            grid.add_column(width=bar, no_wrap=True)
        for name in shown:
            justify = "left" if name in {"unreadable", "status"} else "right"
            grid.add_column(
                width=self._widths[name] if name != "status" else None,
                justify=justify,  # type: ignore[arg-type]
                no_wrap=True,
                overflow="ellipsis",
            )
        for number, endpoint in enumerate(view.endpoints):
            sign, style = _sign(endpoint, ascii_only=ascii_only, now=now)
            row: list[RenderableType] = [Text.assemble((sign, style), " ", names[number])]
            row += [_bar(endpoint, bar, now)] if bar else []
            row += [Text(texts[name][number], style=_STYLES.get(name, "")) for name in shown]
            grid.add_row(*row)
        return grid

    def _fit(self, texts: dict[str, list[str]], taken: int, width: int) -> tuple[list[str], int]:
        """The cells to show, and the width of the bar, 0 for none."""
        for name, cells in texts.items():
            widest = max(map(cell_len, cells), default=0)
            self._widths[name] = max(self._widths.get(name, 0), widest)
        shown = [name for name, _, _ in _CELLS if self._widths[name]]
        order = {name: drop for name, drop, _ in _CELLS}

        def room() -> int:
            return width - taken - sum(self._widths[name] + _GAP for name in shown) - _GAP

        while shown and room() < (0 if len(shown) == 1 else _BAR[0]):
            shown.remove(max(shown, key=lambda name: order[name]))
        return shown, min(_BAR[1], room()) if room() >= _BAR[0] else 0


_STYLES = {"unreadable": "yellow", "status": "dim", "parallel": "cyan", "speed": "magenta"}


def _head(view: RunView, width: int) -> Text:
    progress = view.progress
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(terminal_safe(progress.organization), style="bold")
    if view.title:
        head.append(f"  {view.title}")
    head.append(f"  {format_duration(round(view.elapsed))}" if view.elapsed >= 1 else "")
    if view.finished:
        states = {endpoint.progress.state for endpoint in view.endpoints}
        head.append("  done" if states == {"succeeded"} else f"  {', '.join(sorted(states))}")
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
    """One line per run each interval, for logs and pipes."""

    def __init__(
        self,
        write: Callable[[str], None],
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._write = write
        self._interval = interval
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="progress", daemon=True)

    def _work(self) -> None:
        while not self._end.wait(self._interval):
            self.tick()

    def tick(self) -> None:
        """Write a line for each run that goes on."""
        for view in self.views():
            if not view.finished:
                self._write(f"{iso_utc(time.time())} {line(view)}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


def line(view: RunView) -> str:
    """A run on one line of plain text."""
    title = f" {view.title}" if view.title else ""
    parts = []
    for endpoint in view.endpoints:
        words = [cell(endpoint) for _, _, cell in _CELLS]
        parts.append(" ".join([endpoint.progress.endpoint, *filter(None, words)]))
    if view.progress.waiting:
        parts.append(f"waits for {view.progress.waiting}")
    text = "; ".join(parts)
    return terminal_safe(f"{view.progress.organization}{title}: {text or 'starting'}")


def progress_display(
    *, interval: float = 10.0, stream: TextIO | None = None, quiet: bool = False
) -> Display:
    """The display that fits the stream, which is standard error unless given."""
    target = sys.stderr if stream is None else stream
    if quiet:
        return Display(time.monotonic)
    if output.is_terminal(target) and os.environ.get("TERM") not in {"dumb", "unknown"}:
        return LiveDisplay(Console(file=target, highlight=False, markup=False, emoji=False))
    return LineDisplay(_writer(target), interval)


def _writer(stream: TextIO) -> Callable[[str], None]:
    def write(text: str) -> None:
        try:
            stream.write(text + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass  # a sync goes on although nobody watches it any more

    return write
