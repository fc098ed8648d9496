from __future__ import annotations

import io
import re
import threading

import pytest
from rich.cells import cell_len
from rich.console import Console

from syncd.cli.meter import RunMeter
from syncd.cli.progress import (
    REFRESHES_PER_SECOND,
    Display,
    LineDisplay,
    LiveDisplay,
    Painter,
    line,
    progress_display,
)
from syncd.cli.render import to_text
from syncd.sync.progress import EndpointProgress, Progress
from tests.cli.runs import going_on, hostile

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class _Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def _console(width: int = 100, stream: io.StringIO | None = None) -> Console:
    return Console(file=stream or io.StringIO(), force_terminal=True, width=width, highlight=False)


def _painted(
    *runs: Progress, width: int, ascii_only: bool = False, painter: Painter | None = None
) -> list[str]:
    views = [RunMeter(run).view(110.0) for run in runs]
    drawn = (painter or Painter()).paint(views, width, ascii_only=ascii_only, now=110.0)
    return [part.rstrip() for part in _CODES.sub("", to_text(drawn, width)).splitlines()]


def test_wide_terminals_show_everything() -> None:
    head, users, tokens, relations = _painted(going_on(), width=120)
    assert head == "acme  run 12, resumed  10s  waits for Retry-After"
    assert re.fullmatch(r"✓ users +━+ +5,000/5,000  100 % +succeeded", users)
    words = r". tokens +━+[╸╺]?━* +1,000/4,000\+ +25 %  2/3 parallel  3 unreadable  reading"
    assert re.fullmatch(words, tokens)
    assert re.fullmatch(r"· relations +waiting", relations)


def test_narrow_terminals_show_what_matters_most() -> None:
    medium, narrow = (_painted(going_on(), width=width) for width in (80, 40))
    assert "2/3 parallel" in medium[2]
    assert "3 unreadable" in medium[2]
    assert "1,000/4,000+" in narrow[2]
    assert "parallel" not in narrow[2]
    assert _painted(going_on(), width=20)[2].endswith("tokens")


@pytest.mark.parametrize("width", range(10, 130, 7))
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for run in (going_on(), hostile()):
        assert all(cell_len(each) <= width for each in _painted(run, width=width))


def test_hostile_texts_are_harmless() -> None:
    lines = _painted(hostile(), width=200)
    assert all(each.isprintable() for each in lines)
    assert line(RunMeter(hostile()).view(1.0)).isprintable()


def test_columns_never_get_narrower_so_that_nothing_jumps() -> None:
    painter, progress = Painter(), going_on()
    tokens = progress.endpoints["tokens"]
    before = _painted(progress, width=120, painter=painter)[2]
    tokens.unreadable, tokens.done = 0, 7
    after = _painted(progress, width=120, painter=painter)[2]
    assert before.index("2/3 parallel") == after.index("2/3 parallel")


def test_terminals_without_unicode_get_ascii() -> None:
    lines = _painted(going_on(), width=100, ascii_only=True)
    assert [each[0] for each in lines[1:]] == ["+", "-", "."]


def test_an_unknown_total_has_a_bar_that_fills_when_done() -> None:
    progress = Progress("acme")
    progress.endpoints["users"] = users = EndpointProgress("users", state="running", done=70)
    assert "━" in _painted(progress, width=60)[1]
    users.state = "succeeded"
    assert _painted(progress, width=60)[0] == "acme  done"
    users.state, users.total, users.done = "failed", 0, 0
    assert _painted(progress, width=60)[0] == "acme  failed"


def test_finished_runs_among_several_take_one_line() -> None:
    done = Progress("beta", run=13)
    done.endpoints["users"] = EndpointProgress("users", state="partial")
    lines = _painted(going_on(), done, width=100)
    assert len(lines) == 5
    assert lines[4] == "beta  run 13  partial"
    assert len(_painted(done, width=100)) == 2


def test_the_live_display_leaves_its_last_state() -> None:
    stream, progress = io.StringIO(), going_on()
    with LiveDisplay(_console(stream=stream), clock=lambda: 110.0) as display:
        display.add(progress)
        progress.endpoints["tokens"].done = 3123
    text = stream.getvalue()
    assert "3,123" in text
    assert text.endswith("\x1b[?25h")
    last = _CODES.sub("", text).splitlines()[-3:]
    assert last[1].startswith("- tokens")


def test_the_live_display_ends_cleanly_with_an_error() -> None:
    stream = io.StringIO()

    def stopped() -> None:
        with LiveDisplay(_console(stream=stream), clock=lambda: 110.0) as display:
            display.add(going_on())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert "3 unreadable" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[?25h")
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(30)
            assert not thread.is_alive()


def test_lines_can_be_printed_above_the_live_display() -> None:
    stream = io.StringIO()
    with LiveDisplay(_console(stream=stream), clock=lambda: 110.0) as display:
        display.print_above("first [red]\nsecond\x1b[2J")
    assert "first [red]" in stream.getvalue()
    assert "second\\x1b[2J" in stream.getvalue()


def test_the_display_refreshes_at_most_eight_times_a_second() -> None:
    assert REFRESHES_PER_SECOND <= 8


def test_one_line_tells_a_run_in_plain_text() -> None:
    assert line(RunMeter(going_on()).view(110.0)) == (
        "acme run 12, resumed: users 5,000/5,000 100 % succeeded; "
        "tokens 1,000/4,000+ 25 % 2/3 parallel 3 unreadable reading; relations waiting; "
        "waits for Retry-After"
    )
    assert line(RunMeter(Progress("acme", dry=True)).view(0.0)) == "acme dry run: starting"


def test_lines_are_written_for_runs_that_go_on() -> None:
    lines: list[str] = []
    display = LineDisplay(lines.append, 3600.0, clock=lambda: 110.0)
    done = Progress("beta")
    done.endpoints["users"] = EndpointProgress("users", state="succeeded")
    with display:
        display.add(going_on())
        display.add(done)
        display.tick()
    assert len(lines) == 1
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ acme run 12, resumed: users", lines[0])


def test_lines_come_by_themselves_each_interval() -> None:
    written = threading.Event()
    display = LineDisplay(lambda _: written.set(), 0.001, clock=lambda: 110.0)
    display.add(going_on())
    with display:
        assert written.wait(30)


def test_the_display_fits_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(progress_display(stream=_Terminal()), LiveDisplay)
    assert isinstance(progress_display(stream=io.StringIO()), LineDisplay)
    assert type(progress_display(quiet=True)) is Display
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress_display(stream=_Terminal()), LineDisplay)


def test_a_quiet_display_says_nothing() -> None:
    with progress_display(quiet=True) as display:
        display.add(going_on())
        assert len(display.views()) == 1


def test_a_sync_goes_on_when_nobody_watches_any_more() -> None:
    stream = io.StringIO()
    display = progress_display(stream=stream, interval=3600.0)
    assert isinstance(display, LineDisplay)
    with display:
        display.add(going_on())
        display.tick()
        assert stream.getvalue().count("\n") == 1
        stream.close()
        display.tick()
