"""What is proven, and what may be removed. The only place that builds a proof.

A row is removed for one of these reasons and no other:

* its collection came whole in one response that bears the provider's mark, and it was not in it;
* a complete pass over its paged listing did not show it, and a second witness agrees: the
  provider lists it as deleted, or says so when asked for it, or the pass before did not show it
  either;

and only after the guard let the removals of its run and entity pass as one sum.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from syncd.model import Collection, CompleteListing, Gone, Key, Kind, Page
from syncd.store.base import Missing, Staged

PASSES_TO_REMOVE = 2
"""Complete passes in a row without a row, after which it needs no other witness."""

PASSES_TO_RELEASE = 3
RELEASE_AFTER = 24 * 3600.0
"""Held removals go through after so many complete passes with the same result, over so long."""


def whole_listing(collection: Collection, page: Page) -> CompleteListing | None:
    """Proof from the one response of an atomic collection, if it is one.

    A record without a readable id may be any of the stored rows, so it leaves nothing proven.
    """
    if not page.marked or page.next is not None or any(not bad.id for bad in page.bad):
        return None
    return CompleteListing(collection)


def gone_listing(collection: Collection) -> CompleteListing:
    """Proof from the provider's own word that the parent of an atomic collection is gone."""
    return CompleteListing(collection)


def needs_asking(row: Missing) -> bool:
    """Whether the provider has to be asked for a missing row by itself."""
    return not row.tombstone


def settle(
    kind: Kind, rows: Sequence[Missing], answers: Mapping[Key, bool]
) -> tuple[list[Gone], list[Key]]:
    """Proofs for the missing rows that have a witness, and the rows that are there after all.

    ``answers`` holds what the provider said of rows that it was asked for: True for gone. A row
    without an answer stays missing until its next complete pass.
    """
    witnesses: dict[str, list[Key]] = {}
    present: list[Key] = []
    for row in rows:
        answer = answers.get(row.key)
        if answer is False:
            present.append(row.key)
        elif row.tombstone:
            witnesses.setdefault("tombstone", []).append(row.key)
        elif answer is True:
            witnesses.setdefault("own_get", []).append(row.key)
        elif row.passes >= PASSES_TO_REMOVE:
            witnesses.setdefault("two_passes", []).append(row.key)
    gone = [Gone(kind, tuple(keys), witness) for witness, keys in witnesses.items()]
    return gone, present


class Judgement(enum.StrEnum):
    """What the guard says of the removals of a run and entity."""

    PASS = "pass"
    HOLD = "hold"
    RELEASE = "release"
    """Held before, and let through now."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Holds removals back that are too many to be believed at once."""

    max_percent: float
    """Of the live rows of an entity."""
    above_rows: int
    """So many removals are never held."""
    allow: bool = False
    """The user let them through."""

    def judge(self, staged: Staged, now: float, *, full: bool) -> Judgement:
        """Judge the removals of a run and entity as one sum; ``full``: its pass was complete."""
        few = staged.rows <= self.above_rows
        if few or staged.rows * 100 <= self.max_percent * staged.live:
            return Judgement.PASS
        return Judgement.RELEASE if self.allow or _lasting(staged, now, full) else Judgement.HOLD


def _lasting(staged: Staged, now: float, full: bool) -> bool:
    """Whether complete passes have shown this very result for long enough."""
    hold = staged.hold
    return (
        full
        and hold is not None
        and hold.digest == staged.digest
        and hold.passes + 1 >= PASSES_TO_RELEASE
        and now - hold.first_at >= RELEASE_AFTER
    )
