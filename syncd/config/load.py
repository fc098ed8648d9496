"""A configuration file, read: the values, or every problem in it at once."""

from __future__ import annotations

import codecs
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from syncd.config.lines import find_lines
from syncd.config.read import Reader
from syncd.config.schema import Config, ProviderSchema
from syncd.errors import ConfigError, Problem

LARGEST_FILE = 1 << 20
"""Bytes. The largest file that is read."""

MOST_PROBLEMS = 1000
"""More of them are only counted: a wrong file must not flood the log."""

_HELP = "`syncd init PROVIDER` writes one to start from, `syncd config default` shows every key"
# Reading a dotted key takes tomllib a time that grows with the square of its length.
_LONG_KEY = re.compile(r"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){100}""")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def load(
    path: Path, providers: Mapping[str, ProviderSchema], *, require_organization: bool = False
) -> Config:
    """The configuration in the file at ``path``.

    ``providers`` are the providers that an organization may name. With ``require_organization`` a
    file without an enabled organization is refused. A relative database path counts from the
    file's directory. Raises :class:`~syncd.errors.ConfigError` with every problem found.
    """
    source = str(path)
    text = _decode(source, _read(source, path))
    base = path.absolute().parent
    return loads(
        text, providers, source=source, base=base, require_organization=require_organization
    )


def loads(
    text: str,
    providers: Mapping[str, ProviderSchema],
    *,
    source: str = "configuration",
    base: Path | None = None,
    require_organization: bool = False,
) -> Config:
    """Like :func:`load`, of a text; a relative database path counts from ``base``, if given."""
    if match := _LONG_KEY.search(text):
        line = text.count("\n", 0, match.start()) + 1
        raise _single(source, line, "a key of more than 100 parts")
    try:
        document = _parse(source, text)
        reader = Reader(find_lines(text), providers, base or Path.cwd())
    except RecursionError:
        raise _single(source, None, "lists or tables nested too deeply") from None
    config = reader.config(document, require_organization=require_organization)
    if reader.problems:
        raise ConfigError(source, _in_order(reader.problems))
    return config


def _in_order(problems: list[Problem]) -> list[Problem]:
    """Those of the file as a whole first, the others in the order of the file."""
    ordered = sorted(problems, key=lambda problem: problem.line or 0)
    more = len(ordered) - MOST_PROBLEMS
    if more > 0:
        ordered[MOST_PROBLEMS:] = [Problem("", None, f"{more} more problems", "")]
    return ordered


def _single(
    source: str, line: int | None, found: str, allowed: str = "", hint: str = ""
) -> ConfigError:
    return ConfigError(source, [Problem("", line, found, allowed, hint)])


def _read(source: str, path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise _single(source, None, "no such file", hint=_HELP) from None
    except IsADirectoryError:
        hint = f"name the file in it, such as {Path(source) / 'config.toml'}"
        raise _single(source, None, "a directory", "a file", hint) from None
    except PermissionError:
        hint = "run as root or as a member of the file's group"
        raise _single(source, None, "no permission to read it", hint=hint) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise _single(source, None, f"cannot be read: {reason}", hint=_HELP) from None
    if len(data) > LARGEST_FILE:
        raise _single(source, None, "more than 1 MiB", "a file of up to 1 MiB")
    return data


def _decode(source: str, data: bytes) -> str:
    hint = "save it as UTF-8 without a byte order mark"
    if data.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        found = "a byte order mark at the start"
        raise _single(source, 1, found, "UTF-8 without one", hint)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        found = f"a byte that is not UTF-8 (0x{data[error.start]:02x}, byte {column} of the line)"
        raise _single(source, line, found, "UTF-8 text", hint) from None


def _parse(source: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        column = f" (column {place[2]})" if place and place[2] else " (at the end of the file)"
        found = _PLACE.sub("", message) + column
        raise _single(source, line, found, "TOML", _syntax_hint(message)) from None
    except ValueError:
        # Python refuses to read integers of thousands of digits.
        raise _single(source, None, "a number that is too long") from None


def _syntax_hint(message: str) -> str:
    if message.startswith("Cannot overwrite a value"):
        return "this key is given twice"
    if message.startswith("Cannot declare"):
        return "this table is given twice"
    return "a text stands in quotes" if message.startswith("Invalid value") else ""
