"""A log event as one line: for people, and for programs."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import msgspec

from syncd.host.redact import redact_mapping, redact_text
from syncd.host.text import terminal_safe

Event = MutableMapping[str, Any]
"""What structlog hands from one processor to the next."""

_MOST_FRAMES = 50
_LEVEL_WIDTH = 7
_COLOURS = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}
_BOLD, _FAINT, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_BARE = re.compile(r"""[^\s"'=\\]+""")

_encoder = msgspec.json.Encoder()


def traceback_text(error: BaseException) -> str:
    """The traceback of an exception, redacted: no local variables, the 50 innermost frames."""
    told = traceback.TracebackException.from_exception(
        error, limit=-_MOST_FRAMES, capture_locals=False
    )
    return redact_text("".join(told.format())).rstrip("\n")


def add_exception(_logger: object, _method: str, event: Event) -> Event:
    """Turn ``exc_info`` into the text ``exception``; a processor of structlog."""
    told = event.pop("exc_info", None)
    error = told[1] if isinstance(told, tuple) and len(told) == 3 else told
    if error is True:
        error = sys.exception()
    if isinstance(error, BaseException):
        event["exception"] = traceback_text(error)
    return event


def redact_event(_logger: object, _method: str, event: Event) -> Event:
    """Hide every secret in an event, and make its values plain; a processor of structlog."""
    return redact_mapping(event)


class JsonRenderer:
    """One JSON object on one line; the time, level and event's name come first.

    Invisible and control characters are written as JSON escapes, so that a log that is looked at
    in a terminal is harmless, while a program reads the very same text.
    """

    def __call__(self, logger: object, method: str, event: Event) -> str:
        """Render an event that :func:`redact_event` made plain."""
        first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
        text = _encoder.encode(first | dict(event)).decode("utf-8")
        if text.isprintable():
            return text
        return "".join(char if char.isprintable() else _json_escape(char) for char in text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class ConsoleRenderer:
    """One line for people, and a traceback below it, indented.

    Every name and value is made safe for a terminal: a provider's text can neither colour nor move
    nor hide anything, nor start a line of its own.
    """

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, logger: object, method: str, event: Event) -> str:
        """Render an event that :func:`redact_event` made plain."""
        when = terminal_safe(str(event.pop("timestamp", "")))
        level = terminal_safe(str(event.pop("level", method)))
        name = terminal_safe(str(event.pop("event", "")))
        exception = event.pop("exception", None)
        parts = [
            self._painted(_FAINT, when),
            self._painted(_COLOURS.get(level, ""), level.ljust(_LEVEL_WIDTH)),
            self._painted(_BOLD, name),
            *(f"{self._painted(_FAINT, _shown(key) + '=')}{_shown(event[key])}" for key in event),
        ]
        lines = [" ".join(parts)]
        if exception is not None:
            lines += (f"    {terminal_safe(line)}" for line in str(exception).split("\n"))
        return "\n".join(lines)

    def _painted(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colour and colour else text


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return str(round(value, 3))
    if isinstance(value, str):
        text = terminal_safe(value)
        return text if _BARE.fullmatch(text) else '"' + text.replace('"', '\\"') + '"'
    return terminal_safe(_encoder.encode(value).decode("utf-8"))
