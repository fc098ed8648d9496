"""Log lines as they come out, on streams and from real processes."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from syncd.host.log import configure, install_excepthook
from syncd.host.render import ConsoleRenderer, JsonRenderer, add_exception
from tests.host.test_text import FORBIDDEN

HOSTILE = "\x1b[2J\u202egpj\u2028\x9b\r\nlevel=error"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put back what logging replaces in the process."""
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root = logging.getLogger()
    for handler in [each for each in root.handlers if each.__module__ == "syncd.host.log"]:
        root.removeHandler(handler)


def logged(format: str, level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure(level, format, stream)
    return stream


def json_events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_starts_with_time_level_and_event() -> None:
    stream = logged("json")
    structlog.get_logger("x").info("run_finished", users=5, share=0.5, names=["a"], run=None)
    line = stream.getvalue()
    assert line.endswith("\n")
    event = json.loads(line)
    assert list(event) == ["timestamp", "level", "event", "users", "share", "names", "run"]
    assert event["timestamp"].endswith("Z")
    assert (event["level"], event["event"], event["names"]) == ("info", "run_finished", ["a"])


def test_a_console_line_is_for_people() -> None:
    stream = logged("console")
    structlog.get_logger().warning(
        "held", a="x", b="two words", c="", d=0.123456, e=[1, "é"], f='"'
    )
    when, _, rest = stream.getvalue().partition(" ")
    assert when.endswith("Z")
    assert rest == 'warning held a=x b="two words" c="" d=0.123 e=[1,"é"] f="\\""\n'


def test_levels_below_are_left_out_and_a_reload_changes_that() -> None:
    stream = logged("json", "warning")
    log = structlog.get_logger()
    log.info("quiet")
    log.warning("loud")
    configure("debug", "json", stream)
    log.debug("whisper")
    assert [event["event"] for event in json_events(stream)] == ["loud", "whisper"]


def test_words_that_are_no_level_or_format_are_refused() -> None:
    for level, format in (("loud", "auto"), ("info", "xml")):
        with pytest.raises(ValueError, match="no such log level or format"):
            configure(level, format)


def test_context_is_in_every_line() -> None:
    stream = logged("json")
    with structlog.contextvars.bound_contextvars(organization="acme"):
        structlog.get_logger().info("run_started")
    assert json_events(stream)[0]["organization"] == "acme"


@pytest.mark.parametrize("format", ["json", "console"])
def test_hostile_text_stays_on_its_line_and_does_nothing(format: str) -> None:
    stream = logged(format)
    structlog.get_logger().info(HOSTILE, name=HOSTILE, nested={HOSTILE: [HOSTILE]}, **{HOSTILE: 1})
    line = stream.getvalue().removesuffix("\n")
    assert not FORBIDDEN & set(line)
    assert line.isprintable()
    if format == "json":
        event = json.loads(line)
        assert event["event"] == HOSTILE
        assert event["nested"] == {HOSTILE: [HOSTILE]}


@given(st.dictionaries(st.text(max_size=5), st.text(st.characters(exclude_categories=()))))
def test_a_program_reads_the_very_text_that_was_logged(values: dict[str, str]) -> None:
    plain = {k: v.encode("utf-8", "replace").decode() for k, v in values.items()}
    line = JsonRenderer()(None, "info", dict(plain))
    assert line.isprintable()
    assert json.loads(line) == plain
    assert ConsoleRenderer(colour=False)(None, "info", dict(plain)).isprintable()


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_has_no_values_and_no_secrets(format: str) -> None:
    stream = logged(format)

    def refuse() -> None:
        local = "local" + "-value"
        raise ValueError(f"Bearer abcdef\nmore \x1b[31m {len(local)}")

    try:
        refuse()
    except ValueError as error:
        structlog.get_logger().exception("failed")
        structlog.get_logger().error("failed", exc_info=error)
    text = stream.getvalue()
    assert text.count("in refuse") == 2
    assert "local-value" not in text
    assert "abcdef" not in text
    assert "\x1b" not in text
    if format == "json":
        assert json_events(stream)[0]["exception"].endswith(
            "ValueError: Bearer ***\nmore \x1b[31m 11"
        )
    else:
        lines = text.splitlines()
        assert [line for line in lines if not line.startswith("    ")] == [lines[0], lines[-8]]
        assert "    ValueError: Bearer ***" in lines


def test_an_exception_outside_of_a_handler_is_no_event_of_its_own() -> None:
    assert add_exception(None, "error", {"exc_info": True}) == {}
    assert add_exception(None, "error", {"exc_info": None}) == {}


def test_what_libraries_log_takes_the_same_way() -> None:
    stream = logged("json")
    logging.getLogger("asyncio").error("failed with Bearer %s", "hunter2")
    logging.getLogger("httpx").info("GET ...")
    odd = logging.LogRecord("odd", logging.WARNING, "x.py", 1, "two %s %s", ("one",), None)
    logging.getLogger().handlers[-1].handle(odd)
    configure("info", "json", stream)
    try:
        raise ValueError("password=hunter2")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    first, second, last = json_events(stream)
    assert (first["event"], first["logger"]) == ("library_logged", "asyncio")
    assert (first["level"], first["message"]) == ("error", "failed with Bearer ***")
    assert second["message"] == "two %s %s"
    assert last["exception"].endswith("ValueError: password=***")


def test_warnings_are_events() -> None:
    stream = logged("json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in json_events(stream)[0]["message"]


def test_a_stream_that_cannot_be_written_to_ends_nothing(tmp_path: Path) -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115  closing it fails, too
    configure("info", "auto", full)
    structlog.get_logger().info("lost")
    with pytest.raises(OSError, match="No space left"):
        full.close()
    configure("info", "auto", full)
    structlog.get_logger().info("lost too")
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as narrow:
        configure("info", "console", narrow)
        structlog.get_logger().info("kept", name="é")
    assert path.read_text().endswith("name=\\xe9\n")


def run_python(code: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        env={**os.environ, **environ},
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=30,
    )


CRASH = """
import sys, threading
from syncd.host.log import configure, install_excepthook
install_excepthook()
if sys.argv[1:]:
    configure("info", sys.argv[1])
def refuse(key):
    raise RuntimeError(f"Bearer {key}")
class Late:
    def __del__(self):
        refuse("in-a-finalizer")
thread = threading.Thread(target=refuse, args=["in-a-" + "thread"], name="worker")
thread.start(); thread.join()
late = Late(); del late
secret = "hunter" + "2"
refuse(secret)
"""


def test_an_uncaught_error_is_one_event_and_exit_code_70() -> None:
    done = run_python(CRASH, "json")
    assert done.returncode == 70
    assert b"hunter2" not in done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [event["event"] for event in events] == [
        "thread_crashed",
        "error_ignored",
        "program_crashed",
    ]
    assert events[0]["thread"] == "worker"
    assert events[1]["where"] == "Late.__del__"
    assert {event["level"] for event in events} == {"error"}
    assert events[2]["exception"].endswith("RuntimeError: Bearer ***")
    assert "in refuse" in events[2]["exception"]


def test_an_uncaught_error_on_a_console_is_readable() -> None:
    done = run_python(CRASH, "console")
    assert done.returncode == 70
    assert done.stderr.endswith(b"\n    RuntimeError: Bearer ***\n")
    assert b"hunter2" not in done.stderr


def test_an_uncaught_error_needs_no_logging_set_up() -> None:
    done = run_python(CRASH)
    assert done.returncode == 70
    assert json.loads(done.stderr.splitlines()[-1])["event"] == "program_crashed"


def test_ctrl_c_is_no_crash() -> None:
    code = "from syncd.host.log import *; install_excepthook(); raise KeyboardInterrupt"
    done = run_python(code)
    assert (done.returncode, done.stderr) == (130, b"")


def test_a_log_that_fails_while_crashing_shows_no_values() -> None:
    code = """
import structlog
from syncd.host.log import *
install_excepthook()
structlog.configure(processors=[lambda *_: 1 / 0])
raise ValueError("hunter" + "2")
"""
    done = run_python(code)
    assert (done.returncode, done.stderr) == (70, b"syncd: program_crashed: ValueError\n")


def test_hooks_are_installed_over_a_logging_that_is_set_up() -> None:
    stream = logged("json")
    install_excepthook()
    with pytest.raises(SystemExit) as caught:
        sys.excepthook(ValueError, ValueError("x"), None)
    assert caught.value.code == 70
    threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError("y"), None, None)))
    assert [event["event"] for event in json_events(stream)] == [
        "program_crashed",
        "thread_crashed",
    ]


LINE = """
import structlog
from syncd.host.log import configure
configure()
structlog.get_logger().info("hello", a=1)
"""


def on_a_terminal(**environ: str) -> bytes:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        done = subprocess.run(
            [sys.executable, "-c", LINE],
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", **environ},
            cwd=Path(__file__).parents[2],
            check=True,
            timeout=30,
        )
        os.close(theirs)
        assert done.returncode == 0
        return terminal.read(10_000)


def test_auto_is_json_elsewhere_and_coloured_text_on_a_terminal() -> None:
    assert json.loads(run_python(LINE).stderr)["event"] == "hello"
    assert b"\x1b[1mhello\x1b[0m" in on_a_terminal(NO_COLOR="")
    for environ in ({"NO_COLOR": "1"}, {"TERM": "dumb", "NO_COLOR": ""}):
        line = on_a_terminal(**environ)
        assert b"\x1b" not in line
        assert b"info    hello a=1" in line
