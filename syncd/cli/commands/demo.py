"""``syncd demo``: a made-up organization, synced by the real engine over real HTTP."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from syncd.cli import output
from syncd.cli.commands import apps, sync
from syncd.cli.settings import provider_schemas
from syncd.config import Config, load
from syncd.demo import DemoServer, Directory, FaultPlan, FaultRule
from syncd.errors import CannotCreate, ExitCode, UsageError
from syncd.store.reader import ReadOnlyDatabase

DEFAULT_LATENCY = 0.015
"""Seconds; enough to see the progress of a small organization."""

KINDS = ("users", "tokens", "groups", "members")


class ServerThread:
    """The demo directory on a loop of its own, so that the sync has its loop to itself."""

    def __init__(self, server: DemoServer) -> None:
        self.server = server
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def move_to(self, directory: Directory) -> None:
        """Let the directory move on."""

        def change() -> None:
            self.server.directory = directory

        self._loop.call_soon_threadsafe(change)


def run(args: argparse.Namespace) -> int:
    """Sync the demo directory twice, with a day in between, and show what there is to see."""
    directory = Directory(users=args.users, seed=args.seed)
    latency = DEFAULT_LATENCY if args.latency is None else args.latency
    server = DemoServer(
        directory, latency=dict.fromkeys(KINDS, latency), faults=_faults(args.fault)
    )
    with _place(args.keep) as database, ServerThread(server) as thread:
        config = _configure(database, server, directory)
        work = sync.Work(config, config.organizations, database, config.organizations[0].endpoints)
        if args.json:
            return _as_json(work, directory)
        return _show(work, thread, directory)


def _faults(given: list[str]) -> FaultPlan | None:
    """Faults from ``NAME=SHARE`` words."""
    rules = []
    for text in given:
        name, _, share = text.partition("=")
        try:
            rules.append(FaultRule(name, probability=float(share or 0.05)))
        except ValueError as error:
            raise UsageError(f"--fault {text}: {error}") from None
    return FaultPlan(rules) if rules else None


@contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    """Where the database goes: the file that was named, or a folder of its own."""
    if keep is not None:
        if keep.exists():
            raise CannotCreate(f"{keep}: there is such a file already; name another one")
        yield keep.absolute()
        return
    yield Path(tempfile.mkdtemp(prefix="syncd-demo-")) / "syncd.db"


def _configure(database: Path, server: DemoServer, directory: Directory) -> Config:
    """A configuration like anybody's, but for the address and a quota that does not bind."""
    with tempfile.TemporaryDirectory(prefix="syncd-demo-config-") as name:
        folder = Path(name)
        key = folder / "demo-key.json"
        key.touch(mode=0o600)
        key.write_text(json.dumps(server.key_file()))
        os.environ[KEY_VARIABLE] = key.read_text()
        file = folder / "config.toml"
        file.write_text(
            f"""\
[store]
url = "sqlite://{database}"
[[organization]]
name = "acme"
provider = "google_workspace"
credentials = "env:{KEY_VARIABLE}"
admin = "{directory.admin_email}"
base_url = "{server.url}"
quota_per_minute = 1_000_000
retry_backoff = "50ms"
[log]
level = "warning"
"""
        )
        return load(file, provider_schemas())


KEY_VARIABLE = "SYNCD_DEMO_KEY"


def _as_json(work: sync.Work, directory: Directory) -> int:
    outcomes = sync.perform(work, quiet=True)
    sync.report("acme", outcomes[0], dry=False, as_json=True)
    return _verdict(sync.exit_code(outcomes), _differences(work.database, directory))


def _show(work: sync.Work, thread: ServerThread, directory: Directory) -> int:
    output.say(
        f"A made-up directory of {directory.users:,} users answers at {thread.server.url}, "
        "as Google's would.\n\nThe first sync reads all of it:\n"
    )
    outcomes = sync.perform(work)
    _report(outcomes)
    output.say("\nThe applications that can do most harm:\n")
    _show_applications(work.database)
    wrong = _differences(work.database, directory)

    output.say("\nThe directory moves on by a day, and the second sync writes what has changed:\n")
    later = directory.at(1)
    thread.move_to(later)
    outcomes += sync.perform(work)
    _report(outcomes[1:])
    output.say("\nThe newest changes:\n")
    sync.show_changes(work.database, None, 12)
    wrong |= _differences(work.database, later)

    output.say("\nDatabase against directory, row by row:\n")
    with ReadOnlyDatabase(work.database) as database:
        for view, rows in database.counts().items():
            state = "differs" if view in wrong else "equal"
            if view != "applications":
                output.say(f"  {view:<12}{rows:>10,}  {state}")
    output.say(f"\nThe database stays at {work.database}\n  sqlite3 {work.database}")
    return _verdict(sync.exit_code(outcomes), wrong)


def _report(outcomes: list[sync.Outcome]) -> None:
    for outcome in outcomes:
        sync.report("acme", outcome, dry=False, as_json=False)


def _show_applications(database: Path) -> None:
    apps.run(
        argparse.Namespace(database=database, org=None, risk=(), sort="risk", limit=8, json=False)
    )


def _verdict(code: int, wrong: set[str]) -> int:
    """A database that differs from the directory is a bug, whatever the sync said."""
    return int(ExitCode.BUG) if wrong and code == ExitCode.OK else code


def _differences(path: Path, directory: Directory) -> set[str]:
    """Views whose live rows are not exactly the directory's."""
    readable = {user.id for user in directory.iter_users() if user.status == "active"}
    with ReadOnlyDatabase(path) as database:
        found = {
            "users": {
                (r["id"], r["email"], r["name"], r["status"]) for r in database.rows("users")
            },
            "tokens": {
                (r["user_id"], r["application_id"], tuple(r["scopes"]))
                for r in database.rows("tokens")
                if r["user_id"] in readable
            },
            "groups": {(r["id"], r["email"], r["name"]) for r in database.rows("groups")},
            "relations": {
                (r["object_id"], r["subject_kind"], r["subject_id"], r["role"])
                for r in database.rows("relations")
            },
        }
    truth = {
        "users": {tuple(row)[:4] for row in directory.iter_users()},
        "tokens": {
            (t.user_id, t.client_id, tuple(t.scopes))
            for t in directory.iter_tokens(readable_only=True)
        },
        "groups": {tuple(row)[:3] for row in directory.iter_groups()},
        "relations": {tuple(row)[:4] for row in directory.iter_members()},
    }
    return {view for view, rows in truth.items() if rows != found[view]}
