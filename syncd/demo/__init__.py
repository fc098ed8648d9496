"""A made-up Google Workspace directory on loopback, served in the wire format of the real one."""

from __future__ import annotations

from syncd.demo.auth import AuthPolicy, key_file
from syncd.demo.directory import Directory
from syncd.demo.faults import FAULT_NAMES, FaultPlan, FaultRule
from syncd.demo.server import DemoServer

__all__ = [
    "FAULT_NAMES",
    "AuthPolicy",
    "DemoServer",
    "Directory",
    "FaultPlan",
    "FaultRule",
    "key_file",
]
