"""Where output goes is not always a place that takes it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.seed import Seed, fill
from tests.support import process

pytestmark = pytest.mark.system

COMMANDS = (
    "apps --limit 0",
    "changes --limit 0",
    "runs",
    "export users --format csv",
    "export tokens --format jsonl",
)


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", line],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=process.environment(),
    )


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("seeded") / "syncd.db"
    seed = Seed(path)
    fill(seed)
    seed.close()
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_device_is_told_and_is_no_bug(database: Path, command: str) -> None:
    words = f"{sys.executable} -m syncd.cli.parser {command} --database {database}"
    done = shell(f"{words} > /dev/full")
    assert done.returncode == 73, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_nobodys_bug(database: Path, command: str, closed: str) -> None:
    words = f"{sys.executable} -m syncd.cli.parser {command} --database {database}"
    done = shell(f"{words} {closed}")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="making a device needs root")
def test_an_export_does_not_replace_a_device_a_pipe_or_a_link(
    database: Path, tmp_path: Path
) -> None:
    device, link, target = tmp_path / "full", tmp_path / "link", tmp_path / "target"
    os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
    target.write_text("old")
    link.symlink_to(target)
    words = f"{sys.executable} -m syncd.cli.parser export users --format csv --database {database}"
    assert shell(f"{words} --output {device}").returncode == 73
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert shell(f"{words} --output {link}").returncode == 0
    assert link.is_symlink()
    assert "email" in target.read_text()
    assert shell(f"cd {tmp_path} && PYTHONPATH={process.ROOT} {words} --output .").returncode == 73
