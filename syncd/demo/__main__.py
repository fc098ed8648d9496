"""`python -m syncd.demo`: the demo directory in a process of its own.

Options, each with a value:

--users N               number of users (500)
--groups N              number of groups (users / 20, 3 at least)
--seed N                another seed, another organization (1)
--epoch N               how often the organization has moved on (0)
--suspended-percent N   share of suspended users (5)
--tokens-per-user N     mean number of tokens of a user (12)
--host ADDRESS          where to listen (127.0.0.1)
--port N                0 takes any free port (0)
--latency KIND=SECONDS,...
                        kinds: users, tokens, groups, members, token_grant
--quota-per-minute N    API requests in any 60 seconds (no limit)
--faults JSON           {"rules": [{"name": ..., ...}], "seed": N}
--gzip on|off           compress replies for clients that accept it (on)
--directory-for-key DIR where demo-key.json is written (the current one)
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from syncd.demo.directory import Directory
from syncd.demo.faults import FaultPlan
from syncd.demo.server import KINDS, DemoServer

KEY_FILE = "demo-key.json"


@dataclass(slots=True)
class Options:
    """The command line."""

    users: int = 500
    groups: int | None = None
    seed: int = 1
    epoch: int = 0
    suspended_percent: float = 5.0
    tokens_per_user: float = 12.0
    host: str = "127.0.0.1"
    port: int = 0
    latency: dict[str, float] = field(default_factory=dict)
    quota_per_minute: int | None = None
    faults: FaultPlan | None = None
    gzip: bool = True
    directory_for_key: Path = Path()


def parse_latency(text: str) -> dict[str, float]:
    """Seconds by kind from `tokens=0.06,users=0.08`; ValueError if it is something else."""
    latency: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        kind, _, seconds = part.partition("=")
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}, expected one of {', '.join(KINDS)}")
        latency[kind] = float(seconds)
    return latency


def parse_faults(text: str) -> FaultPlan:
    """The plan described by a JSON text; ValueError if it describes none."""
    try:
        return FaultPlan.from_json(json.loads(text))
    except (TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None


def _parse_switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError("expected on or off")
    return text == "on"


_CONVERT: dict[str, Callable[[str], object]] = {
    "users": int,
    "groups": int,
    "seed": int,
    "epoch": int,
    "suspended_percent": float,
    "tokens_per_user": float,
    "host": str,
    "port": int,
    "latency": parse_latency,
    "quota_per_minute": int,
    "faults": parse_faults,
    "gzip": _parse_switch,
    "directory_for_key": Path,
}


def parse(arguments: list[str]) -> Options:
    """The options in `arguments`; ValueError says which one is wrong."""
    options = Options()
    rest = iter(arguments)
    for word in rest:
        flag, equals, value = word.partition("=")
        name = flag.removeprefix("--").replace("-", "_")
        if not flag.startswith("--") or name not in _CONVERT:
            raise ValueError(f"unknown option {word!r}")
        if not equals:
            value = next(rest, "")
        try:
            setattr(options, name, _CONVERT[name](value))
        except ValueError as error:
            raise ValueError(f"{flag}: {error}") from None
    return options


def write_key_file(server: DemoServer, folder: Path) -> Path:
    """Write the service account's key file into `folder`, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / KEY_FILE
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(server.key_file(), stream, indent=2)
        stream.write("\n")
    return path


def build_server(options: Options) -> DemoServer:
    """The server that `options` describe; ValueError if there can be none."""
    directory = Directory(
        seed=options.seed,
        users=options.users,
        epoch=options.epoch,
        suspended_percent=options.suspended_percent,
        groups=options.groups,
        tokens_per_user=options.tokens_per_user,
    )
    return DemoServer(
        directory,
        host=options.host,
        port=options.port,
        latency=options.latency,
        quota_per_minute=options.quota_per_minute,
        faults=options.faults,
        gzip=options.gzip,
    )


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    server = build_server(options)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        key_path = write_key_file(server, options.directory_for_key)
        facts = {
            "url": server.url,
            "key_file": str(key_path.resolve()),
            "admin": server.directory.admin_email,
            "customer": server.directory.customer,
            "pid": os.getpid(),
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        await stopped.wait()


def _run(options: Options) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(run(options))
    else:
        uvloop.run(run(options))


def main(arguments: list[str]) -> int:
    """Run the command; the exit status is 2 for a wrong command line, 1 for a taken port."""
    if "--help" in arguments or "-h" in arguments:
        sys.stdout.write(__doc__ or "")
        return 0
    try:
        options = parse(arguments)
        build_server(options)
    except ValueError as error:
        sys.stderr.write(f"syncd.demo: {error}\n")
        return 2
    try:
        _run(options)
    except OSError as error:
        sys.stderr.write(f"syncd.demo: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
