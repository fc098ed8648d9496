"""``syncd sync``: one run now, as the owner of the database."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import difflib
import io
import shutil
import signal
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import uvloop

from syncd.cli import output
from syncd.cli.commands import changes
from syncd.cli.progress import Display, progress_display
from syncd.cli.settings import load_config
from syncd.cli.summary import result_json, summary
from syncd.config import Config, OrganizationConfig
from syncd.errors import CannotCreate, ExitCode, Interrupted, SyncdError, UsageError
from syncd.host.log import configure
from syncd.store.reader import ReadOnlyDatabase
from syncd.store.sqlite import SqliteStore
from syncd.sync.progress import RunResult
from syncd.sync.runner import Runner
from syncd.sync.supervisor import RunOptions

T = TypeVar("T")

Outcome = RunResult | SyncdError
"""How a run ended, or why it did not begin."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be synced, and into which database."""

    config: Config
    organizations: Sequence[OrganizationConfig]
    database: Path
    endpoints: tuple[str, ...]
    allow_removals: bool = False
    dry: bool = False


def run(args: argparse.Namespace) -> int:
    """Sync, show progress, and print what it came to."""
    config = load_config(args, require_organization=True)
    work = Work(
        config=config,
        organizations=chosen(config, args.organizations, args.endpoint),
        database=config.store.path,
        endpoints=tuple(args.endpoint),
        allow_removals=args.allow_removals,
        dry=args.dry_run,
    )
    with scratch_copy(work) as here:
        outcomes = perform(here, quiet=args.json)
        for organization, outcome in zip(here.organizations, outcomes, strict=True):
            report(organization.name, outcome, dry=args.dry_run, as_json=args.json)
            if args.dry_run and not args.json and isinstance(outcome, RunResult):
                show_changes(here.database, outcome.run)
    return exit_code(outcomes)


def chosen(
    config: Config, names: Sequence[str], endpoints: Sequence[str] = ()
) -> list[OrganizationConfig]:
    """The organizations to sync. Raises UsageError where there is nothing to do."""
    known = {each.name: each for each in config.organizations}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(
                f"no organization {name!r} in the configuration; there are: "
                f"{', '.join(known)}{hint}"
            )
    wanted = [known[name] for name in dict.fromkeys(names)]
    wanted = wanted or [each for each in known.values() if each.enabled]
    if not wanted:
        raise UsageError("every organization of the configuration is disabled; name one to sync it")
    for each in wanted:
        if endpoints and not set(endpoints) & set(each.endpoints):
            raise UsageError(
                f"organization {each.name!r} has none of these endpoints in the configuration; "
                f"it has: {', '.join(each.endpoints)}"
            )
    return wanted


@contextlib.contextmanager
def scratch_copy(work: Work) -> Iterator[Work]:
    """For a dry run: the same work on a copy of the database that is deleted afterwards."""
    if not work.dry:
        yield work
        return
    try:
        folder = Path(tempfile.mkdtemp(prefix="syncd-dry-run-"))
    except OSError as error:
        raise CannotCreate(
            f"a dry run needs room for a copy of the database in {tempfile.gettempdir()}: "
            f"{error.strerror}; set TMPDIR to a directory that can be written"
        ) from error
    copy = folder / work.database.name

    try:
        if work.database.exists():
            # As a reader, so that not even the file's header changes.
            with ReadOnlyDatabase(work.database) as original:
                original.backup(copy)
        yield dataclasses.replace(work, database=copy)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def perform(work: Work, *, quiet: bool = False) -> list[Outcome]:
    """Run all organizations, with a display on a terminal. Raises Interrupted and StoreError."""
    log = work.config.log
    with progress_display(interval=work.config.sync.progress_interval, quiet=quiet) as display:
        above = getattr(display, "print_above", None)
        if above is None:
            configure(log.level, log.format)
        else:
            # On a terminal the display tells what goes on; the log has what is wrong.
            configure("warning", "console", cast("TextIO", _Above(above)))
        return run_until_stopped(_all(work, display))


class _Above(io.TextIOBase):
    """A stream that writes the log above the live display."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line

    def write(self, text: str) -> int:
        """Write lines."""
        self._write_line(text.rstrip("\n"))
        return len(text)


def run_until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop; SIGINT and SIGTERM cancel it, a second one ends at once.

    Raises Interrupted when it was cancelled.
    """

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        stopping = False

        def stop() -> None:
            nonlocal stopping
            if stopping:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                signal.raise_signal(signal.SIGINT)
            stopping = True
            if task is not None:
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        try:
            return await work
        except asyncio.CancelledError:
            raise Interrupted(
                "stopped; what was read is committed, and the next sync of the same endpoints "
                "goes on from there"
            ) from None

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


async def _all(work: Work, display: Display) -> list[Outcome]:
    """All organizations at once: they share the gates, and the trouble of one is its own."""
    store = SqliteStore(work.database)
    await store.open()
    try:
        runner = Runner(work.config, store, database=work.database)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_one(runner, organization, work, display))
                for organization in work.organizations
            ]
        return [task.result() for task in tasks]
    finally:
        await asyncio.shield(store.close())


async def _one(
    runner: Runner, organization: OrganizationConfig, work: Work, display: Display
) -> Outcome:
    options = RunOptions(
        tuple(name for name in organization.endpoints if name in work.endpoints)
        if work.endpoints
        else organization.endpoints,
        allow_removals=work.allow_removals,
        dry=work.dry,
    )
    try:
        async with runner.supervise(organization) as supervisor:
            display.add(supervisor.progress)
            return await supervisor.run(options)
    except SyncdError as error:
        return error


def report(name: str, outcome: Outcome, *, dry: bool, as_json: bool) -> None:
    """Print what a run came to."""
    if isinstance(outcome, RunResult):
        if as_json:
            output.say(output.json_text(result_json(outcome, dry=dry)))
        else:
            output.say(summary(outcome, dry=dry))
        return
    output.complain(outcome)
    if as_json:
        code = int(outcome.exit_code)
        document = {"organization": name, "error": str(outcome), "exit_code": code}
        output.say(output.json_text(document))


def show_changes(database: Path, run: int | None, limit: int = 0) -> None:
    """Print what a run changed; with ``limit`` only the newest changes."""
    changes.run(
        argparse.Namespace(
            database=database,
            since=None,
            org=None,
            kind=(),
            entity=(),
            run_id=run,
            limit=limit,
            json=False,
        )
    )


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """One code for all: that of the only one, 0 for all well, 3 when only some are."""
    codes = {int(outcome.exit_code) for outcome in outcomes}
    return codes.pop() if len(codes) == 1 else int(ExitCode.PARTIAL)
