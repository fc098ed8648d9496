"""Partial responses: the `fields` parameter of Google's APIs.

The syntax: names separated by commas, `a/b` for a field inside a field, `a(b,c)` for several
of them, `*` for everything.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

Mask: TypeAlias = "dict[str, Mask | None]"
"""Field name -> mask of what is inside it; None keeps all of it."""

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[*(),/]")
_DEEPEST = 8


class MaskError(ValueError):
    """The text of a `fields` parameter is not a valid selection."""


def parse(text: str) -> Mask:
    """Return the mask that `text` describes; raise MaskError if it describes none."""
    parts: list[str] = _PART.findall(text)
    if not parts or "".join(parts) != text:
        raise MaskError(text)
    mask, rest = _selection(text, parts, 0, 0)
    if rest != len(parts):
        raise MaskError(text)
    return mask


def _selection(text: str, parts: list[str], at: int, depth: int) -> tuple[Mask, int]:
    """Parse `a,b/c,d(e,f)` from part `at` on; return the mask and where it ends."""
    mask: Mask = {}
    while True:
        at = _path(text, parts, at, mask, depth)
        if at == len(parts) or parts[at] != ",":
            return mask, at
        at += 1


def _path(text: str, parts: list[str], at: int, mask: Mask, depth: int) -> int:
    """Parse one `a/b(c)` into `mask`; return where it ends."""
    if depth > _DEEPEST or at >= len(parts) or parts[at] in "(),/":
        raise MaskError(text)
    name = parts[at]
    after = parts[at + 1] if at + 1 < len(parts) else ""
    if after not in ("/", "("):
        mask[name] = None
        return at + 1
    inner: Mask = {}
    if after == "/":
        end = _path(text, parts, at + 2, inner, depth + 1)
    else:
        inner, end = _selection(text, parts, at + 2, depth + 1)
        if end >= len(parts) or parts[end] != ")":
            raise MaskError(text)
        end += 1
    _merge(mask, name, inner)
    return end


def _merge(mask: Mask, name: str, inner: Mask) -> None:
    if name not in mask:
        mask[name] = inner
        return
    known = mask[name]
    if known is not None:
        known.update(inner)


def check(mask: Mask, known: dict[str, Any]) -> None:
    """Raise MaskError with the first name which does not exist in the `known` tree."""
    for name, inner in mask.items():
        if name == "*":
            continue
        if name not in known:
            raise MaskError(name)
        below = known[name]
        if inner is not None and below is not None:
            check(inner, below)


def apply(mask: Mask, value: Any) -> Any:
    """Return `value` (objects and lists of objects) with only what `mask` keeps."""
    if isinstance(value, list):
        return [apply(mask, item) for item in value]
    if not isinstance(value, dict):
        return value
    every = mask.get("*", value) is None
    kept = {}
    for key, item in value.items():
        if key in mask:
            inner = mask[key]
            kept[key] = item if inner is None else apply(inner, item)
        elif every:
            kept[key] = item
    return kept
