"""What each endpoint of a run does: read, find out what is gone, remove it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from syncd.errors import Action, UpstreamError
from syncd.model import Collection, CollectionKind, Kind, Page, RunState
from syncd.sync import removal
from syncd.sync.children import Children
from syncd.sync.context import Context, EndpointFailed, reason_of
from syncd.sync.listing import read_listing

Endpoint = Callable[[Context], Awaitable[RunState]]


def _enter(context: Context, endpoint: str, phase: str) -> None:
    context.endpoint(endpoint).phase = phase


async def _read_queue(
    context: Context, endpoint: str, kind: CollectionKind
) -> UpstreamError | None:
    """Read a listing that brings work for others; returns why it could not be read to its end.

    Raises EndpointFailed when that ends the endpoint.
    """
    progress, signal = context.endpoint(endpoint), context.queue(kind)
    collection = Collection(kind)

    def committed(page: Page) -> None:
        progress.rows += len(page.entities)
        if endpoint == "users":
            progress.done += len(page.entities)
        signal.grown()

    try:
        await read_listing(context, context.readers[endpoint], collection, committed)
    except UpstreamError as error:
        if error.verdict.action in {Action.STOP, Action.DIE}:
            raise
        await context.unreadable(collection, reason_of(error), error)
        if error.verdict.action is Action.STOP_ENDPOINT:
            raise EndpointFailed(str(error), error) from error
        return error
    return None


async def users(context: Context) -> RunState:
    """Users: the listing, then those it does not show any more."""
    endpoint, kind = "users", Kind.USER
    try:
        if context.recorded(endpoint).phase != removal.SWEEPING:
            _enter(context, endpoint, "listing")
            progress = context.endpoint(endpoint)
            progress.done = await context.store.queue_length(context.run.key, CollectionKind.USERS)
            error = await _read_queue(context, endpoint, CollectionKind.USERS)
            if error is not None:
                raise EndpointFailed(str(error), error)
            progress.total, progress.total_final = progress.done, True
            await _find_gone_users(context)
            await _judge(context, endpoint, kind)
        _enter(context, endpoint, "removing")
        await removal.sweep(context, kind)
    finally:
        context.queue(CollectionKind.USERS).finish()
    return _outcome(context, endpoint)


async def _find_gone_users(context: Context) -> None:
    reader = context.readers["users"]
    if not await removal.note_missing(context, Collection(CollectionKind.USERS)):
        return
    if not await removal.anything_missing(context, Kind.USER):
        return
    _enter(context, "users", "checking missing")
    if context.provider.tombstones:
        deleted = Collection(CollectionKind.DELETED_USERS)
        try:
            await read_listing(context, reader, deleted)
        except UpstreamError as error:
            if error.verdict.action in {Action.STOP, Action.DIE}:
                raise
            # Fewer witnesses: each missing user is asked for by itself.
            await context.unreadable(deleted, reason_of(error), error)
    await removal.hear_witnesses(context, reader, Kind.USER)


async def tokens(context: Context) -> RunState:
    """Tokens: one small listing for each user, as users arrive."""
    endpoint, kind = "tokens", Kind.TOKEN
    if context.recorded(endpoint).phase != removal.SWEEPING:
        _enter(context, endpoint, "reading")
        work = Children(context, endpoint, CollectionKind.USERS, CollectionKind.TOKENS)
        await work.work_off()
        await context.writer.commit()
        await _judge(context, endpoint, kind)
    _enter(context, endpoint, "removing")
    await removal.sweep(context, kind)
    return _outcome(context, endpoint)


async def relations(context: Context) -> RunState:
    """Relations: groups, and the members of each as groups arrive."""
    endpoint = "relations"
    if context.recorded(endpoint).phase != removal.SWEEPING:
        _enter(context, endpoint, "reading")
        work = Children(context, endpoint, CollectionKind.GROUPS, CollectionKind.MEMBERS)
        async with asyncio.TaskGroup() as group:
            listing = group.create_task(_list_groups(context))
            group.create_task(work.work_off())
        await context.writer.commit()
        unlisted = listing.result()
        if unlisted is not None and not context.endpoint(endpoint).rows:
            raise EndpointFailed(str(unlisted), unlisted)
        await _find_gone_relations(context, listed=unlisted is None)
        await _judge(context, endpoint, *_RELATION_KINDS)
    _enter(context, endpoint, "removing")
    for kind in _RELATION_KINDS:
        await removal.sweep(context, kind)
    return _outcome(context, endpoint)


_RELATION_KINDS = (Kind.GROUP, Kind.RELATION)


async def _list_groups(context: Context) -> UpstreamError | None:
    try:
        return await _read_queue(context, "relations", CollectionKind.GROUPS)
    finally:
        context.queue(CollectionKind.GROUPS).finish()


async def _find_gone_relations(context: Context, *, listed: bool) -> None:
    reader = context.readers["relations"]
    _enter(context, "relations", "checking missing")
    if listed and await removal.note_missing(context, Collection(CollectionKind.GROUPS)):
        await removal.hear_witnesses(context, reader, Kind.GROUP)
    await removal.hear_witnesses(context, reader, Kind.RELATION)


async def _judge(context: Context, endpoint: str, *kinds: Kind) -> None:
    """Have the guard judge; from then on a restart goes on with what it let pass."""
    full = _full(context, endpoint)
    passed = [kind for kind in kinds if await removal.judge(context, kind, full=full)]
    await context.store.set_endpoint(
        context.run.key, endpoint, context.clock.time(), phase=removal.SWEEPING
    )
    for kind in passed if full else ():
        await removal.forget_hold(context, kind)


def _full(context: Context, endpoint: str) -> bool:
    """Whether every collection of the endpoint was read."""
    return _outcome(context, endpoint) is RunState.SUCCEEDED


def _outcome(context: Context, endpoint: str) -> RunState:
    lost = context.endpoint(endpoint).unreadable or context.lost_records(endpoint)
    return RunState.PARTIAL if lost else RunState.SUCCEEDED


ENDPOINTS: dict[str, Endpoint] = {"users": users, "tokens": tokens, "relations": relations}
