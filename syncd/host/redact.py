"""What a log event may hold: plain values, with everything that looks like a secret replaced."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from syncd.host.secrets import Secret

HIDDEN = "***"

LONGEST_TEXT = 16_384
"""Characters. What is longer is cut off, before anything else looks at it."""

_DEEPEST = 6
_MOST_ITEMS = 100

# Of these words the last one of a name counts: `token`, `access_token`, but not `tokens`, a figure.
_SECRET_LAST = frozenset({"token", "jwt", "cookie", "auth", "apikey", "api_key", "signature"})
# These may stand anywhere in a name.
_SECRET_ANYWHERE = re.compile(
    r"authori[sz]ation|secret|passw(?:or)?d|passphrase|assertion|private_?key|credential"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SECRET_NAMES = (
    r"(?:access|refresh|id|auth|bearer)_?token|client_?secret|client_?assertion|assertion"
    r"|private_?key|passw(?:or)?d|passphrase|api_?key|authorization"
)
_PATTERNS = (
    # A private key in PEM, also cut off, also with its line ends escaped.
    re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
        re.DOTALL,
    ),
    # Access and refresh tokens of Google; any JSON web token.
    re.compile(r"\bya29\.[\w.~+/=-]+"),
    re.compile(r"\b1//0[\w-]{10,}"),
    re.compile(r"\beyJ[\w-]{5,}(?:\.[\w-]*){0,4}"),
)
_BEARER = re.compile(r"\b([Bb]earer|Basic)\s+[\w.~+/=:-]{3,}")
_NAMED = re.compile(
    rf"""((?:{_SECRET_NAMES})\\?["']?\s*[=:]\s*)"""
    r"""(?:\\?"[^"]*"?|\\?'[^']*'?|[^\s"'&,;}\\]+)""",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@]{1,1000}@", re.IGNORECASE)
# Something of every pattern above: most texts have none of it, and an event has many texts.
_SUSPICIOUS = re.compile(
    r"-----BEGIN|ya29\.|1//0|eyJ|bearer|basic|token|secret|assertion|private|passw|passphrase"
    r"|api_?key|authori|@",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is to be hidden whatever it is."""
    return _is_short_secret_name(name) if len(name) <= 64 else _is_secret_name(name)


def _is_secret_name(name: str) -> bool:
    snake = _CAMEL.sub("_", name).lower().replace("-", "_")
    if _SECRET_ANYWHERE.search(snake):
        return True
    return any(snake == word or snake.endswith(f"_{word}") for word in _SECRET_LAST)


_is_short_secret_name = functools.lru_cache(maxsize=1024)(_is_secret_name)


def redact_text(text: str) -> str:
    """``text`` with bearer tokens, keys, passwords and the like replaced by ``***``; bounded."""
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
    if not text.isascii():
        # A lone surrogate cannot be written anywhere.
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if not _SUSPICIOUS.search(text):
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    return _USERINFO.sub(rf"\1{HIDDEN}@", text)


def redact(value: Any, depth: int = 0) -> Any:
    """``value`` as texts, numbers, lists and dicts alone, redacted and bounded. Never raises."""
    if value is None or isinstance(value, bool | int | float):
        return _figure(value)
    if isinstance(value, str):
        # An encoder may know no subclass of str.
        return redact_text(str.__str__(value))
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value[: LONGEST_TEXT + 1]).decode("utf-8", "backslashreplace"))
    if depth >= _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return redact_mapping(value, depth + 1)
    if isinstance(value, list | tuple | set | frozenset):
        return _redact_items(value, len(value), depth + 1)
    return redact_text(_words(value))


def _figure(value: float | None) -> bool | int | float | str | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # More than 64 bits are no number to many readers of JSON.
        bits = value.bit_length()
        return int(value) if bits < 64 else f"an integer of {bits} bits"
    return float(value) if math.isfinite(value) else str(float(value))


def redact_mapping(values: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """The values by name; those with the name of a secret are hidden, unless they are figures."""
    redacted: dict[str, Any] = {}
    for name, value in values.items():
        if len(redacted) == _MOST_ITEMS:
            redacted["..."] = f"{len(values)} in all"
            break
        text = redact_text(name if isinstance(name, str) else _words(name))
        hide = is_secret_name(text) and not isinstance(value, bool | int | float | None)
        redacted[text] = HIDDEN if hide else redact(value, depth)
    return redacted


def _redact_items(values: Iterable[Any], count: int, depth: int) -> list[Any]:
    redacted: list[Any] = []
    for value in values:
        if len(redacted) == _MOST_ITEMS:
            redacted.append(f"... {count} in all")
            break
        redacted.append(redact(value, depth))
    return redacted


def _words(value: object) -> str:
    """What an object says of itself; an exception: its type and message."""
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
        return str(value)
    except Exception:  # somebody else's __str__ must not cost the event
        return f"<{type(value).__name__} without text>"
