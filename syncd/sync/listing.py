"""Reading a listing that comes in pages, from where the last commit left it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from syncd.errors import Action, UpstreamError, Verdict
from syncd.model import Collection, Page
from syncd.store.base import PagedRead
from syncd.sync.context import Context
from syncd.sync.reader import Reader

MOST_RESTARTS = 3
"""How often a listing starts again because its page token expired."""

_log = structlog.get_logger(__name__)


async def read_listing(
    context: Context,
    reader: Reader,
    collection: Collection,
    committed: Callable[[Page], None] = lambda _: None,
) -> None:
    """Read all pages of a listing that are not in yet; each is committed with its cursor.

    Raises UpstreamError when the listing cannot be read to its end.
    """
    known = await context.store.reading(context.run.key, collection)
    if known is not None and known.cursor is None:
        return
    cursor = (known.cursor or None) if known else None
    while True:
        try:
            await _read_on(context, reader, collection, cursor, committed)
        except UpstreamError as error:
            if error.verdict.action is not Action.RESTART:
                raise
            await _start_again(context, collection)
            cursor = None
        else:
            return


async def _start_again(context: Context, collection: Collection) -> None:
    restarts = await context.store.restart(context.run.key, collection)
    _log.warning(
        "listing_restarted",
        organization=context.config.name,
        run=context.run.key,
        collection=str(collection),
        restarts=restarts,
    )
    if restarts > MOST_RESTARTS:
        raise UpstreamError(
            Verdict(Action.UNREADABLE, "page_tokens_expire"),
            f"{collection}: the provider's page tokens expired {restarts} times in this run",
        )


async def _read_on(
    context: Context,
    reader: Reader,
    collection: Collection,
    cursor: str | None,
    committed: Callable[[Page], None],
) -> None:
    """Read from ``cursor`` to the end; the next page is asked for while one is being stored."""
    asked = {cursor}
    reading = asyncio.create_task(reader.page(collection, cursor))
    try:
        while True:
            page = await reading
            if page.next is not None:
                if page.next in asked:
                    raise UpstreamError(
                        Verdict(Action.UNREADABLE, "page_token_repeats"),
                        f"{collection}: the provider gave a page token that it gave before; "
                        "the listing would never end",
                    )
                asked.add(page.next)
                reading = asyncio.create_task(reader.page(collection, page.next))
            await context.writer.put(PagedRead(collection, page))
            await context.writer.commit()
            committed(page)
            if page.next is None:
                return
    finally:
        reading.cancel()
        # What a cancelled or failed prefetch says is of no interest any more.
        await asyncio.gather(reading, return_exceptions=True)
