from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator

import pytest
import structlog
from rich.cells import cell_len
from rich.console import Console

from syncd.cli.meter import RunMeter, RunView
from syncd.cli.progress import (
    REFRESHES_PER_SECOND,
    Display,
    LineDisplay,
    LiveDisplay,
    Painter,
    progress_display,
)
from syncd.cli.render import to_text
from syncd.cli.report import line, reporter
from syncd.errors import Interrupted
from syncd.host.log import configure
from syncd.sync.progress import EndpointProgress, Progress
from tests.cli.runs import going_on, hostile

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


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
    assert re.fullmatch(r"✓ users +━+ +5,000 of 5,000  100 % +succeeded", users)
    words = r". tokens +━+[╸╺]?━* +1,000 of 4,000 so far +25 %  2/3 parallel  3 unreadable  reading"
    assert re.fullmatch(words, tokens)
    assert re.fullmatch(r"· relations +waiting", relations)


def test_narrow_terminals_show_what_matters_most() -> None:
    medium, narrow = (_painted(going_on(), width=width) for width in (80, 40))
    assert "2/3 parallel" in medium[2]
    assert "3 unreadable" in medium[2]
    assert "1,000 of 4,000 so far" in medium[2]
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


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (Interrupted(), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (RuntimeError(), "failed"),
        (None, "failed"),
    ],
)
def test_what_was_left_before_its_end_has_one_word_for_it(
    error: BaseException | None, word: str
) -> None:
    stream = io.StringIO()
    display = LiveDisplay(_console(stream=stream), clock=lambda: 110.0)
    display.__enter__()
    display.add(going_on())
    display.__exit__(type(error) if error else None, error, None)
    head, users, tokens, relations = _CODES.sub("", stream.getvalue()).splitlines()[-4:]
    assert head.rstrip().endswith(f"acme  run 12, resumed  10s  {word}")
    assert (users.split()[-1], tokens.split()[-1]) == ("succeeded", "stopped")
    assert relations.split()[-1] == "waiting"


@pytest.mark.parametrize(
    ("states", "word"),
    [
        ("succeeded succeeded", "done"),
        ("succeeded partial", "partial"),
        ("succeeded failed", "partial"),
        ("failed failed", "failed"),
        ("interrupted succeeded", "stopped"),
    ],
)
def test_a_run_that_has_ended_has_one_word_for_it(states: str, word: str) -> None:
    progress = Progress("acme")
    for number, state in enumerate(states.split()):
        progress.endpoints[str(number)] = EndpointProgress(str(number), state=state)
    assert _painted(progress, width=80)[0] == f"acme  {word}"


def test_what_an_earlier_process_finished_is_shown_with_its_figures() -> None:
    progress = Progress("acme", run=3, resumed=True)
    progress.counts = {"user": {"read": 5000}, "group": {"read": 25}, "token": {"read": 9}}
    progress.endpoints = {
        "users": EndpointProgress("users", state="succeeded"),
        "tokens": EndpointProgress("tokens", state="running", done=7, total=5000),
        "relations": EndpointProgress("relations", state="partial", done=24),
    }
    _, users, tokens, relations = _painted(progress, width=100)
    assert re.fullmatch(r"✓ users +━+ +5,000 +succeeded earlier", users)
    assert "7 of 5,000 so far" in tokens
    assert re.fullmatch(r"! relations +━+ +24 +partial earlier", relations)
    progress.resumed = False
    assert "earlier" not in line(RunMeter(progress).view(1.0))


def test_the_last_state_uses_the_room_that_moving_figures_took() -> None:
    stream, progress = io.StringIO(), going_on()
    with LiveDisplay(_console(80, stream), clock=lambda: 110.0) as display:
        display.add(progress)
        display._paint()  # noqa: SLF001 (a frame while it goes on)
        for each in progress.endpoints.values():
            each.state, each.done, each.total, each.unreadable = "succeeded", 7, 7, 0
    last = _CODES.sub("", stream.getvalue()).splitlines()[-4:]
    assert last[0].rstrip().endswith("done")
    assert all(each.rstrip().endswith("succeeded") for each in last[1:])


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


def test_lines_above_are_wrapped_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    stream = _Terminal()
    with LiveDisplay(_console(20, stream), clock=lambda: 110.0) as display:
        display.print_above("one two three four five")
    lines = _CODES.sub("", stream.getvalue()).replace("\r", "").splitlines()
    assert lines[:2] == ["one two three four", "five"]


def test_what_the_terminal_echoes_has_room_behind_every_line() -> None:
    stream = io.StringIO()
    with LiveDisplay(_console(60, stream), clock=lambda: 110.0) as display:
        display.add(going_on())
        display._live.refresh()  # noqa: SLF001 (a frame while it goes on)
        shown = _CODES.sub("", stream.getvalue()).replace("\r", "\n").split("\n")
    assert max(cell_len(each.rstrip()) for each in shown) <= 58
    assert max(cell_len(each) for each in shown) <= 58


def test_the_display_refreshes_at_most_eight_times_a_second() -> None:
    assert REFRESHES_PER_SECOND <= 8


def test_one_line_tells_a_run_in_plain_text() -> None:
    assert line(RunMeter(going_on()).view(110.0)) == (
        "acme run 12, resumed: users 5,000 of 5,000 100 % succeeded; "
        "tokens 1,000 of 4,000 so far 25 % 2/3 parallel 3 unreadable reading; relations waiting; "
        "waits for Retry-After"
    )
    assert line(RunMeter(Progress("acme", dry=True)).view(0.0)) == "acme dry run: starting"


def test_runs_that_go_on_are_reported() -> None:
    reported: list[RunView] = []
    display = LineDisplay(reported.append, 3600.0, clock=lambda: 110.0)
    done = Progress("beta")
    done.endpoints["users"] = EndpointProgress("users", state="succeeded")
    with display:
        display.add(going_on())
        display.add(done)
        display.tick()
    assert [view.progress.organization for view in reported] == ["acme"]


def _reported(format: str | None, level: str = "info") -> str:
    stream = io.StringIO()
    if format:
        configure(level, format, stream)
    reporter(stream)(RunMeter(going_on()).view(110.0))
    return stream.getvalue()


def test_progress_is_an_event_of_a_json_log() -> None:
    (text,) = _reported("json").splitlines()
    event = json.loads(text)
    assert (event["event"], event["level"]) == ("progress_reported", "info")
    assert (event["organization"], event["run"], event["resumed"]) == ("acme", 12, True)
    assert (event["seconds"], event["waiting_for"]) == (10.0, "Retry-After")
    assert [each["endpoint"] for each in event["endpoints"]] == ["users", "tokens", "relations"]
    assert event["endpoints"][1] == {
        "endpoint": "tokens", "state": "running", "phase": "reading", "done": 1000, "total": 4000,
        "total_final": False, "rows": 9000, "rows_per_second": None, "seconds_left": None,
        "in_flight": 2, "limit": 3, "unreadable": 3, "reason": "",
    }  # fmt: skip


@pytest.mark.parametrize("format", ["console", None])
def test_progress_is_words_where_the_log_is_for_people(format: str | None) -> None:
    text = _reported(format)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ acme run 12, resumed: users", text)
    assert text.count("\n") == 1


@pytest.mark.parametrize("format", ["json", "console"])
def test_progress_is_no_warning(format: str) -> None:
    assert _reported(format, "warning") == ""


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
