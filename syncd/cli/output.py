"""Writing to standard output and standard error: text, JSON, and what happens when nobody reads.

Everything that a command prints goes through here. A reader that went away (``| head``) raises
:class:`OutputClosed`, which ends the command quietly; :func:`say` and :func:`note` never raise it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from syncd.errors import CannotCreate, SyncdError
from syncd.host.text import terminal_safe

_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Characters that JSON may hold as they are, and that a terminal obeys, hides or trips over."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_WORDS = re.compile(r"(?:`[^`]*`|[^ `]|`)+ *")
"""Words with the spaces behind them; what is in backquotes is one word."""


class OutputClosed(Exception):
    """Whoever read standard output has gone."""


@contextlib.contextmanager
def closing() -> Iterator[None]:
    """Turn a broken standard output into :class:`OutputClosed`, a full one into CannotCreate."""
    try:
        yield
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise CannotCreate(f"standard output cannot be written: {error.strerror}") from None


def write(text: str) -> None:
    """Write to standard output as it is."""
    with closing():
        sys.stdout.write(text)


def write_bytes(data: bytes) -> None:
    """Write to standard output past its encoding: for formats that are UTF-8 by definition."""
    with closing():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)


def flush() -> None:
    """Have all that was written reach whoever reads."""
    with closing():
        sys.stdout.flush()


def say(text: str) -> None:
    """Print lines on standard output, for commands whose work counts more than their words.

    On a terminal they are wrapped, unless they are a JSON document.
    """
    with contextlib.suppress(OutputClosed, CannotCreate):
        write((text if text.startswith("{") else wrapped(text)) + "\n")
        flush()


def note(text: str) -> None:
    """Print lines on standard error: what is not the command's result."""
    with contextlib.suppress(OSError):
        sys.stderr.write(wrapped(text, sys.stderr) + "\n")
        sys.stderr.flush()


def complain(error: SyncdError) -> None:
    """Print an error's message on standard error, harmless and without a traceback."""
    first, *more = str(error).split("\n")
    note("\n".join([f"syncd: {terminal_safe(first)}", *(terminal_safe(line) for line in more)]))


def abandon() -> None:
    """After OutputClosed: let Python's own last flush go nowhere instead of complaining."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def tolerate_any_text() -> None:
    """Have characters that the terminal's encoding lacks escaped instead of refused.

    A stream that was closed before we began is one that nobody reads.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  open to the end
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def is_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person looks at it: standard output if no stream is given."""
    with contextlib.suppress(AttributeError, ValueError):
        return (stream or sys.stdout).isatty()
    return False


def width(stream: TextIO | None = None) -> int:
    """Columns of the terminal: that of standard output if no stream is given."""
    columns = shutil.get_terminal_size((0, 0)).columns
    if not columns:
        with contextlib.suppress(OSError, AttributeError, ValueError):
            columns = os.get_terminal_size((stream or sys.stdout).fileno()).columns
    return max(20, columns or 80)


def wrapped(text: str, stream: TextIO | None = None) -> str:
    """Lines as they fit on a terminal, broken between words; elsewhere as they are.

    What stands in backquotes, such as a command, stays together. An indented line goes on
    indented deeper.
    """
    if not is_terminal(stream):
        return text
    columns = width(stream)
    return "\n".join(part for line in text.split("\n") for part in _wrapped_line(line, columns))


def _wrapped_line(line: str, columns: int) -> Iterator[str]:
    from rich.cells import cell_len

    def wide(words: str) -> int:
        return cell_len(_COLOURS.sub("", words))

    if wide(line) <= columns:
        yield line
        return
    begin = line[: len(line) - len(line.lstrip(" "))]
    further, current = f"{begin}  " if begin else "", ""
    for word in _WORDS.findall(line[len(begin) :]):
        # Spaces between words count only where the line goes on.
        if current.strip() and wide(begin + current + word.rstrip(" ")) > columns:
            yield (begin + current).rstrip(" ")
            begin, current = further, ""
        current += word
    yield (begin + current).rstrip(" ")


def json_text(value: Any) -> str:
    """A value as JSON on one line: valid UTF-8, and harmless on a terminal."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE_IN_JSON.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def write_json_lines(values: Iterable[Any]) -> None:
    """Write one JSON document per line."""
    for value in values:
        write_bytes(json_text(value).encode() + b"\n")
    flush()
