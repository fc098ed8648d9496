"""Working off a queue of small collections: each user's tokens, each group's members."""

from __future__ import annotations

import asyncio

from syncd.errors import Action, UpstreamError
from syncd.model import ENTITY_OF, Collection, CollectionKind, CollectionState, Page
from syncd.store.base import AtomicRead, Exceptional, PagedRead, QueueItem
from syncd.sync import ledger
from syncd.sync.context import Context, EndpointFailed, reason_of
from syncd.sync.done import DoneSet
from syncd.sync.listing import read_listing

FETCH = 500
"""Places that are read from the queue at once."""

SPARE_WORKERS = 16
"""Workers beyond the route's limit: those that wait for a retry hold no place at the gate."""

MOST_DEATHS = 2
"""A collection in which the process died so often is not read again in this run."""

GIVE_UP_FORBIDDEN = 20
"""So many collections refused before any was read: the permission itself is missing."""

GIVE_UP_UNAVAILABLE = 10
"""So many collections in a row that every retry failed for: the provider is not there."""


class Children:
    """All collections of one kind that hang on the rows of a listing."""

    def __init__(
        self, context: Context, endpoint: str, queue: CollectionKind, kind: CollectionKind
    ) -> None:
        self._context = context
        self._endpoint = endpoint
        self._queue = queue
        self._kind = kind
        self._reader = context.readers[endpoint]
        self._progress = context.endpoint(endpoint)
        self._done = DoneSet.from_json(context.recorded(endpoint).progress)
        self._read = 0
        self._forbidden = 0
        self._failed_in_a_row = 0
        context.writer.track(endpoint, self._done)

    async def work_off(self) -> None:
        """Read every collection of the queue. Raises EndpointFailed when that makes no sense."""
        work: asyncio.Queue[QueueItem | None] = asyncio.Queue(maxsize=1)
        workers = self._reader.gate.limit + SPARE_WORKERS
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._worker(work))
            await self._feed(work)
            for _ in range(workers):
                await work.put(None)

    async def _feed(self, work: asyncio.Queue[QueueItem | None]) -> None:
        """Hand out the queue's places in order, as they come."""
        context, signal = self._context, self._context.queue(self._queue)
        place = self._done.watermark
        while True:
            final = signal.final
            items = await context.store.queue(context.run.key, self._queue, place, FETCH)
            self._progress.total = await context.store.queue_length(context.run.key, self._queue)
            self._progress.total_final = final
            for item in items:
                place = item.place + 1
                if item.place not in self._done:
                    await work.put(item)
            self._progress.done = len(self._done)
            if items:
                continue
            if not final:
                await signal.wait()
            elif not await context.store.queue_rest(context.run.key, self._queue, FETCH):
                return

    async def _worker(self, work: asyncio.Queue[QueueItem | None]) -> None:
        while (item := await work.get()) is not None:
            await self._one(item)
            self._progress.done = len(self._done)

    async def _one(self, item: QueueItem) -> None:
        collection = Collection(self._kind, item.id)
        put = self._context.writer.put
        if not item.live:
            await put(None, self._endpoint, item.place)
        elif self._context.deaths.get(collection, 0) >= MOST_DEATHS:
            await self._context.unreadable(collection, "process_died", place=item.place)
        elif self._kind is CollectionKind.TOKENS and not self._context.provider.has_tokens(
            item.status
        ):
            self._context.progress.not_applicable += 1
            why = Exceptional(collection, CollectionState.NOT_APPLICABLE, item.status)
            await put(why, self._endpoint, item.place)
        else:
            await self._read_one(collection, item.place)

    async def _read_one(self, collection: Collection, place: int) -> None:
        try:
            if self._kind in self._context.provider.atomic:
                page = await self._reader.page(collection, None)
                proof = ledger.whole_listing(collection, page)
                await self._context.writer.put(
                    AtomicRead(collection, page, proof), self._endpoint, place
                )
                self._progress.rows += len(page.entities)
            else:
                await self._read_pages(collection, place)
        except UpstreamError as error:
            await self._could_not_read(collection, place, error)
        else:
            self._read += 1
            self._failed_in_a_row = 0

    async def _read_pages(self, collection: Collection, place: int) -> None:
        """A collection that may have several pages; most have one."""
        begun = None
        if self._context.run.resumed:
            begun = await self._context.store.reading(self._context.run.key, collection)
        if begun is None:
            page = await self._reader.page(collection, None)
            self._progress.rows += len(page.entities)
            last = place if page.next is None else None
            await self._context.writer.put(PagedRead(collection, page), self._endpoint, last)
            if last is not None:
                return
            await self._context.writer.commit()
        await read_listing(self._context, self._reader, collection, self._count)
        await self._context.writer.put(None, self._endpoint, place)

    def _count(self, page: Page) -> None:
        self._progress.rows += len(page.entities)

    async def _could_not_read(
        self, collection: Collection, place: int, error: UpstreamError
    ) -> None:
        verdict = error.verdict
        if verdict.action in {Action.STOP, Action.DIE}:
            raise error
        if verdict.action is Action.STOP_ENDPOINT:
            raise EndpointFailed(str(error), error)
        if verdict.action is Action.GONE and await self._parent_is_gone(collection):
            gone: AtomicRead | None = None
            if self._kind in self._context.provider.atomic:
                gone = AtomicRead(collection, Page(), ledger.gone_listing(collection))
            # Other rows go with the parent, once its own listing has proven it gone.
            await self._context.writer.put(gone, self._endpoint, place)
            return
        self._give_up_if_hopeless(error)
        await self._context.unreadable(collection, reason_of(error), error, place)

    async def _parent_is_gone(self, collection: Collection) -> bool:
        """Whether a listing is not there because what it hangs on is not there either."""
        try:
            return await self._reader.is_gone(ENTITY_OF[self._queue], "", collection.parent)
        except UpstreamError:
            return False

    def _give_up_if_hopeless(self, error: UpstreamError) -> None:
        """Do not ask for every user of a large organization when nothing can come of it."""
        if error.verdict.reason == "forbidden":
            self._forbidden += 1
        if error.verdict.action is Action.RETRY:
            self._failed_in_a_row += 1
        need = self._context.provider.permission(self._endpoint)
        if self._forbidden >= GIVE_UP_FORBIDDEN and not self._read:
            raise EndpointFailed(
                f"the provider refuses every one of {self._forbidden} {self._kind} listings; "
                f"the administrator needs a role that may read them (scope {need})",
                error,
            )
        if self._failed_in_a_row >= GIVE_UP_UNAVAILABLE:
            raise EndpointFailed(
                f"{self._failed_in_a_row} {self._kind} listings in a row failed with every retry; "
                f"the last: {error}",
                error,
            )
