"""Who this process is, and whether another one still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def started_at(pid: int, proc: Path = Path("/proc")) -> str:
    """When a process started, in the kernel's ticks since boot; empty when there is none.

    Field 22 of ``/proc/PID/stat``, see proc(5); a process number alone is used again.
    """
    try:
        text = (proc / str(pid) / "stat").read_text()
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    # A zombie holds its number, but does nothing any more.
    return "" if fields[0] in {"Z", "X"} else fields[19]


def boot_id(proc: Path = Path("/proc")) -> str:
    """The kernel's id of this boot; empty where it cannot be read."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def identity() -> str:
    """A name for this process that no other one ever has."""
    place = f"{socket.gethostname()}/{_pid_namespace()}"
    return f"{place} {boot_id()} {os.getpid()} {started_at(os.getpid())}"


def _pid_namespace() -> str:
    """Process numbers mean something within one namespace only: a container has its own."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def is_alive(name: str) -> bool | None:
    """Whether the process of that :func:`identity` lives; None when that cannot be known here."""
    parts = name.split(" ")
    if len(parts) != 4 or parts[0] != identity().split(" ")[0]:
        return None
    if parts[1] != boot_id():
        return False
    return started_at(int(parts[2])) == parts[3] if parts[2].isdigit() else None
