"""From rows that a listing no longer shows to removals: witnesses, the guard, the sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from syncd.errors import Action, UpstreamError
from syncd.model import Collection, Key, Kind
from syncd.store.base import Missing, merge
from syncd.sync import ledger
from syncd.sync.context import Context
from syncd.sync.ledger import Judgement
from syncd.sync.reader import Reader

WITNESS_CHUNK = 50
SWEEP_CHUNK = 500
SWEEP_CHUNK_WITH_COMPANY = 25
"""Users and groups take their tokens and memberships along in the same transaction."""

SWEEPING = "sweeping"
"""Phase of an endpoint whose removals the guard has let pass."""

_log = structlog.get_logger(__name__)


async def note_missing(context: Context, collection: Collection) -> bool:
    """After a complete pass over a listing, note what it did not show.

    Returns whether the pass was one that proves anything.
    """
    known = await context.store.reading(context.run.key, collection)
    if known is None or not known.proven:
        _log.warning(
            "listing_unproven",
            organization=context.config.name,
            run=context.run.key,
            collection=str(collection),
            hint="an id repeated or a record had none; nothing is removed for this pass",
        )
        return False
    after: Key | None = Key(0)
    while after is not None:
        after = await context.store.mark_missing(context.run.key, collection, after)
    return True


async def anything_missing(context: Context, kind: Kind) -> bool:
    """Whether rows wait for a witness."""
    return bool(await context.store.missing(context.run.key, kind, Key(0), 1))


async def hear_witnesses(context: Context, reader: Reader, kind: Kind) -> None:
    """Find a witness for each missing row, and stage the removals that have one."""
    after = Key(0)
    while rows := await context.store.missing(context.run.key, kind, after, WITNESS_CHUNK):
        answers = await _ask(context, reader, kind, rows)
        gone, present = ledger.settle(kind, rows, answers)
        await context.store.settle_missing(context.run.key, kind, gone, present)
        after = rows[-1].key


async def _ask(
    context: Context, reader: Reader, kind: Kind, rows: Sequence[Missing]
) -> dict[Key, bool]:
    """What the provider says of rows that have no witness yet, within the run's bound."""
    room = context.settings.max_witness_requests - context.witness_requests
    asked = [row for row in rows if ledger.needs_asking(row)][: max(0, room)]
    context.witness_requests += len(asked)
    answers: dict[Key, bool] = {}

    async def ask(row: Missing) -> None:
        try:
            answers[row.key] = await reader.is_gone(kind, row.parent, row.id, row.subject_kind)
        except UpstreamError as error:
            # No answer is no witness: the row stays until its next complete pass.
            if error.verdict.action in {Action.STOP, Action.STOP_ENDPOINT, Action.DIE}:
                raise

    async with asyncio.TaskGroup() as group:
        for row in asked:
            group.create_task(ask(row))
    return answers


async def judge(context: Context, kind: Kind, *, full: bool) -> bool:
    """Let the guard judge the staged removals as one sum; False when they are held.

    What was held before and passes now stays on record until :func:`forget_hold`.
    """
    run, now = context.run.key, context.clock.time()
    staged = await context.store.staged(run, kind)
    judgement = context.guard.judge(staged, now, full=full)
    if judgement is Judgement.HOLD:
        passes = await context.store.hold(run, kind, staged, now, full=full)
        counts = context.progress.counts.setdefault(kind, {})
        counts["held"] = counts.get("held", 0) + staged.rows
        _log.warning(
            "removals_held",
            organization=context.config.name,
            run=run,
            entity=str(kind),
            rows=staged.rows,
            live=staged.live,
            complete_passes=passes,
            hint="if they are right: syncd sync --allow-removals",
        )
        return False
    if full and staged.hold is not None:
        _log.info(
            "removals_released",
            organization=context.config.name,
            run=run,
            entity=str(kind),
            rows=staged.rows,
        )
    return True


async def forget_hold(context: Context, kind: Kind) -> None:
    """After a complete pass that the guard let pass: nothing of it is held any more.

    Only once the endpoint is marked as sweeping: a crash before that has the guard judge again.
    """
    if (await context.store.staged(context.run.key, kind)).hold is not None:
        await context.store.unhold(context.run.key, kind)


async def sweep(context: Context, kind: Kind) -> None:
    """Carry out the removals that the guard let pass."""
    company = kind in {Kind.USER, Kind.GROUP}
    chunk = SWEEP_CHUNK_WITH_COMPANY if company else SWEEP_CHUNK
    run, store, now = context.run.key, context.store, context.clock.time
    while (counts := await store.sweep(run, kind, now(), chunk)) is not None:
        merge(context.progress.counts, counts)
