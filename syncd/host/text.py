"""Text from elsewhere, made harmless for a terminal and for a spreadsheet."""

from __future__ import annotations

import re

_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

# C0 (but tab and line ends), DEL and C1; bidi marks, embeddings, overrides and isolates; zero-width
# space, invisible operators, byte order mark; line and paragraph separators; tags. The zero-width
# joiners stay: Persian and Hindi names need them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
# A spreadsheet in an East Asian locale takes the full-width forms for the plain ones.
_FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_STARTING_FILLERS = " \u00a0\u200c\u200d\u115f\u1160\u3000\u3164\uffa0"


def terminal_safe(text: str) -> str:
    r"""``text`` on one line, with every invisible character but the space written as an escape.

    Controls and ESC, C1, bidi controls, line separators, zero-width and other format characters,
    lone surrogates: none of them reaches the terminal. ``\n`` stands for a line end, ``\x1b`` for
    ESC, ``\u202e`` for a right-to-left override.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def csv_safe(value: str | float | None) -> str:
    """A CSV field that no spreadsheet takes for a formula, without invisible characters.

    A text that starts with ``= + - @``, a tab or a line end is preceded by ``'``; what counts is
    the first character that is seen. Numbers and booleans are written as they are, ``None`` as
    nothing. Quoting is left to :mod:`csv`.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    text = _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", value))
    if text.startswith(("\t", "\r", "\n")):
        return f"'{text}"
    visible = text.lstrip(_STARTING_FILLERS)
    return f"'{text}" if visible.startswith((*_FORMULA_STARTS, "\t", "\r", "\n")) else text
