"""Memory is flat in the size of the organization."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from syncd.demo import Directory as Truth
from tests.support import process
from tests.support.world import assert_same, stored, truth


def synced(folder: Path, users: int) -> float:
    """Sync an organization of that size in a process of its own; its peak memory in MiB."""
    folder.mkdir()
    with process.directory(folder, "--users", str(users)) as server:
        config = process.write_config(folder, server)
        child = process.start(config, "sync", "--json")
        peak = 0.0
        # Not getrusage: that counts what the child shared with this process before its exec.
        while child.poll() is None:
            peak = max(peak, high_water_mark(child.pid))
            time.sleep(0.02)
        _, err = child.communicate()
    assert child.returncode == 0, err
    database = folder / "syncd.db"
    assert_same(stored(database), truth(Truth(users=users)), database)
    return peak


def high_water_mark(pid: int) -> float:
    """The most memory that a process has had resident so far, in MiB; 0 when it has ended."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


@pytest.mark.slow
@pytest.mark.system
def test_invariant_5_memory_is_flat_in_the_size_of_the_organization(tmp_path: Path) -> None:
    small = synced(tmp_path / "small", 2_000)
    large = synced(tmp_path / "large", 50_000)
    assert large < 80
    assert large - small <= 8
