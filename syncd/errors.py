"""Every error of syncd, by what has to be done about it.

::

    SyncdError                      exit_code 70
    ├── UsageError                  64   a command line that cannot be carried out
    ├── ConfigError                 78   every problem of a configuration, at once
    ├── CredentialError             77   a secret is missing, is not one, or was refused
    ├── RunUnderWay                  4   another process syncs this organization
    ├── Interrupted                130   the user asked to stop
    ├── StoreError                  69   the database cannot be used now
    │   ├── CannotCreate            73   it cannot be made or opened at all
    │   ├── SchemaTooNew            69   a newer syncd wrote it
    │   ├── ForeignDatabase         69   it belongs to another program
    │   ├── CorruptDatabase         69   SQLite says that it is damaged
    │   └── WrongCustomer           78   it was first synced from another customer
    └── UpstreamError               69   what one request came to; carries a Verdict

A message says what happened, where, and what to do next. It never holds a secret, nor text from
a response body: a provider's text is an attacker's text.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ExitCode(enum.IntEnum):
    """Exit codes of the commands; sysexits(3) where it has a fitting one."""

    OK = 0
    PARTIAL = 3
    RUN_UNDER_WAY = 4
    NO_DAEMON = 5
    USAGE = 64
    UNAVAILABLE = 69
    BUG = 70
    CANNOT_CREATE = 73
    BRAKE = 75
    NO_PERMISSION = 77
    CONFIG = 78
    INTERRUPTED = 130


class SyncdError(Exception):
    """Base of all errors that syncd raises on purpose. ``str()`` of it is meant for the user."""

    exit_code: ExitCode = ExitCode.BUG


class UsageError(SyncdError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration."""

    path: str
    """Key path, such as ``organization[0].provider``; empty for the file as a whole."""
    line: int | None
    """Line in the file, counted from 1."""
    found: str
    """What stands there, shortened; never a secret."""
    allowed: str
    """What may stand there."""
    hint: str = ""
    """What to do, such as the nearest valid key."""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        subject = f"{self.path}: " if self.path else ""
        hint = f" ({self.hint})" if self.hint else ""
        allowed = f"; allowed: {self.allowed}" if self.allowed else ""
        return f"{where}{subject}{self.found}{allowed}{hint}"


class ConfigError(SyncdError):
    """A configuration that cannot be used, with every problem found in it."""

    exit_code = ExitCode.CONFIG

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.source = source
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"{source}: {count}\n{lines}")


class CredentialError(SyncdError):
    """A secret is missing, unreadable, malformed, or the provider refused it."""

    exit_code = ExitCode.NO_PERMISSION


class RunUnderWay(SyncdError):
    """Another process holds the lease of this organization."""

    exit_code = ExitCode.RUN_UNDER_WAY


class Interrupted(SyncdError):
    """The user stopped the command; what was committed stays and the run can be resumed."""

    exit_code = ExitCode.INTERRUPTED


class StoreError(SyncdError):
    """The database cannot be used now: locked, full, or gone."""

    exit_code = ExitCode.UNAVAILABLE


class CannotCreate(StoreError):
    """The database cannot be created or opened at its place."""

    exit_code = ExitCode.CANNOT_CREATE


class SchemaTooNew(StoreError):
    """A newer syncd wrote this database; this one must not touch it."""


class ForeignDatabase(StoreError):
    """The file is a database of another program, or no database at all."""


class CorruptDatabase(StoreError):
    """SQLite reports that the file is damaged."""


class WrongCustomer(StoreError):
    """The organization's rows came from another customer than the provider now shows."""

    exit_code = ExitCode.CONFIG


class Action(enum.StrEnum):
    """What has to be done about a request that did not bring what was asked for."""

    RETRY = "retry"
    UNREADABLE = "unreadable"
    """This collection cannot be read now: keep its rows, mark them stale, go on."""
    RESTART = "restart"
    """A page token is no longer accepted: its listing has to start again."""
    GONE = "gone"
    """The provider says, in its own words, that the thing does not exist."""
    NOT_APPLICABLE = "not_applicable"
    """There is nothing to read by design; rows are kept and marked."""
    STOP_ENDPOINT = "stop_endpoint"
    """The whole endpoint cannot be read, such as for a missing permission."""
    STOP = "stop"
    """The whole organization cannot be read, such as for a refused credential."""
    DIE = "die"
    """Going on would do harm."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a classifier says of one failed request."""

    action: Action
    reason: str
    """A stable short code in snake_case, such as ``rate_limited``."""
    after: float | None = None
    """Seconds that the server asked to wait for; only for RETRY."""
    hint: str = ""
    """What the user can do, such as the permission that is missing."""


class UpstreamError(SyncdError):
    """A request to the provider failed; ``verdict`` says what to do about it."""

    exit_code = ExitCode.UNAVAILABLE

    def __init__(self, verdict: Verdict, message: str) -> None:
        super().__init__(message)
        self.verdict = verdict
