"""What the store keeps in memory of a run that is open; all of it can be read again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from syncd.model import Collection
from syncd.store.base import Counts, merge
from syncd.store.database import Database
from syncd.store.seen import KeySet


@dataclass(slots=True)
class Shown:
    """What a paged listing has shown so far in this run."""

    shown: KeySet = field(default_factory=KeySet)
    queued: KeySet = field(default_factory=KeySet)
    """Also what it showed before it had to start again: work is queued once."""
    firsts: list[int] = field(default_factory=list)
    """For each row of ``t_page``, the place in the queue at which its work begins."""
    rested: int = 0
    """Live rows up to this key are in the queue, whether the listing showed them or not."""


@dataclass(slots=True)
class OpenRun:
    """A run that is being worked on by this process."""

    key: int
    organization: int
    owner: str
    counts: Counts = field(default_factory=dict)
    listings: dict[Collection, Shown] = field(default_factory=dict)

    def add(self, counts: Counts) -> None:
        """Add what a batch brought to the run's counts."""
        merge(self.counts, counts)

    def listing(self, db: Database, collection: Collection) -> Shown:
        """What a listing has shown, read from its committed pages the first time."""
        known = self.listings.get(collection)
        if known is None:
            known = self.listings[collection] = _read_shown(db, self.key, collection)
        return known


def _read_shown(db: Database, run: int, collection: Collection) -> Shown:
    found = Shown()
    for first, shown, queued in db.connection.execute(
        "SELECT first, shown, queued FROM t_page WHERE run = ? AND kind = ? AND parent = ?"
        " ORDER BY page",
        (run, str(collection.kind), collection.parent),
    ):
        for key in json.loads(shown):
            found.shown.add(key)
        for key in json.loads(shown if queued is None else queued):
            found.queued.add(key)
        found.firsts.append(first)
    return found


class Tally:
    """Counts of one transaction."""

    def __init__(self) -> None:
        self.counts: Counts = {}

    def add(self, entity: str, kind: str, rows: int = 1) -> None:
        """Count rows; none adds nothing."""
        if rows:
            target = self.counts.setdefault(str(entity), {})
            target[kind] = target.get(kind, 0) + rows


def note_unsettled(db: Database, organization: int, tally: Tally) -> None:
    """Tokens were written: applications have to be brought up to date before the run ends."""
    tokens = tally.counts.get("token", {})
    if any(tokens.get(what) for what in ("added", "changed", "removed", "refreshed")):
        db.connection.execute(
            "UPDATE t_organization SET unsettled = 1 WHERE key = ? AND unsettled = 0",
            (organization,),
        )
