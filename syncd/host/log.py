"""The log: structlog set up so that no secret and no hostile text gets out.

Events go to one stream, one line each, as JSON or as text for people. What libraries log by
:mod:`logging`, warnings, and errors that nobody caught take the same way.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NoReturn, TextIO

import structlog

from syncd.errors import ExitCode
from syncd.host.render import ConsoleRenderer, JsonRenderer, add_exception, redact_event

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LineLogger:
    """Writes lines to a stream, each in one piece; what cannot be written is lost, not raised."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._encoding = getattr(stream, "encoding", None) or "utf-8"
        self._buffer = getattr(stream, "buffer", None)

    def msg(self, line: str) -> None:
        """Write one line."""
        # A full disk or a closed pipe must not end a sync.
        with contextlib.suppress(OSError, ValueError):
            if self._buffer is None:
                self._stream.write(f"{line}\n")
            else:
                self._buffer.write(f"{line}\n".encode(self._encoding, "backslashreplace"))
            self._stream.flush()

    log = debug = info = warning = error = critical = exception = fatal = msg


class LineLoggerFactory:
    """Makes the loggers that structlog wraps."""

    def __init__(self, stream: TextIO) -> None:
        self._logger = LineLogger(stream)

    def __call__(self, *names: object) -> LineLogger:
        """Return the one logger; the name that a module gives is not shown."""
        return self._logger


def configure(level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Set up logging; may be called again, such as after a reload.

    ``level`` is debug, info, warning or error; ``format`` is json, console, or auto: console if
    ``stream`` (standard error unless given) is a terminal. Raises ValueError for other words.
    """
    if level not in _LEVELS or format not in ("auto", "json", "console"):
        raise ValueError(f"no such log level or format: {level!r}, {format!r}")
    target = sys.stderr if stream is None else stream
    terminal = _is_terminal(target)
    renderer: ConsoleRenderer | JsonRenderer = JsonRenderer()
    if format == "console" or (format == "auto" and terminal):
        renderer = ConsoleRenderer(colour=terminal and _colour_wanted(os.environ))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            add_exception,
            redact_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=LineLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    _take_over_stdlib()


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False  # it is closed


def _colour_wanted(environ: Mapping[str, str]) -> bool:
    """See https://no-color.org: set and not empty."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class _Bridge(logging.Handler):
    """Hands records of :mod:`logging` over to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # a library's wrong arguments must not cost the event
            message = str(record.msg)
        level = max(logging.DEBUG, min(logging.CRITICAL, record.levelno // 10 * 10))
        structlog.get_logger().log(
            level, "library_logged", logger=record.name, message=message, exc_info=record.exc_info
        )


def _take_over_stdlib() -> None:
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def install_excepthook() -> None:
    """Log what nobody caught as one event, and exit with 70 (130 after Ctrl-C).

    Errors of threads and of finalizers are logged too, and end nothing. Sets logging up if that
    was not done yet.
    """
    if not structlog.is_configured():
        configure()
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_thread_error
    sys.unraisablehook = _on_unraisable


def _on_uncaught(
    kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> NoReturn:
    if issubclass(kind, KeyboardInterrupt):
        raise SystemExit(ExitCode.INTERRUPTED)
    _log_quietly("program_crashed", error)
    # The interpreter takes the exit code from an exit that a hook asks for.
    raise SystemExit(ExitCode.BUG)


def _on_thread_error(told: threading.ExceptHookArgs) -> None:
    name = told.thread.name if told.thread is not None else ""
    _log_quietly("thread_crashed", told.exc_value, thread=name)


def _on_unraisable(told: Any) -> None:
    where = getattr(told.object, "__qualname__", type(told.object).__name__)
    _log_quietly("error_ignored", told.exc_value, where=where)


def _log_quietly(event: str, error: BaseException | None, **values: object) -> None:
    try:
        structlog.get_logger().error(event, exc_info=error, **values)
    except Exception:  # the last way out: anything but a raw traceback with its values
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"syncd: {event}: {type(error).__name__}\n")
