"""The real program and the demo directory in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.world import config_text

ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """The variables that a child needs, and nothing of the caller's credentials."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYNCD_")}
    return kept | {"PYTHONPATH": str(ROOT)} | more


class Directory:
    """The demo directory in a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "syncd.demo", "--directory-for-key", str(folder), *options],
            stdout=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        assert self._process.stdout is not None
        hello = json.loads(self._process.stdout.readline())
        self.url: str = hello["url"]
        self.admin: str = hello["admin"]
        self.key_file = Path(hello["key_file"])

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_demo/{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text

    def requests(self) -> dict[str, int]:
        """Requests so far by kind."""
        found: dict[str, int] = self.control("stats")["requests"]
        return found

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def directory(folder: Path, *options: str) -> Iterator[Directory]:
    server = Directory(folder, *options)
    try:
        yield server
    finally:
        server.stop()


def write_config(
    folder: Path, server: Directory, *, organization: str = "", more: str = ""
) -> Path:
    """A configuration for a directory in its own process."""
    (folder / "key.json").write_bytes(server.key_file.read_bytes())
    (folder / "key.json").chmod(0o600)
    path = folder / "config.toml"
    path.write_text(
        config_text(folder, server.url, server.admin, organization=organization, more=more)
    )
    return path


def start(config: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command of syncd."""
    return subprocess.Popen(
        [sys.executable, "-m", "syncd.cli.parser", "-c", str(config), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(**variables),
        text=True,
    )


def run(config: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of syncd to its end."""
    process = start(config, *words, **variables)
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
