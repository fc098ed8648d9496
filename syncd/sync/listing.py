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

BARREN_PAGES = 100
"""So many pages in a row that show nothing new are a listing without an end."""

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


async def _still_growing(context: Context, collection: Collection, before: int) -> int:
    """How many ids the listing has shown. Raises UpstreamError when no page brings new ones."""
    shown = await context.store.shown(context.run.key, collection)
    if shown == before:
        raise UpstreamError(
            Verdict(Action.UNREADABLE, "listing_without_end"),
            f"{collection}: {BARREN_PAGES} pages in a row brought nothing new, and there are more; "
            "the listing would never end",
        )
    return shown


def _check_customer(context: Context, collection: Collection, page: Page) -> None:
    if page.customer and context.customer and page.customer != context.customer:
        raise UpstreamError(
            Verdict(Action.STOP, "other_customer"),
            f"{collection}: the provider shows users of customer {page.customer}, and this "
            f"organization is customer {context.customer}; nothing of that page was written",
        )


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
    asked, pages, shown = {cursor}, 0, -1
    reading = asyncio.create_task(reader.page(collection, cursor))
    try:
        while True:
            page = await reading
            _check_customer(context, collection, page)
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
            pages += 1
            if pages % BARREN_PAGES == 0:
                shown = await _still_growing(context, collection, shown)
            committed(page)
            if page.next is None:
                return
    finally:
        reading.cancel()
        # What a cancelled or failed prefetch says is of no interest any more.
        await asyncio.gather(reading, return_exceptions=True)
