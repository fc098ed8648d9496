"""Runs at the level of the store: what the engine asks of it, with a directory in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.model import (
    ENDPOINTS,
    BadRecord,
    Collection,
    CollectionKind,
    CollectionState,
    Entity,
    Group,
    Key,
    Kind,
    Page,
    Relation,
    RunState,
    Token,
    User,
)
from syncd.store.base import (
    AtomicRead,
    Batch,
    Counts,
    Exceptional,
    Item,
    PagedRead,
    RunRecord,
    Store,
)
from syncd.sync import ledger
from syncd.sync.done import DoneSet
from tests.support.feed import State, live, query

START = 1_700_000_000.0

USERS = Collection(CollectionKind.USERS)
GROUPS = Collection(CollectionKind.GROUPS)
DELETED = Collection(CollectionKind.DELETED_USERS)


def tokens_of(user: str) -> Collection:
    return Collection(CollectionKind.TOKENS, user)


def members_of(group: str) -> Collection:
    return Collection(CollectionKind.MEMBERS, group)


def token(user: str, application: str, *scopes: str, **more: Any) -> Token:
    return Token(principal_id=user, application_id=application, scopes=scopes, **more)


def member(group: str, user: str, **more: Any) -> Relation:
    return Relation(object_id=group, subject_id=user, **{"subject_kind": "user", **more})


@dataclass
class Directory:
    """What a provider would show."""

    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, tuple[Token, ...]] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    members: dict[str, tuple[Relation, ...]] = field(default_factory=dict)

    def ids(self, kind: Kind, parent: str) -> set[str]:
        """Ids that the provider knows of a kind, or within a group."""
        if kind is Kind.USER:
            return set(self.users)
        if kind is Kind.GROUP:
            return set(self.groups)
        return {m.subject_id for m in self.members.get(parent, ())}


class Driver:
    """One process that syncs one organization; each batch comes a second after the last."""

    def __init__(self, store: Store, path: Path, name: str = "acme", owner: str = "one") -> None:
        self.store = store
        self.path = path
        self.name = name
        self.owner = owner
        self.now = START
        self.organization = 0
        self.run = 0
        self.record: RunRecord | None = None

    async def begin(self, endpoints: Sequence[str] = ENDPOINTS, *, steal: str = "") -> RunRecord:
        """Bind, take the lease, open a run or go on with the last one."""
        self.now += 1
        self.organization = await self.store.bind(self.name, "test", "C1", self.now)
        holder = await self.store.take_lease(
            self.organization, self.owner, 1, self.now, steal=steal
        )
        assert holder is None
        self.record = await self.store.open_run(
            self.organization, endpoints, self.now, self.now - 3600
        )
        self.run = self.record.key
        for name in endpoints:
            await self.store.set_endpoint(self.run, name, self.now)
        return self.record

    async def finish(self, state: RunState = RunState.SUCCEEDED, *, final: bool = True) -> Counts:
        """Close the endpoints and the run."""
        self.now += 1
        if final:
            for name in ENDPOINTS:
                await self.store.set_endpoint(self.run, name, self.now, state=state)
        totals = await self.store.finish_run(self.run, state, "", self.now, final=final)
        return totals.counts

    async def apply(self, *items: Item, **progress: str) -> Counts:
        """Commit one batch."""
        self.now += 1
        return await self.store.apply(
            Batch(run=self.run, now=self.now, items=items, progress=progress)
        )

    async def page(
        self,
        collection: Collection,
        *entities: Entity,
        next: str | None = None,
        bad: Sequence[BadRecord] = (),
        marked: bool = True,
    ) -> Counts:
        """Commit one page of a paged listing."""
        page = Page(entities=entities, bad=tuple(bad), next=next, marked=marked)
        return await self.apply(PagedRead(collection, page))

    async def whole(
        self,
        collection: Collection,
        *entities: Entity,
        bad: Sequence[BadRecord] = (),
        marked: bool = True,
    ) -> Counts:
        """Commit an atomic collection, with the proof that the ledger gives it."""
        page = Page(entities=entities, bad=tuple(bad), marked=marked)
        return await self.apply(
            AtomicRead(collection, page, ledger.whole_listing(collection, page))
        )

    async def unreadable(
        self,
        collection: Collection,
        reason: str = "forbidden",
        state: CollectionState = CollectionState.UNREADABLE,
    ) -> Counts:
        """Commit that a collection could not be read."""
        return await self.apply(Exceptional(collection, state, reason))

    async def mark_missing(self, collection: Collection) -> None:
        """Note what a complete pass did not show."""
        after: Key | None = Key(0)
        while after is not None:
            after = await self.store.mark_missing(self.run, collection, after)

    async def settle(self, kind: Kind, gone: Sequence[str] = (), here: Sequence[str] = ()) -> None:
        """Stage what is proven gone, when the provider says of these ids that they are or not."""
        rows = await self.store.missing(self.run, kind, Key(0), 1000)
        answers = {r.key: r.id in gone for r in rows if r.id in gone or r.id in here}
        proofs, present = ledger.settle(kind, rows, answers)
        await self.store.settle_missing(self.run, kind, proofs, present)

    async def sweep(self, kind: Kind, limit: int = 500) -> Counts:
        """Carry out all staged removals; returns the counts of the last chunk."""
        self.now += 1
        last: Counts = {}
        while (counts := await self.store.sweep(self.run, kind, self.now, limit)) is not None:
            last = counts
        return last

    async def settle_applications(self, limit: int = 500) -> None:
        """Bring applications up to date."""
        self.now += 1
        after: Key | None = Key(0)
        while after is not None:
            after = await self.store.settle_applications(self.run, after, self.now, limit)

    def rows(self, view: str, where: str = "TRUE") -> list[dict[str, Any]]:
        """Rows of a view, as another process sees them."""
        return query(self.path, f"SELECT * FROM {view} WHERE organization = ? AND {where}",
                     (self.name,))  # fmt: skip

    def ids(self, view: str) -> list[str]:
        """Ids that a view shows, sorted."""
        return sorted(row["id"] for row in self.rows(view))

    async def sync(self, directory: Directory, *, size: int = 2) -> None:
        """A whole run: everything is read, and what is gone is removed. Resumes a stopped one."""
        record = await self.begin()
        progress = {e.endpoint: e.progress for e in record.endpoints}
        await self._listing(USERS, list(directory.users.values()), size)
        await self.mark_missing(USERS)
        await self._witnesses(Kind.USER, directory)
        await self.sweep(Kind.USER, 2)
        done = DoneSet.from_json(progress.get("tokens", ""))
        await self._children(CollectionKind.USERS, "tokens", done, directory, size)
        await self.sweep(Kind.TOKEN, 2)
        await self._listing(GROUPS, list(directory.groups.values()), size)
        done = DoneSet.from_json(progress.get("relations", ""))
        await self._children(CollectionKind.GROUPS, "relations", done, directory, size)
        await self.mark_missing(GROUPS)
        for kind in (Kind.GROUP, Kind.RELATION):
            await self._witnesses(kind, directory)
            await self.sweep(kind, 2)
        await self.settle_applications(2)
        await self.finish()

    async def _listing(self, collection: Collection, entities: list[Entity], size: int) -> None:
        known = await self.store.reading(self.run, collection)
        if known is not None and known.cursor is None:
            return
        at = int(known.cursor or 0) if known else 0
        while True:
            more = at + size < len(entities)
            await self.page(
                collection, *entities[at : at + size], next=str(at + size) if more else None
            )
            if not more:
                return
            at += size

    async def _children(
        self,
        queue: CollectionKind,
        endpoint: str,
        done: DoneSet,
        directory: Directory,
        size: int,
    ) -> None:
        while True:
            items = await self.store.queue(self.run, queue, done.watermark, size)
            if not items and not await self.store.queue_rest(self.run, queue, size):
                return
            reads: list[Item] = []
            for item in items:
                done.add(item.place)
                if not item.live:
                    continue
                if endpoint == "tokens":
                    reads.append(self._tokens(item.id, directory))
                else:
                    page = Page(entities=directory.members.get(item.id, ()))
                    reads.append(PagedRead(members_of(item.id), page))
            await self.apply(*reads, **{endpoint: done.to_json()})

    def _tokens(self, user: str, directory: Directory) -> AtomicRead:
        collection = tokens_of(user)
        page = Page(entities=directory.tokens.get(user, ()))
        return AtomicRead(collection, page, ledger.whole_listing(collection, page))

    async def _witnesses(self, kind: Kind, directory: Directory) -> None:
        rows = await self.store.missing(self.run, kind, Key(0), 1000)
        answers = {r.key: r.id not in directory.ids(kind, r.parent) for r in rows}
        proofs, present = ledger.settle(kind, rows, answers)
        await self.store.settle_missing(self.run, kind, proofs, present)


def expected(directory: Directory) -> dict[str, int]:
    """How many live rows of each entity a directory comes to."""
    tokens = [t for user in directory.users for t in directory.tokens.get(user, ())]
    return {
        "user": len(directory.users),
        "token": len(tokens),
        "group": len(directory.groups),
        "relation": sum(len(directory.members.get(g, ())) for g in directory.groups),
        "application": len({t.application_id for t in tokens}),
    }


def state_of(path: Path, name: str = "acme") -> State:
    """What the views of live rows show."""
    return live(path, name)
