"""A population that moves on like a belt: who lives, and what happened to whom, in O(1).

Members are numbered by birth: 0, 1, 2, ... At epoch e exactly the numbers from e*width to
e*width + size - 1 live: each step removes the `width` oldest and adds as many new ones. What is
left of a life (its *age left*, the distance to the front of the belt) shrinks by `width` with
each step; an event is a place on the belt, and whoever passes it has the event. So in each step
the same number of members has each event, no matter how small the population is, and the state
of a member at any epoch needs no history.
"""

from __future__ import annotations

from syncd.demo.chance import Shuffle

TOMBSTONE_STEPS = 20
"""How many steps a deleted member stays visible among the deleted."""


class Conveyor:
    """The members living at one epoch and their order of listing."""

    __slots__ = ("_shuffle", "_universe", "end", "epoch", "size", "start", "width")

    def __init__(self, size: int, epoch: int, seed: int, kind: int) -> None:
        """Build the belt for `size` living members at `epoch` (0 is the first)."""
        self.size = size
        self.epoch = epoch
        self.width = max(1, size // 100)
        self.start = epoch * self.width
        self.end = self.start + size
        # Places of the deleted stay empty for a while: nobody gets a deleted e-mail at once.
        self._universe = size + (TOMBSTONE_STEPS + 5) * self.width
        self._shuffle = Shuffle(self._universe, seed, kind)

    @property
    def places(self) -> int:
        """The number of places in the listing, empty ones included."""
        return self._universe

    def place(self, number: int) -> int:
        """Return the place in the listing of member `number`."""
        return self._shuffle.back(number % self._universe)

    def last_at(self, place: int) -> int:
        """Return the number of the latest member born at `place`; -1 if nobody was yet.

        The member lives if its number is not below `start`.
        """
        first = self._shuffle.forward(place)
        turns = (self.end - 1 - first) // self._universe
        return first + turns * self._universe if turns >= 0 else -1

    def lives(self, number: int) -> bool:
        """Tell whether member `number` lives at this epoch."""
        return self.start <= number < self.end

    def passed(self, number: int, mark: int) -> bool:
        """Tell whether member `number` went past the `mark` on the belt since epoch 0."""
        return number - self.start < mark <= number

    def passed_at(self, number: int, mark: int) -> int:
        """Return the epoch at which member `number` passes `mark`."""
        return (number - mark) // self.width + 1

    def within(self, number: int, low: int, high: int) -> bool:
        """Tell whether member `number` is on the stretch low..high-1 of the belt now."""
        return low <= number - self.start < high

    def mark(self, share: float) -> int:
        """Return the mark at `share` (0..1) of the belt; at least 1, so that it gets passed."""
        return max(1, int(self.size * share))

    def holder(self, residue: int) -> int:
        """Return the one living member whose number is `residue` modulo the size."""
        return self.start + (residue - self.start) % self.size
