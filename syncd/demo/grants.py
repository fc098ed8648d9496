"""The demo organization's OAuth tokens: which application each user let in, and to what."""

from __future__ import annotations

from typing import NamedTuple

from syncd.demo.apps import App, Catalogue
from syncd.demo.chance import draw_shorts
from syncd.demo.people import People

_PICKS = 30


class Grant(NamedTuple):
    """One user's token for one application."""

    app_index: int
    app: App
    scopes: tuple[str, ...]


class Grants:
    """The tokens of all users at one epoch."""

    def __init__(self, people: People, catalogue: Catalogue, mean: float) -> None:
        """Prepare `mean` tokens a user on average."""
        self._people = people
        self._apps = catalogue
        self._mean = mean
        belt = people.belt
        self._newcomers = belt.size - max(1, belt.size // 25)
        self._widened = belt.mark(0.8)
        self._added = belt.mark(0.75)
        self._revoked = belt.mark(0.7)

    def of(self, number: int, life: int) -> list[Grant]:
        """Return the tokens of user `number`; users who have just come have none yet."""
        belt = self._people.belt
        if self._mean <= 0 or (number >= 0 and number - belt.start >= self._newcomers > 1):
            return []
        if number < 0 or life:
            return self._base(number, life, extra=False)
        grants = self._base(number, life, extra=belt.passed(number, self._added))
        if belt.passed(number, self._widened):
            first = grants[0]
            grants[0] = Grant(first.app_index, first.app, first.app.wide)
        if belt.passed(number, self._revoked) and len(grants) > 1:
            del grants[1]
        return grants

    def _base(self, number: int, life: int, *, extra: bool) -> list[Grant]:
        shorts = draw_shorts(self._people.seed, 20, number, life)
        total = len(self._apps)
        # Uniform from a quarter to seven quarters of the mean, two at least.
        count = max(2, int(self._mean * (0.25 + 1.5 * shorts[30] / 65536) + 0.5)) + extra
        chosen: dict[int, int] = {}
        for turn in range(min(count, total)):
            if turn and turn % _PICKS == 0:
                shorts = draw_shorts(self._people.seed, 21, number, turn + life)
            short = shorts[turn % _PICKS]
            index = self._apps.wheel[short % len(self._apps.wheel)]
            while index in chosen:
                index = (index + 7) % total if total % 7 else (index + 1) % total
            chosen[index] = short
        return [self._grant(index, short) for index, short in chosen.items()]

    def _grant(self, index: int, short: int) -> Grant:
        app = self._apps.apps[index]
        return Grant(index, app, app.narrow if short < 16384 else app.scopes)
