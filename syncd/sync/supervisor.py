"""One run of one organization, from its lease to its last line."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from syncd.config import OrganizationConfig, SyncConfig
from syncd.errors import (
    Action,
    CredentialError,
    RunUnderWay,
    StoreError,
    SyncdError,
    UpstreamError,
)
from syncd.governor.governor import MAIN, Governor
from syncd.host.process import identity, is_alive
from syncd.model import Collection, CollectionKind, Key, RunState
from syncd.providers.base import Decoding, Provider
from syncd.store.base import RunRecord, Store, Traffic, merge
from syncd.sync.context import Context, EndpointFailed, first_error
from syncd.sync.crashmark import CrashMark
from syncd.sync.done import DoneSet
from syncd.sync.endpoints import ENDPOINTS
from syncd.sync.ledger import Guard
from syncd.sync.outcome import exit_code, log_finished, run_state
from syncd.sync.progress import EndpointProgress, EndpointResult, Progress, RunResult
from syncd.sync.reader import Reader
from syncd.sync.writer import Writer
from syncd.timing import Clock
from syncd.upstream.upstream import Upstream

BEAT = 15.0
"""Seconds between signs of life of a run's lease."""

SHOW = 0.2
"""Seconds between updates of the progress."""

LEASE_LIFE = 60.0
"""Seconds without a sign of life after which a lease of another machine is over."""

OLDEST_RUN = 3600.0
"""Seconds after its last commit in which a stopped run is resumed, at least."""

_FINISHED = frozenset({RunState.SUCCEEDED, RunState.PARTIAL})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked of a run."""

    endpoints: tuple[str, ...]
    allow_removals: bool = False
    dry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a run of one organization works with."""

    config: OrganizationConfig
    settings: SyncConfig
    store: Store
    provider: Provider
    upstream: Upstream
    governor: Governor
    interval: float
    """Seconds between this organization's runs."""
    crash_mark: Path
    clock: Clock


class Supervisor:
    """Runs one organization once."""

    def __init__(self, site: Site) -> None:
        self._config = config = site.config
        self._settings = site.settings
        self._store = site.store
        self._provider = site.provider
        self._upstream = site.upstream
        self._governor = site.governor
        self._clock = site.clock
        self._oldest = max(OLDEST_RUN, site.interval)
        self._mark = CrashMark(site.crash_mark)
        self._owner = identity()
        self._accounted = Traffic()
        self._since = 0.0
        self._customer = ""
        self.progress = Progress(config.name)

    async def run(self, options: RunOptions) -> RunResult:
        """Sync the organization.

        Raises RunUnderWay, StoreError, or what stopped the run before it began. When cancelled,
        what was read is committed and the run is left to be resumed.
        """
        wanted = tuple(name for name in ENDPOINTS if name in options.endpoints)
        self.progress.dry = options.dry
        self.progress.started = self._since = self._clock.monotonic()
        self.progress.endpoints = {name: EndpointProgress(name) for name in wanted}
        showing = asyncio.create_task(self._show_waiting())
        try:
            organization = await self._bind()
        finally:
            showing.cancel()
        async with self._lease(organization, force=options.dry):
            now = self._clock.time()
            # What the user let through holds for every endpoint, so none may be finished already.
            afresh = options.dry or options.allow_removals
            oldest = math.inf if afresh else now - self._oldest
            record = await self._store.open_run(organization, wanted, now, oldest)
            self.progress.run, self.progress.resumed = record.key, record.resumed
            self.progress.counts = {e: dict(c) for e, c in record.counts.items()}
            _log.info(
                "run_started",
                organization=self._config.name,
                run=record.key,
                resumed=record.resumed,
                endpoints=list(wanted),
                dry_run=options.dry,
            )
            return await self._work(record, wanted, options)

    async def _show_waiting(self) -> None:
        """Before there is a run: show at least what its first request waits for."""
        while True:
            self.progress.waiting = self._upstream.waiting
            await self._clock.sleep(SHOW)

    async def _bind(self) -> int:
        """The organization's number, once the provider has shown whose rows these are."""
        reader = self._reader("users", lambda _: contextlib.nullcontext())
        try:
            self._customer = await reader.customer()
        except UpstreamError as error:
            if error.verdict.action is not Action.STOP_ENDPOINT:
                raise
        name = self._config.name
        provider = self._provider.schema.name
        return await self._store.bind(name, provider, self._customer, self._clock.time())

    def _reader(self, endpoint: str, decoding: Decoding) -> Reader:
        gate = self._governor.route(endpoint)
        return Reader(self._provider, self._upstream, gate, decoding, self._clock)

    @contextlib.asynccontextmanager
    async def _lease(self, organization: int, *, force: bool) -> AsyncIterator[None]:
        await self._take_lease(organization, force=force)
        try:
            yield
        finally:
            with contextlib.suppress(StoreError):
                await self._store.release_lease(organization, self._owner)

    async def _take_lease(self, organization: int, *, force: bool) -> None:
        """``force``: the database is a copy of our own, and whoever held the lease is not in it."""
        now, steal = self._clock.time(), ""
        while True:
            holder = await self._store.take_lease(
                organization, self._owner, os.getpid(), now, steal=steal
            )
            if holder is None:
                return
            alive = is_alive(holder.owner)
            silent = not 0 <= now - holder.heartbeat_at < LEASE_LIFE
            busy = alive or (alive is None and not silent) or steal == holder.owner
            if busy and not force:
                raise RunUnderWay(
                    f"{self._config.name}: a run is under way in process {holder.pid}; "
                    "wait for its end, or stop that process"
                )
            steal = holder.owner

    async def _work(
        self, record: RunRecord, wanted: Sequence[str], options: RunOptions
    ) -> RunResult:
        context = await self._context(record, wanted, options)
        try:
            results = await self._all_endpoints(context, wanted)
        except asyncio.CancelledError:
            await asyncio.shield(self._leave(context, "stopped"))
            raise
        except (UpstreamError, CredentialError) as error:
            await context.writer.close()
            return await self._finish(context, [], RunState.FAILED, error)
        except RunUnderWay:
            # The run is another process's now.
            raise
        except SyncdError:
            await self._leave(context, "store unavailable")
            raise
        finally:
            self._mark.close()
        return await self._finish(context, results, run_state(results), None)

    async def _context(
        self, record: RunRecord, wanted: Sequence[str], options: RunOptions
    ) -> Context:
        died_in = self._mark.open()
        if died_in is not None and died_in[0] == record.key:
            deaths = await self._store.count_death(record.key, died_in[1])
            _log.warning("process_died", collection=str(died_in[1]), deaths=deaths)

        def decoding(collection: Collection) -> contextlib.AbstractContextManager[None]:
            return self._mark.decoding(record.key, collection)

        writer = Writer(
            self._store,
            record.key,
            self._settings,
            self._clock,
            self._new_traffic,
            lambda counts: merge(self.progress.counts, counts),
        )
        guard = Guard(
            self._settings.max_removed_percent,
            self._settings.hold_above_rows,
            options.allow_removals,
        )
        context = Context(
            config=self._config,
            settings=self._settings,
            run=record,
            store=self._store,
            provider=self._provider,
            governor=self._governor,
            writer=writer,
            guard=guard,
            readers={name: self._reader(name, decoding) for name in wanted},
            clock=self._clock,
            progress=self.progress,
            deaths=await self._store.deaths(record.key),
            customer=self._customer,
        )
        for name in wanted:
            recorded = context.recorded(name)
            context.endpoint(name).unreadable = recorded.unreadable
            context.endpoint(name).done = len(DoneSet.from_json(recorded.progress))
        if "users" not in wanted or context.recorded("users").state in _FINISHED:
            # Nobody lists users in this process: tokens go on over the stored ones.
            context.queue(CollectionKind.USERS).finish()
        return context

    def _new_traffic(self) -> Traffic:
        """What the work since the last call cost."""
        now, total = self._clock.monotonic(), self._upstream.traffic
        news = Traffic(
            total.requests - self._accounted.requests,
            total.seconds - self._accounted.request_seconds,
            now - self._since,
        )
        self._accounted = Traffic(total.requests, total.seconds)
        self._since = now
        return news

    async def _all_endpoints(self, context: Context, wanted: Sequence[str]) -> list[EndpointResult]:
        """Run the endpoints, as many at once as the main route allows, in their order."""
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [
                    group.create_task(self._beat(context)),
                    group.create_task(context.writer.watch()),
                    group.create_task(self._show(context)),
                ]
                tasks = [group.create_task(self._endpoint(context, name)) for name in wanted]
                results = [await task for task in tasks]
                await context.writer.close()
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as failures:
            raise first_error(failures) from failures
        return results

    async def _show(self, context: Context) -> None:
        """Keep the figures of the progress up to date that no worker counts."""
        while True:
            for name, progress in self.progress.endpoints.items():
                gate = context.readers[name].gate
                working = progress.state == RunState.RUNNING
                progress.in_flight, progress.limit = gate.in_flight if working else 0, gate.limit
            traffic = self._upstream.traffic
            self.progress.requests = context.run.requests + traffic.requests
            self.progress.request_seconds = context.run.request_seconds + traffic.seconds
            self.progress.retries = traffic.retries
            self.progress.waiting = self._upstream.waiting
            await self._clock.sleep(SHOW)

    async def _beat(self, context: Context) -> None:
        while True:
            await self._clock.sleep(BEAT)
            await self._store.beat(context.run.organization, self._owner, self._clock.time())

    async def _endpoint(self, context: Context, name: str) -> EndpointResult:
        recorded, progress = context.recorded(name), context.endpoint(name)
        if recorded.state in _FINISHED:
            # Finished by an earlier process of this run.
            progress.state = recorded.state
            return EndpointResult(
                name, RunState(recorded.state), recorded.reason, recorded.unreadable, 0.0
            )
        async with self._governor.route(MAIN).request():
            started = self._clock.monotonic()
            progress.state = RunState.RUNNING
            await self._store.set_endpoint(
                context.run.key, name, self._clock.time(), phase=recorded.phase
            )
            state, reason = await self._guarded(context, name)
            progress.state, progress.reason, progress.phase = state, reason, ""
            await context.writer.commit()
            await self._store.set_endpoint(
                context.run.key, name, self._clock.time(), state=state, reason=reason
            )
        seconds = self._clock.monotonic() - started
        _log.info(
            "endpoint_finished",
            organization=self._config.name,
            run=context.run.key,
            endpoint=name,
            state=str(state),
            reason=reason,
            rows=progress.rows,
            unreadable=progress.unreadable,
            seconds=round(seconds, 3),
        )
        return EndpointResult(name, state, reason, progress.unreadable, seconds)

    async def _guarded(self, context: Context, name: str) -> tuple[RunState, str]:
        """Run an endpoint; its failure is its own, unless it is the organization's."""
        try:
            try:
                return await ENDPOINTS[name](context), ""
            except BaseExceptionGroup as failures:
                raise first_error(failures) from failures
        except EndpointFailed as error:
            context.failures[name] = error.cause
            return RunState.FAILED, str(error)

    async def _settle_applications(self, context: Context) -> None:
        after: Key | None = Key(0)
        while after is not None:
            after = await self._store.settle_applications(
                context.run.key, after, self._clock.time(), 500
            )

    async def _leave(self, context: Context, reason: str) -> None:
        """Commit what was read and leave the run to be resumed."""
        # Nothing can be said to a database that is gone, or for a run that somebody took over.
        with contextlib.suppress(StoreError, RunUnderWay):
            await context.writer.close()
        with contextlib.suppress(StoreError, RunUnderWay):
            await self._store.finish_run(
                context.run.key, RunState.INTERRUPTED, reason, self._clock.time(), final=False
            )
        _log.warning(
            "run_interrupted", organization=self._config.name, run=context.run.key, reason=reason
        )

    async def _finish(
        self,
        context: Context,
        results: Sequence[EndpointResult],
        state: RunState,
        error: SyncdError | None,
    ) -> RunResult:
        await self._settle_applications(context)
        reason = str(error) if error else "; ".join(r.reason for r in results if r.reason)
        totals = await self._store.finish_run(
            context.run.key, state, reason, self._clock.time(), final=True
        )
        result = RunResult(
            organization=self._config.name,
            run=context.run.key,
            state=state,
            reason=reason,
            resumed=context.run.resumed,
            endpoints=tuple(results),
            counts=totals.counts,
            requests=totals.requests,
            request_seconds=totals.request_seconds,
            wall_seconds=totals.wall_seconds,
            unreadable=sum(context.endpoint(name).unreadable for name in self.progress.endpoints),
            not_applicable=self.progress.not_applicable,
            exit_code=exit_code(state, [error] if error else list(context.failures.values())),
        )
        log_finished(result, dry=self.progress.dry)
        return result
