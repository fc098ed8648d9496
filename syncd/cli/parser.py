"""The command line: which commands there are, what they take, and what their ends mean.

A command's module is imported when the command runs, so that ``syncd --version`` stays quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, cast

from syncd import __version__
from syncd.cli import arguments as take
from syncd.cli import dispatch, notes, output
from syncd.errors import CannotCreate, ExitCode, SyncdError

_DESCRIPTION = "Keep a local, queryable copy of who gave which application access to what."

_EPILOG = """\
example:
  syncd demo                        see it work on a made-up organization
  syncd init google_workspace       write a configuration to start from
  syncd check --online              try it
  syncd sync                        read everything

exit codes:
    0  ok                              70  a bug in syncd
    3  finished, partly unreadable     73  a file cannot be created
    4  a run is under way              77  credentials or permission
   64  wrong usage                     78  wrong configuration
   69  database or provider not       130  interrupted
       available

`syncd COMMAND --help` explains a command.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors end with 64, as sysexits(3) has it."""

    late_notes: Callable[[], str] | None = None
    """Makes what the help says besides, for what takes time to find out."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is."""
        output.note(f"{self.prog}: {message}\ntry `{self.prog} --help`")
        self.exit(ExitCode.USAGE)

    def format_help(self) -> str:
        """The help text."""
        if self.late_notes is not None:
            take.notes(self, self.late_notes())
            self.late_notes = None
        return super().format_help()


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser: argparse.ArgumentParser = Parser(
        prog="syncd",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"syncd {__version__}")
    take.config_file(parser, default=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for add in (_sync, _check, _init, _runs, _changes, _apps, _export, _backup, _config, _demo):
        add(commands)
    return parser


def _sync(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "sync",
        "run one sync now",
        "Read every organization of the configuration, or those that are named, into the database. "
        "A sync that was stopped goes on where it stopped.",
        example="syncd sync acme --endpoint users,tokens",
        codes=(0, 3, 4, 64, 69, 73, 77, 78, 130),
        run=dispatch.sync,
    )
    take.notes(parser, notes.SYNC)
    parser.add_argument("organizations", metavar="ORG", nargs="*", help="default: all of them")
    parser.add_argument(
        "--endpoint",
        type=take.comma_list("users", "tokens", "relations"),
        default=(),
        metavar="NAMES",
        help="only these, separated by commas: users, tokens, relations",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would change, and change nothing"
    )
    parser.add_argument(
        "--allow-removals",
        action="store_true",
        help="carry out removals that were held because they are unusually many",
    )
    take.json(parser, "print one JSON document per organization")


def _check(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "check",
        "validate the configuration",
        "Read the configuration and print every problem in it. Nothing else is read, unless "
        "--online is given.",
        example="syncd check --online",
        codes=(0, 64, 69, 77, 78),
        run=dispatch.check,
    )
    parser.add_argument(
        "--online",
        action="store_true",
        help="also try the credentials, every permission, and one page of each endpoint",
    )


def _init(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "init",
        "write a configuration to start from",
        "Write a commented configuration with one organization of a provider, such as "
        "google_workspace. An existing file is never overwritten.",
        example="syncd init google_workspace --output ./syncd.toml",
        codes=(0, 64, 73),
        run=dispatch.init,
    )
    parser.add_argument("provider", metavar="PROVIDER", help="such as google_workspace")
    take.path(parser, "--output", metavar="FILE", words="default: the configuration's own place")


def _runs(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "runs",
        "show past runs",
        "Show the newest runs with what they read and changed, the newest first.",
        example="syncd runs --org acme --limit 5",
        codes=(0, 64, 69, 78),
        run=dispatch.runs,
    )
    take.database(parser)
    take.organization(parser)
    take.limit(parser, default=20)
    take.json(parser, "print one JSON document per line: a row of the view `runs`")


def _changes(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "changes",
        "show what has changed",
        "Show the change feed: what was added, changed and removed, the newest last.",
        example="syncd changes --since 24h --kind removed",
        codes=(0, 64, 69, 78),
        run=dispatch.changes,
    )
    take.database(parser)
    parser.add_argument("--since", metavar="T", help="2026-11-23, 2026-11-23T15:10:08Z, 24h, 7d")
    take.organization(parser)
    parser.add_argument(
        "--kind",
        type=take.comma_list("added", "changed", "removed"),
        default=(),
        metavar="KINDS",
        help="only these, separated by commas: added, changed, removed",
    )
    parser.add_argument(
        "--entity",
        type=take.comma_list("user", "token", "group", "relation", "application"),
        default=(),
        metavar="NAMES",
        help="only these, separated by commas: user, token, group, relation, application",
    )
    parser.add_argument(
        "--run", dest="run_id", type=int, metavar="ID", help="only those of one run"
    )
    take.limit(parser, default=None, words="default: 100, with --json all")
    take.json(parser, "print one JSON document per line: a row of the view `changes`")


def _apps(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "apps",
        "show applications by risk",
        "Show the applications, the riskiest first: by the level of their riskiest scope, then by "
        "how many users gave them so much.",
        example="syncd apps --risk high --sort users",
        codes=(0, 64, 69, 78),
        run=dispatch.apps,
    )
    take.notes(parser, notes.APPS)
    take.database(parser)
    take.organization(parser)
    parser.add_argument(
        "--risk",
        type=take.comma_list("high", "medium", "low"),
        default=(),
        metavar="LEVELS",
        help="only these, separated by commas: high, medium, low",
    )
    parser.add_argument(
        "--sort",
        choices=("risk", "users"),
        default="risk",
        help="what comes first: the riskiest, or those with most users in all (default: risk)",
    )
    take.limit(parser, default=None, words="default: 50, with --json all")
    take.json(parser, "print one JSON document per line, with every scope and its users")


def _export(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "export",
        "write a view as CSV or JSON Lines",
        f"Write all rows of a view: {', '.join(take.VIEWS)}. In CSV no text is left that a "
        "spreadsheet takes for a formula; JSON Lines hold every value as it is.",
        example="syncd export tokens --format jsonl --output tokens.jsonl",
        codes=(0, 64, 69, 73, 78),
        run=dispatch.export,
    )
    parser.add_argument("view", metavar="VIEW", type=take.view, help="such as users or tokens")
    take.database(parser)
    take.organization(parser)
    parser.add_argument("--format", choices=("csv", "jsonl"), required=True)
    parser.add_argument("--all", action="store_true", help="also rows that have been removed")
    take.path(parser, "--output", metavar="FILE", words="default: standard output")


def _backup(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "backup",
        "copy the database while it is in use",
        "Write a consistent copy of the database to a file that does not exist yet.",
        example="syncd backup /var/backups/syncd-monday.db",
        codes=(0, 64, 69, 73, 78),
        run=dispatch.backup,
    )
    take.path(parser, "file", metavar="FILE", words="the copy; never overwritten")
    take.database(parser)


def _config(commands: take.Subparsers) -> None:
    parser = commands.add_parser("config", help="show the configuration", allow_abbrev=False)
    parts = parser.add_subparsers(title="commands", metavar="COMMAND", dest="part", required=True)
    show = take.command(
        parts,
        "show",
        "show every value in effect",
        "Show the configuration as it is in effect, defaults included and secrets as ***.",
        example="syncd config show",
        codes=(0, 64, 78),
        run=dispatch.config_show,
    )
    take.json(show, "print one JSON document")
    take.command(
        parts,
        "default",
        "show every key with its default",
        "Print a commented configuration of every key with its default, meaning and range.",
        example="syncd config default > syncd.toml",
        codes=(0,),
        run=dispatch.config_default,
    )


def _demo(commands: take.Subparsers) -> None:
    parser = take.command(
        commands,
        "demo",
        "sync a made-up organization",
        "Start a made-up directory on this machine, sync it, and show what that brings. Needs no "
        "configuration and no network.",
        example="syncd demo --users 2000 --keep demo.db",
        codes=(0, 3, 64, 69, 73, 130),
        run=dispatch.demo,
    )
    cast("Parser", parser).late_notes = notes.faults
    parser.add_argument(
        "--users", type=take.users, default=500, metavar="N", help="1 or more (default: 500)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another organization")
    parser.add_argument(
        "--latency",
        type=take.duration,
        metavar="T",
        help="how long each answer takes, such as 60ms",
    )
    parser.add_argument(
        "--fault",
        type=take.fault,
        action="append",
        default=[],
        metavar="NAME=SHARE",
        help="let this share of the answers fail, such as rate_limit_429=0.05; may be repeated; "
        "the names are below",
    )
    take.path(parser, "--keep", metavar="FILE", words="keep the database in this file")
    take.json(parser, "print one JSON document")


def entry(arguments: Sequence[str] | None = None) -> int:
    """The console script: carry out a command line; returns the exit code."""
    output.tolerate_any_text()
    parser = build_parser()
    try:
        args = parser.parse_args(_asked_for_help(sys.argv[1:] if arguments is None else arguments))
        if args.command is None:
            output.note(parser.format_help())
            return ExitCode.USAGE
        code = int(args.execute(args))
    except output.OutputClosed:
        code = ExitCode.OK
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except SyncdError as error:
        output.complain(error)
        code = error.exit_code
    except Exception as error:  # a bug: one event without local values, and its own exit code
        _log_crash(error)
        code = ExitCode.BUG
    return _delivered(code)


def _delivered(code: int) -> int:
    """The exit code, once all that was printed has reached whoever reads, if it can."""
    try:
        output.flush()
    except output.OutputClosed:
        output.abandon()
    except CannotCreate as error:
        output.abandon()
        if code == ExitCode.OK:
            output.complain(error)
            return error.exit_code
    return code


def _asked_for_help(arguments: Sequence[str]) -> Sequence[str]:
    """``syncd help COMMAND`` as ``syncd COMMAND --help``."""
    return [*arguments[1:], "--help"] if arguments[:1] == ["help"] else arguments


def _log_crash(error: Exception) -> None:
    import structlog

    from syncd.host.log import configure

    if not structlog.is_configured():
        configure(format="console")
    structlog.get_logger().error("program_crashed", exc_info=error)


if __name__ == "__main__":
    sys.exit(entry())
