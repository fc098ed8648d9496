"""The kinds of values that keys take: figures, durations, sizes, choices and texts."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from syncd.config.keys import Kind, Refused, described, quoted
from syncd.timing import format_duration, parse_duration

_SIZE = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB)", re.ASCII)
_SIZE_BYTES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}


def nearest(word: str, known: Sequence[str]) -> str:
    """``did you mean ...?`` for the known word that ``word`` resembles most, or nothing."""
    close = difflib.get_close_matches(word[:100].lower(), known, n=1)
    return f"did you mean {quoted(close[0])}?" if close else ""


def duration_text(seconds: float) -> str:
    """A duration that :func:`~syncd.timing.parse_duration` reads back as exactly ``seconds``."""
    text = format_duration(seconds)
    return text if text and parse_duration(text) == seconds else f"{seconds!r}s"


def size_text(size: int) -> str:
    """A number of bytes in the largest binary unit that divides it, such as ``64MiB``."""
    unit, factor = next((u, f) for u, f in _SIZE_BYTES.items() if size % f == 0)
    return f"{size // factor}{unit}"


@dataclass(frozen=True, slots=True)
class Bool(Kind[bool]):
    """``true`` or ``false``."""

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return "true or false"

    def read(self, value: object) -> bool:
        """See :class:`Kind`."""
        if isinstance(value, bool):
            return value
        hint = "write it without quotes" if value in ("true", "false") else ""
        raise Refused(described(value), hint)


@dataclass(frozen=True, slots=True)
class Int(Kind[int]):
    """A whole number within bounds, both of them allowed."""

    least: int
    most: int
    unit: str = ""

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return f"a whole number from {self.least} to {self.most}"

    def read(self, value: object) -> int:
        """See :class:`Kind`. A boolean is not a number here."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(described(value), _number_hint(value))
        if not self.least <= value <= self.most:
            raise Refused(described(value))
        return value


@dataclass(frozen=True, slots=True)
class Number(Kind[float]):
    """A number within bounds, both of them allowed."""

    least: float
    most: float
    unit: str = ""

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return f"a number from {self.least:g} to {self.most:g}"

    def read(self, value: object) -> float:
        """See :class:`Kind`. Neither a boolean nor ``nan`` or ``inf`` is a number here."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(described(value), _number_hint(value))
        if not self.least <= value <= self.most:  # which no nan is
            raise Refused(described(value))
        return float(value)

    def show(self, value: float) -> object:
        """See :class:`Kind`."""
        return int(value) if value.is_integer() else value


def _number_hint(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9.]+\s*%?\s*", value):
        return "write it without quotes and unit"
    return "write it without a fraction" if isinstance(value, float) else ""


@dataclass(frozen=True, slots=True)
class Duration(Kind[float]):
    """A time with its unit, such as ``15m``; read as seconds."""

    least: str
    most: str

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return f'a duration from "{self.least}" to "{self.most}", with unit ms, s, m, h or d'

    def read(self, value: object) -> float:
        """See :class:`Kind`."""
        if not isinstance(value, str):
            bare = isinstance(value, int | float) and not isinstance(value, bool)
            hint = f'write a text with a unit, such as "{self.least}"' if bare else ""
            raise Refused(described(value), hint)
        try:
            seconds = parse_duration(value)
        except ValueError:
            raise Refused(described(value), self._unit_hint(value)) from None
        if not parse_duration(self.least) <= seconds <= parse_duration(self.most):
            raise Refused(described(value))
        return seconds

    @staticmethod
    def _unit_hint(value: str) -> str:
        match = re.match(r"\s*(\d{1,12})\s*([a-z]?)", value.lower())
        if match is None:
            return ""
        unit = match[2] if match[2] in tuple("smhd") else "s"
        return f'such as "{match[1]}{unit}"'

    def show(self, value: float) -> object:
        """See :class:`Kind`."""
        return duration_text(value)


@dataclass(frozen=True, slots=True)
class Size(Kind[int]):
    """A number of bytes, bare or with a binary unit, such as ``64MiB``; read as bytes."""

    least: str
    most: str

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return f'a size from "{self.least}" to "{self.most}", with unit B, KiB, MiB or GiB'

    def read(self, value: object) -> int:
        """See :class:`Kind`."""
        if isinstance(value, int) and not isinstance(value, bool):
            size = value
        elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            size = int(match[1]) * _SIZE_BYTES[match[2]]
        else:
            raise Refused(described(value), f'such as "{self.most}"')
        if not self._bytes(self.least) <= size <= self._bytes(self.most):
            raise Refused(described(value))
        return size

    @staticmethod
    def _bytes(text: str) -> int:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise ValueError(f"not a size: {text!r}")
        return int(match[1]) * _SIZE_BYTES[match[2]]

    def show(self, value: int) -> object:
        """See :class:`Kind`."""
        return size_text(value)


@dataclass(frozen=True, slots=True)
class Choice(Kind[str]):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return "one of " + ", ".join(quoted(word) for word in self.words)

    def read(self, value: object) -> str:
        """See :class:`Kind`."""
        if not isinstance(value, str):
            raise Refused(described(value))
        if value not in self.words:
            raise Refused(described(value), nearest(value, self.words))
        return value


@dataclass(frozen=True, slots=True)
class Choices(Kind[tuple[str, ...]]):
    """A list of some of a few words, each at most once; read in the order of the declaration."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return "a list of at least one of " + ", ".join(quoted(word) for word in self.words)

    def read(self, value: object) -> tuple[str, ...]:
        """See :class:`Kind`."""
        if not isinstance(value, list | tuple):
            hint = f"write it as a list: [{described(value)}]" if value in self.words else ""
            raise Refused(described(value), hint)
        if not value:
            raise Refused("an empty list")
        one = Choice(self.words)
        words = [one.read(item) for item in value]
        repeated = next((word for word in words if words.count(word) > 1), None)
        if repeated is not None:
            raise Refused(f"{quoted(repeated)} twice", "each at most once")
        return tuple(word for word in self.words if word in words)

    def show(self, value: tuple[str, ...]) -> object:
        """See :class:`Kind`."""
        return list(value)


@dataclass(frozen=True, slots=True)
class Text(Kind[str]):
    """A text on one line that matches a pattern as a whole."""

    words: str = "a text"
    """What it is, for people."""
    pattern: str = r".+"
    longest: int = 1000

    @property
    def allowed(self) -> str:
        """See :class:`Kind`."""
        return self.words

    def read(self, value: object) -> str:
        """See :class:`Kind`."""
        if not isinstance(value, str):
            raise Refused(described(value))
        if len(value) > self.longest:
            raise Refused(f"a text of {len(value)} characters", f"at most {self.longest}")
        if not value.isprintable():
            raise Refused(described(value), "it holds an invisible or control character")
        if not re.fullmatch(self.pattern, value):
            raise Refused(described(value))
        return value


EMAIL = Text("an e-mail address", r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+", longest=320)
"""An e-mail address, by its shape only."""
