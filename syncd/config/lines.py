"""On which line each key of a TOML document stands, which :mod:`tomllib` does not tell.

The scanner is for documents that :mod:`tomllib` accepts; it understands just enough of TOML to
tell keys from values, and checks nothing.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]

DEEPEST = 8
"""Longer key paths get the line of their beginning: a bound on memory, not on documents."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_FILLER = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_PLAIN = re.compile(r"[^,\]}\n#]*")
_TO_LINE_END = re.compile(r"[^\n]*")
# Strings, longest opening first. A multi-line one may end with up to two quotes of its own.
_STRINGS = (
    ('"""', re.compile(r'"""(?:[^"\\]++|\\[\s\S]|"{1,2}(?!"))*+"{3,5}')),
    ("'''", re.compile(r"'''(?:[^']++|'{1,2}(?!'))*+'{3,5}")),
    ('"', re.compile(r'"(?:[^"\\\n]++|\\.)*+"')),
    ("'", re.compile(r"'[^'\n]*'")),
)
_ESCAPE = re.compile(r'\\(["\\bfnrte]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})')
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "e": "\x1b"}


def find_lines(text: str) -> dict[KeyPath, int]:
    """Where each key, table and list item of a valid document is first named, from line 1.

    A path is made of keys and, in arrays, of indexes: ``("organization", 0, "name")``.
    """
    return _Scanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """The line of ``path``, or of the nearest thing around it that stands in the file."""
    return next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), None)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_at = 0
        self._lines: dict[KeyPath, int] = {}
        self._tables: dict[KeyPath, int] = {}
        """How many ``[[tables]]`` each array of tables has so far."""

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while True:
            self._skip(_FILLER)
            if self._at >= len(self._text):
                return self._lines
            if self._text[self._at] == "[":
                table = self._header()
                self._skip(_TO_LINE_END)
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else len(self._text)

    def _note(self, path: KeyPath) -> None:
        if len(path) <= DEEPEST and path not in self._lines:
            self._line += self._text.count("\n", self._line_at, self._at)
            self._line_at = self._at
            self._lines[path] = self._line

    def _header(self) -> KeyPath:
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        *parents, last = self._key()[: DEEPEST + 1]
        path: KeyPath = ()
        for part in parents:
            path = self._inside((*path, part))
        path = (*path, last)
        if array:
            self._note(path)
            self._tables[path] = self._tables.get(path, 0) + 1
        path = self._inside(path)
        self._note(path)
        return path

    def _inside(self, path: KeyPath) -> KeyPath:
        """The table that a header's key names: in an array of tables, its latest one."""
        self._note(path)
        count = self._tables.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        path = table
        for part in self._key():
            # A path that is too deep is never looked at again: it need not grow.
            path = (*path, part) if len(path) <= DEEPEST else path
            self._note(path)
        self._at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            parts.append(self._key_part())
            self._skip(_SPACE)
            if self._text[self._at : self._at + 1] != ".":
                return parts
            self._at += 1

    def _key_part(self) -> str:
        start, quote = self._at, self._text[self._at : self._at + 1]
        if quote == '"':
            self._skip(_STRINGS[2][1])
            return _ESCAPE.sub(_unescape, self._text[start + 1 : self._at - 1])
        if quote == "'":
            self._skip(_STRINGS[3][1])
            return self._text[start + 1 : self._at - 1]
        self._skip(_BARE)
        return self._text[start : self._at]

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        if self._text.startswith("[", self._at):
            self._list(path)
        elif self._text.startswith("{", self._at):
            self._inline_table(path)
        else:
            self._scalar()

    def _scalar(self) -> None:
        for opening, pattern in _STRINGS:
            if self._text.startswith(opening, self._at):
                return self._skip(pattern)
        return self._skip(_PLAIN)

    def _list(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closed("]"):
            item = (*path, index) if len(path) <= DEEPEST else path
            self._note(item)
            self._value(item)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Skip what may stand between two items; whether the end of the list was there."""
        while True:
            self._skip(_FILLER)
            found = self._text[self._at : self._at + 1]
            if found != ",":
                break
            self._at += 1
        if found in (bracket, ""):
            self._at += 1
            return True
        return False


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "xuU":
        return chr(int(code[1:], 16))
    return _SHORT.get(code, code)
