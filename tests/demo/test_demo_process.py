"""The demo in a process of its own, and the paths that control it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from syncd.demo import Directory
from syncd.demo.__main__ import Options, main, parse, run
from tests.demo.client import Client
from tests.demo.conftest import Starter

USERS = "/admin/directory/v1/users?customer=my_customer"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    command = [sys.executable, "-m", "syncd.demo", "--users", "40", "--seed", "3"]
    command += ["--latency", "tokens=0.01", "--directory-for-key", str(tmp_path / "new")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        yield child, json.loads(child.stdout.readline())
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_own_process(
    process: tuple[subprocess.Popen[bytes], dict[str, Any]], number: signal.Signals
) -> None:
    child, facts = process
    assert set(facts) == {"url", "key_file", "admin", "customer", "pid"}
    assert facts["pid"] == child.pid
    path = Path(facts["key_file"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys = json.loads(path.read_text(encoding="utf-8"))
    assert keys["type"] == "service_account"
    assert keys["token_uri"] == f"{facts['url']}/token"
    with urllib.request.urlopen(f"{facts['url']}/_demo/truth?entity=users", timeout=10) as lines:
        rows = [json.loads(line) for line in lines]
    assert rows == [list(row) for row in Directory(users=40, seed=3).iter_users()]
    os.kill(child.pid, number)
    assert child.wait(10) == 0


async def test_main_in_this_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = parse(["--users", "3", "--directory-for-key", str(tmp_path)])
    task = asyncio.create_task(run(options))
    out = ""
    while not out:
        await asyncio.sleep(0.001)
        out = capsys.readouterr().out
    assert json.loads(out)["admin"] == "admin@acme.example"
    os.kill(os.getpid(), signal.SIGTERM)
    await task


@pytest.mark.parametrize(
    "arguments",
    [
        ["--latency", "nobody=1"],
        ["--latency", "users=slow"],
        ["--faults", "{"],
        ["--faults", "[1]"],
        ["--faults", '{"rules": [{"name": "x"}]}'],
        ["--gzip", "maybe"],
        ["--users", "0"],
        ["--users"],
        ["--people", "3"],
        ["users"],
    ],
)
def test_bad_command_lines(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("syncd.demo: ")


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    assert "syncd.demo: " in capsys.readouterr().err


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for option in fields(Options):
        assert f"--{option.name.replace('_', '-')} " in shown


def test_options() -> None:
    options = parse(["--users=7", "--gzip", "off", "--latency", "tokens=0.06,users=1"])
    assert (options.users, options.gzip) == (7, False)
    assert options.latency == {"tokens": 0.06, "users": 1.0}
    assert parse(["--latency="]).latency == {}
    options = parse(["--faults", '{"rules": [{"name": "hang"}]}'])
    assert options.faults is not None
    assert options.faults.rules[0].name == "hang"


async def test_control(start: Starter) -> None:
    client = await start(Directory(users=60))
    assert (await client.control("epoch", {"epoch": 2})).json() == {"epoch": 2}
    assert client.server.directory.epoch == 2
    rule = {"name": "internal_500", "path": "/tokens"}
    assert (await client.control("faults", {"rules": [rule]})).json() == {"rules": 1}
    assert (await client.api("users/admin@acme.example/tokens")).status == 500
    stats = (await client.control("stats")).json()
    assert stats["requests"] == {"token_grant": 1, "tokens": 1}
    assert stats["statuses"] == {"200": 1, "500": 1}
    assert stats["faults"] == {"internal_500": 1}
    assert stats["log"][-1] == ["GET", "/admin/directory/v1/users/admin@acme.example/tokens", 500]
    await client.control("faults", {})
    await client.control("reset_stats", {})
    assert (await client.control("stats")).json()["requests"] == {}
    assert (await client.api("users/admin@acme.example/tokens")).status == 200


@pytest.mark.parametrize(
    ("action", "value", "status"),
    [
        ("epoch", {"epoch": "two"}, 400),
        ("epoch", {"epoch": -1}, 400),
        ("epoch", {"other": 1}, 400),
        ("epoch", [1], 400),
        ("faults", {"rules": [{"name": "nothing"}]}, 400),
        ("faults", {"rules": [{"nome": "hang"}]}, 400),
        ("faults", {"rules": 3}, 400),
        ("nothing", {}, 404),
        ("truth?entity=cats", None, 400),
    ],
)
async def test_bad_control(client: Client, action: str, value: Any, status: int) -> None:
    assert (await client.control(action, value)).status == status


async def test_truth(start: Starter) -> None:
    client = await start(Directory(users=120, epoch=2))
    directory = client.server.directory
    expected: dict[str, list[Any]] = {
        "users": list(directory.iter_users()),
        "tokens": list(directory.iter_tokens()),
        "tokens&readable=1": list(directory.iter_tokens(readable_only=True)),
        "groups": list(directory.iter_groups()),
        "members": list(directory.iter_members()),
        "deleted": list(directory.iter_deleted_users()),
    }
    for entity, rows in expected.items():
        answer = await client.control(f"truth?entity={entity}")
        lines = [json.loads(line) for line in answer.body.splitlines()]
        assert lines == json.loads(json.dumps(rows))
        assert len(lines) > 1
