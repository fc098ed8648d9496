"""Repeatable chance: values drawn by hashing, and permutations that need no table.

Everything the demo directory shows is computed from (seed, index, epoch) when it is asked for,
so a directory of any size takes the same small amount of memory.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from math import gcd

_KEY = struct.Struct("<qqqq")
_WORDS = struct.Struct("<16I")
_SHORTS = struct.Struct("<32H")


def draw(seed: int, kind: int, index: int, extra: int = 0) -> tuple[int, ...]:
    """Return sixteen 32-bit numbers that depend on nothing but the four arguments."""
    return _WORDS.unpack(blake2b(_KEY.pack(seed, kind, index, extra)).digest())


def draw_shorts(seed: int, kind: int, index: int, extra: int = 0) -> tuple[int, ...]:
    """Return thirty-two 16-bit numbers that depend on nothing but the four arguments."""
    return _SHORTS.unpack(blake2b(_KEY.pack(seed, kind, index, extra)).digest())


def tag(seed: int, kind: int, index: int, extra: int = 0) -> str:
    """Return a 32-digit hexadecimal text that depends on nothing but the four arguments."""
    return blake2b(_KEY.pack(seed, kind, index, extra), digest_size=16).hexdigest()


class Shuffle:
    """A permutation of 0..size-1 (multiply, add, modulo) with its inverse."""

    __slots__ = ("_add", "_inverse", "_mul", "size")

    def __init__(self, size: int, seed: int, kind: int) -> None:
        """Choose the permutation; `size` must be at least 1."""
        first, second, *_ = draw(seed, kind, size)
        self.size = size
        self._add = second % size
        # Near the golden section neighbours land far apart, whatever the size is.
        mul = max(1, int(size * 0.618) + first % max(1, size // 16))
        while gcd(mul, size) != 1:
            mul += 1
        self._mul = mul % size if size > 1 else 0
        self._inverse = pow(mul, -1, size) if size > 1 else 0

    def forward(self, index: int) -> int:
        """Return where `index` goes."""
        return (index * self._mul + self._add) % self.size

    def back(self, place: int) -> int:
        """Return the index which goes to `place`."""
        return (place - self._add) * self._inverse % self.size
