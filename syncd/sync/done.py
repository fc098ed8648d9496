"""What of a queue is done: a watermark in order, and the few places ahead of it."""

from __future__ import annotations

import bisect
import json


class DoneSet:
    """A set of places (integers from 0) that grows to one range, kept as few ranges.

    While requests overtake each other there is one range more for each place left behind, so its
    size follows the requests in flight, not the size of the queue.
    """

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # one past the last place of each range

    @classmethod
    def from_json(cls, text: str) -> DoneSet:
        """What :meth:`to_json` wrote; an empty text is an empty set."""
        done = cls()
        for start, end in json.loads(text or "[]"):
            done._starts.append(int(start))
            done._ends.append(int(end))
        return done

    def to_json(self) -> str:
        """The ranges as JSON: ``[[start, end], ...]``, ``end`` not included."""
        ranges = zip(self._starts, self._ends, strict=True)
        return json.dumps([list(pair) for pair in ranges], separators=(",", ":"))

    def add(self, place: int) -> None:
        """Mark a place as done."""
        at = bisect.bisect_right(self._starts, place)
        if at and place < self._ends[at - 1]:
            return
        joins_left = at > 0 and self._ends[at - 1] == place
        joins_right = at < len(self._starts) and self._starts[at] == place + 1
        if joins_left and joins_right:
            self._ends[at - 1] = self._ends[at]
            del self._starts[at], self._ends[at]
        elif joins_left:
            self._ends[at - 1] += 1
        elif joins_right:
            self._starts[at] -= 1
        else:
            self._starts.insert(at, place)
            self._ends.insert(at, place + 1)

    def __contains__(self, place: int) -> bool:
        at = bisect.bisect_right(self._starts, place)
        return at > 0 and place < self._ends[at - 1]

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._starts)

    @property
    def watermark(self) -> int:
        """All places below this one are done."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0
