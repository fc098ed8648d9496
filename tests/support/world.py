"""An organization to sync: the demo directory on loopback, a configuration, a database."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

from syncd.config import Config, load
from syncd.demo import DemoServer, Directory, FaultPlan, FaultRule
from syncd.providers.registry import schemas
from syncd.store.sqlite import SqliteStore
from syncd.sync.progress import RunResult
from syncd.sync.runner import Runner
from syncd.sync.supervisor import RunOptions, Supervisor
from syncd.timing import Clock

ALL = ("users", "tokens", "relations")

Truth = dict[str, set[tuple[Any, ...]]]


def config_text(
    folder: Path,
    url: str,
    admin: str,
    *,
    organization: str = "",
    more: str = "",
    name: str = "acme",
) -> str:
    """A configuration for the demo directory; ``organization`` adds keys to its table."""
    return f"""\
[store]
url = "sqlite://{folder}/syncd.db"
[[organization]]
name = "{name}"
provider = "google_workspace"
credentials = "file:{folder}/key.json"
admin = "{admin}"
base_url = "{url}"
quota_per_minute = 10_000_000
retry_backoff = "2ms"
{organization}
{more}
"""


def write_key(folder: Path, key: dict[str, Any]) -> Path:
    """Write the demo's service account key where the configuration looks for it."""
    path = folder / "key.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(key))
    return path


class World:
    """A directory that answers, and the database that follows it."""

    def __init__(self, folder: Path, server: DemoServer) -> None:
        self.folder = folder
        self.server = server
        self.organization = ""
        self.more = ""
        self.clock: Clock | None = None
        self.last: Supervisor | None = None
        write_key(folder, server.key_file())

    @property
    def database(self) -> Path:
        return self.folder / "syncd.db"

    @property
    def directory(self) -> Directory:
        return self.server.directory

    def config(self) -> Config:
        path = self.folder / "config.toml"
        path.write_text(
            config_text(
                self.folder,
                self.server.url,
                self.directory.admin_email,
                organization=self.organization,
                more=self.more,
            )
        )
        return load(path, schemas())

    def fail(self, name: str, **how: Any) -> None:
        """From now on the server has this fault; see syncd.demo.faults."""
        self.server.faults = FaultPlan([FaultRule(name, **how)])

    def heal(self) -> None:
        self.server.faults = FaultPlan()

    def move_on(self, epoch: int = 1) -> None:
        self.server.directory = self.directory.at(epoch)

    @contextlib.asynccontextmanager
    async def supervisor(self) -> AsyncIterator[tuple[Supervisor, Runner]]:
        config = self.config()
        store = SqliteStore(self.database)
        await store.open()
        try:
            runner = Runner(config, store, database=self.database, clock=self.clock)
            async with runner.supervise(config.organizations[0]) as supervisor:
                self.last = supervisor
                yield supervisor, runner
        finally:
            await store.close()

    async def sync(
        self, endpoints: Iterable[str] = ALL, *, allow_removals: bool = False
    ) -> RunResult:
        async with self.supervisor() as (supervisor, _):
            return await supervisor.run(RunOptions(tuple(endpoints), allow_removals=allow_removals))

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql, parameters).fetchall()

    def stored(self) -> Truth:
        """What people see in the views."""
        return stored(self.database)

    def truth(self) -> Truth:
        """What they should see: the directory's own truth."""
        return truth(self.directory)

    def assert_exact(self) -> None:
        assert_same(self.stored(), self.truth(), self.database)


def stored(database: Path) -> Truth:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        query = connection.execute
        return {
            "users": set(query("SELECT id, email, name, status, is_admin, org_unit FROM users")),
            "tokens": {
                (user, app, tuple(json.loads(scopes)))
                for user, app, scopes in query("SELECT user_id, application_id, scopes FROM tokens")
            },
            "groups": set(query("SELECT id, email, name FROM groups")),
            "relations": set(
                query("SELECT object_id, subject_kind, subject_id, role FROM relations")
            ),
        }


def truth(directory: Directory) -> Truth:
    return {
        "users": {(*tuple(u)[:4], int(u.is_admin), u.org_unit) for u in directory.iter_users()},
        "tokens": {
            (t.user_id, t.client_id, tuple(t.scopes))
            for t in directory.iter_tokens(readable_only=True)
        },
        "groups": {tuple(g)[:3] for g in directory.iter_groups()},
        "relations": {tuple(m)[:4] for m in directory.iter_members()},
    }


def readable_users(directory: Directory) -> set[str]:
    return {user.id for user in directory.iter_users() if user.status == "active"}


def assert_same(found: Truth, wanted: Truth, database: Path) -> None:
    """Equal but for the tokens of users whose tokens cannot be read: those are kept."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        active = {
            row[0] for row in connection.execute("SELECT id FROM users WHERE status='active'")
        }
    for name, rows in wanted.items():
        have = found[name]
        if name == "tokens":
            have = {row for row in have if row[0] in active}
        assert have == rows, (name, len(have), len(rows), sorted(have ^ rows)[:4])
