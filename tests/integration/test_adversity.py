"""Servers that contradict themselves: nothing is lost, and no run says more than it knows."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from syncd.config import load
from syncd.errors import UsageError
from syncd.model import RunState
from syncd.providers.registry import schemas
from syncd.store.sqlite import SqliteStore
from syncd.sync.progress import RunResult
from syncd.sync.runner import Runner
from syncd.sync.supervisor import RunOptions
from tests.support.history import before_everything
from tests.support.scripted import DENIED, GONE, Answer, Scripted
from tests.support.world import ALL, config_text, write_key


class Site:
    """A scripted directory and the database that follows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = Scripted()
        self.organization = "retries = 0"
        self.more = ""

    @property
    def database(self) -> Path:
        return self.folder / "syncd.db"

    async def sync(self, *endpoints: str) -> RunResult:
        write_key(self.folder, self.server.key_file())
        path = self.folder / "config.toml"
        path.write_text(
            config_text(
                self.folder,
                self.server.url,
                "admin@x.example",
                organization=self.organization,
                more=self.more,
            )
        )
        config = load(path, schemas())
        store = SqliteStore(self.database)
        await store.open()
        try:
            runner = Runner(config, store, database=self.database)
            async with runner.supervise(config.organizations[0]) as supervisor:
                return await supervisor.run(RunOptions(endpoints or ALL))
        finally:
            await store.close()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(tmp_path)
    for number in range(20):
        made.server.user(f"u{number}")
        made.server.token(f"u{number}", "app1", "One", "openid")
        made.server.token(f"u{number}", f"app-u{number}", "Own", "openid")
    made.server.group("g1", *({"id": f"u{n}", "type": "USER"} for n in range(15)))
    await made.server.start()
    yield made
    await made.server.stop()


async def test_a_404_on_the_tokens_of_a_living_user_removes_none(site: Site) -> None:
    await site.sync()
    site.server.script = lambda path, _: GONE if path == "/users/u3/tokens" else None
    result = await site.sync()
    assert (result.state, result.unreadable) == (RunState.PARTIAL, 1)
    assert result.total("removed") == 0
    assert len(site.rows("SELECT 1 FROM tokens WHERE user_id = 'u3'")) == 2


async def test_the_tokens_of_a_user_who_is_gone_go(site: Site) -> None:
    await site.sync()
    del site.server.users["u3"]
    # The listing of users still shows the one who is gone.
    shown = [*site.server.users.values(), {"id": "u3", "customerId": "C1"}]
    listing = (200, {"kind": "admin#directory#users", "users": shown})
    site.server.script = lambda path, query: (
        listing if path == "/users" and query.get("showDeleted") != "true" else None
    )
    result = await site.sync()
    assert result.state is RunState.SUCCEEDED
    assert site.rows("SELECT 1 FROM tokens WHERE user_id = 'u3'") == []


async def test_applications_are_right_although_a_run_stopped_before_its_end(site: Site) -> None:
    site.more = "[resources.main]\nmax_concurrency = 1"
    await site.sync()
    site.server.tokens["u9"] = []
    site.server.token("u1", "new-app", "New", "openid")

    def deny_groups(path: str, _: dict[str, str]) -> Answer | None:
        tokens = [asked for asked in site.server.asked if asked.endswith("/tokens")]
        return DENIED if path == "/groups" and len(tokens) >= 40 else None

    site.server.script = deny_groups
    stopped = await site.sync()
    assert stopped.state is RunState.FAILED
    assert site.rows("SELECT 1 FROM applications WHERE id = 'app-u9'") == []
    site.server.script = lambda _path, _query: None
    assert (await site.sync()).state is RunState.SUCCEEDED
    names = {row[0] for row in site.rows("SELECT id FROM applications")}
    assert "app-u9" not in names
    assert "new-app" in names
    assert before_everything(site.database) == {}


async def test_a_membership_that_had_to_be_dropped_makes_the_run_partial(site: Site) -> None:
    await site.sync()
    back = site.server.users.pop("u7")
    assert (await site.sync("users")).total("removed") > 0
    site.server.users["u7"] = back
    result = await site.sync("relations")
    assert result.counts["relation"]["dropped"] == 1
    assert result.state is RunState.PARTIAL
    assert (await site.sync()).state is RunState.SUCCEEDED
    assert len(site.rows("SELECT 1 FROM relations")) == 15


@pytest.mark.parametrize("listed", [[], [{"id": "u1", "customerId": "C1"}]])
async def test_a_listing_without_an_end_ends(site: Site, listed: list[dict[str, str]]) -> None:
    await site.sync()
    before = site.rows("SELECT id, removed_at FROM users_all")
    count = 0

    def more(path: str, query: dict[str, str]) -> Answer | None:
        nonlocal count
        if path != "/users" or query.get("maxResults") == "1":
            return None
        count += 1
        body = {"kind": "admin#directory#users", "users": listed, "nextPageToken": f"t{count}"}
        return 200, body

    site.server.script = more
    result = await site.sync("users")
    assert result.state is RunState.FAILED
    assert "never end" in result.reason
    assert count < 500
    assert site.rows("SELECT id, removed_at FROM users_all") == before


async def test_a_member_of_another_type_is_another_member(site: Site) -> None:
    await site.sync()
    site.server.members["g1"][2]["type"] = "SOMETHING_NEW"
    assert (await site.sync()).state is RunState.SUCCEEDED
    found = site.rows("SELECT subject_kind FROM relations WHERE subject_id = 'u2'")
    assert found == [("external",)]


async def test_one_failure_of_the_deleted_users_is_not_kept_for_ever(site: Site) -> None:
    await site.sync()
    del site.server.users["u1"]
    failing = (500, {"error": {"code": 500, "errors": []}})
    site.server.script = lambda _path, query: (
        failing if query.get("showDeleted") == "true" else None
    )
    assert (await site.sync("users")).state is RunState.PARTIAL
    assert site.rows("SELECT kind FROM collections") == [("deleted_users",)]
    site.server.script = lambda _path, _query: None
    del site.server.users["u2"]
    assert (await site.sync("users")).state is RunState.SUCCEEDED
    assert site.rows("SELECT kind FROM collections") == []


async def test_users_of_another_customer_in_a_page_are_not_written(site: Site) -> None:
    await site.sync()
    before = site.rows("SELECT id, removed_at FROM users_all")
    site.server.user("stranger", customerId="C2")
    result = await site.sync("users")
    assert result.state is not RunState.SUCCEEDED
    site.server.users = {"stranger": site.server.users["stranger"]}
    first = (200, {"kind": "admin#directory#users", "users": [{"id": "u0", "customerId": "C1"}]})
    site.server.script = lambda _path, query: first if query.get("maxResults") == "1" else None
    result = await site.sync("users")
    assert result.state is RunState.FAILED
    assert "C2" in result.reason
    assert site.rows("SELECT id, removed_at FROM users_all") == before


async def test_a_living_user_is_not_removed_by_two_passes_as_long_as_there_is_leave_to_ask(
    site: Site,
) -> None:
    await site.sync()
    hidden = dict(site.server.users)
    listing = {
        "kind": "admin#directory#users",
        "users": [user for id, user in hidden.items() if id not in {"u1", "u2"}],
    }
    site.server.script = lambda path, query: (
        (200, listing) if path == "/users" and query.get("showDeleted") != "true" else None
    )
    for _ in range(3):
        assert (await site.sync()).total("removed") == 0
    assert len(site.rows("SELECT 1 FROM users")) == 20


async def test_an_endpoint_that_the_organization_does_not_have_is_a_usage_error(
    site: Site,
) -> None:
    from syncd.cli.commands.sync import chosen

    site.organization = 'endpoints = ["users"]'
    await site.sync("users")
    config = load(site.folder / "config.toml", schemas())
    with pytest.raises(UsageError, match="it has: users"):
        chosen(config, [], ["tokens"])
