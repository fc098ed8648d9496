"""Sets of row keys that cost one bit a key."""

from __future__ import annotations

from collections.abc import Iterable


class KeySet:
    """A set of non-negative integers; 200,000 of them take 25 kB."""

    def __init__(self, keys: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        self._count = 0
        for key in keys:
            self.add(key)

    def add(self, key: int) -> bool:
        """Put a key in; False when it was there already."""
        byte, bit = key >> 3, 1 << (key & 7)
        if byte >= len(self._bits):
            self._bits.extend(bytes(max(64, byte + 1 - len(self._bits))))
        if self._bits[byte] & bit:
            return False
        self._bits[byte] |= bit
        self._count += 1
        return True

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, int):
            return False
        byte = key >> 3
        return byte < len(self._bits) and bool(self._bits[byte] & (1 << (key & 7)))

    def __len__(self) -> int:
        return self._count
