"""Secrets never get out, and a provider's text does no harm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog

from syncd.cli.parser import entry
from syncd.demo import FaultPlan, FaultRule
from syncd.errors import ExitCode
from syncd.host.log import configure
from syncd.providers.google_workspace import GROUPS_SCOPE, TOKENS_SCOPE, USERS_SCOPE
from tests.support import process
from tests.support.world import World

MakeWorld = Callable[..., Any]

INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def log() -> Iterator[StringIO]:
    stream = StringIO()
    configure("debug", "json", stream)
    yield stream
    structlog.reset_defaults()


def secrets_of(world: World) -> list[str]:
    """What must not get out: every line of the private key, and the key's own id."""
    key = json.loads((world.folder / "key.json").read_text())
    lines = [line for line in key["private_key"].splitlines() if len(line) > 20]
    return [line for line in lines if "PRIVATE KEY" not in line]


async def access_tokens(world: World) -> list[str]:
    """Access tokens as the provider gives them to this process."""
    async with world.supervisor() as (_, runner):
        organization = world.config().organizations[0]
        async with runner.connect(organization) as (provider, _upstream):
            scopes = (USERS_SCOPE, TOKENS_SCOPE, GROUPS_SCOPE)
            return [(await provider.auth.header(scope)).reveal() for scope in scopes]


def everything_written(world: World, *texts: str) -> bytes:
    """The log, what was printed, and every byte of the database and the files beside it."""
    files = [path for path in world.folder.iterdir() if path.name != "key.json"]
    return b"\n".join([path.read_bytes() for path in files] + [text.encode() for text in texts])


async def test_invariant_10_no_secret_in_log_database_or_messages(
    make_world: MakeWorld, log: StringIO
) -> None:
    world: World = await make_world(users=60)
    world.organization = "retries = 1"
    # Error bodies that repeat the request's Authorization header, and answers of every bad kind.
    world.server.faults = FaultPlan(
        [
            FaultRule("secret_echo", probability=0.2),
            FaultRule("invalid_json", probability=0.05),
            FaultRule("unauthorized_401", probability=0.05),
        ]
    )
    shown = []
    for _ in range(3):
        result = await world.sync()
        shown.append(repr(result))
    echoed = world.server.faults.hits["secret_echo"]
    assert echoed > 5
    written = everything_written(world, log.getvalue(), *shown)
    assert b"collection_unreadable" in written or b"request_retried" in written
    assert b"Bearer" not in written
    assert b"ya29" not in written
    for secret in secrets_of(world):
        assert secret.encode() not in written


async def test_invariant_10_no_secret_when_the_provider_refuses(
    make_world: MakeWorld, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    world: World = await make_world(users=20)
    await world.sync()
    tokens = await access_tokens(world)
    world.fail("secret_echo", path="^/")
    world.organization = "retries = 0"
    with pytest.raises(Exception, match="500") as caught:
        await world.sync()
    parts = everything_written(world, log.getvalue(), repr(caught.value), str(caught.value))
    for secret in [*tokens, *secrets_of(world)]:
        assert secret.encode() not in parts


def test_invariant_10_no_secret_in_the_traceback_of_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "correct-horse-battery-staple"

    def broken(args: object) -> int:
        password = secret
        nested = {"authorization": f"Bearer {password}"}
        raise ZeroDivisionError(f"while using Bearer {nested['authorization'][7:]}")

    monkeypatch.setattr("syncd.cli.dispatch.config_default", broken)
    assert entry(["config", "default"]) == ExitCode.BUG
    shown = capsys.readouterr()
    assert "ZeroDivisionError" in shown.err
    assert "broken" in shown.err
    assert secret not in shown.err + shown.out
    structlog.reset_defaults()


def test_invariant_10_no_secret_in_the_arguments_of_a_process(tmp_path: Path) -> None:
    with process.directory(tmp_path, "--users", "30", "--latency", "tokens=0.05") as server:
        config = process.write_config(tmp_path, server)
        child = process.start(config, "sync")
        while not server.requests().get("tokens"):
            pass
        arguments = Path(f"/proc/{child.pid}/cmdline").read_bytes()
        process.kill(child)
    key = json.loads((tmp_path / "key.json").read_text())
    assert key["private_key"][40:80].encode() not in arguments
    assert b"Bearer" not in arguments


async def test_invariant_10_a_hostile_name_is_harmless_wherever_it_is_shown(
    make_world: MakeWorld, log: StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    world: World = await make_world(users=20)
    world.fail("hostile_name")
    await world.sync()
    names = world.query("SELECT name FROM applications WHERE name LIKE '%calc%'")
    assert names
    assert "\x1b" in names[0][0]
    assert "\u202e" in names[0][0]
    database = str(world.database)
    for words in (
        ["apps", "--database", database],
        ["changes", "--database", database, "--limit", "0"],
        ["apps", "--database", database, "--json"],
        ["export", "applications", "--format", "csv", "--database", database],
        ["export", "users", "--format", "csv", "--database", database],
        ["export", "applications", "--format", "jsonl", "--database", database],
    ):
        assert entry(words) == 0, words
        shown = capsys.readouterr().out.replace("\r\n", "\n")
        assert "calc" in shown, words
        assert not INVISIBLE.search(shown), words
        if "csv" in words:
            cells = re.findall(r'(?:^|,)"?([^",]*calc)', shown, re.MULTILINE)
            assert cells
            assert not [cell for cell in cells if cell[:1] in "=+-@"]
    assert not INVISIBLE.search(log.getvalue())
    structlog.reset_defaults()
