"""Arguments that several commands take, and how a command's help looks."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from syncd.errors import ExitCode

if TYPE_CHECKING:
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)
else:
    Subparsers = object

VIEWS = (
    "users",
    "tokens",
    "relations",
    "applications",
    "groups",
    "user_applications",
    "changes",
    "runs",
    "collections",
    "held_removals",
)

_CODES = {
    ExitCode.OK: "ok",
    ExitCode.PARTIAL: "finished, and something could not be read",
    ExitCode.RUN_UNDER_WAY: "the organization is being synced already",
    ExitCode.USAGE: "wrong usage",
    ExitCode.UNAVAILABLE: "the database or the provider is not available",
    ExitCode.CANNOT_CREATE: "a file cannot be created",
    ExitCode.NO_PERMISSION: "a credential or a permission is missing",
    ExitCode.CONFIG: "the configuration is wrong",
    ExitCode.INTERRUPTED: "interrupted",
}


def command(
    commands: Subparsers,
    name: str,
    summary: str,
    description: str,
    *,
    example: str,
    codes: Sequence[int],
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Add a command whose help has an example and the exit codes that matter."""
    meanings = "\n".join(f"  {code:>3}  {_CODES[ExitCode(code)]}" for code in codes)
    parser = commands.add_parser(
        name,
        help=summary,
        description=textwrap.fill(description, 78),
        epilog=f"example:\n  {example}\n\nexit codes:\n{meanings}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    config_file(parser, default=argparse.SUPPRESS)
    parser.set_defaults(execute=run)
    return parser


def notes(parser: argparse.ArgumentParser, text: str) -> None:
    """Have a command's help explain something before its example."""
    parser.epilog = f"{text}\n{parser.epilog}"


def config_file(parser: argparse.ArgumentParser, default: object) -> None:
    """``-c FILE``, before or after the command."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=default,
        metavar="FILE",
        help="default: $SYNCD_CONFIG, else /etc/syncd/config.toml",
    )


def database(parser: argparse.ArgumentParser) -> None:
    """``--database FILE``, for those who may read the database and not the configuration."""
    path(parser, "--database", metavar="FILE", words="instead of the configuration's database")


def organization(parser: argparse.ArgumentParser) -> None:
    """``--org ORG``."""
    parser.add_argument("--org", metavar="ORG", help="only this organization")


def limit(parser: argparse.ArgumentParser, default: int | None, words: str = "") -> None:
    """``--limit N``."""
    parser.add_argument(
        "--limit",
        type=count,
        default=default,
        metavar="N",
        help=f"show at most this many, 0 for all ({words or f'default: {default}'})",
    )


def json(parser: argparse.ArgumentParser, words: str) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help=words)


def path(parser: argparse.ArgumentParser, name: str, *, metavar: str, words: str) -> None:
    """A file."""
    parser.add_argument(name, type=Path, metavar=metavar, help=words)


def count(text: str) -> int:
    """A whole number from 0 on."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 2**62:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return value


def users(text: str) -> int:
    """A number of users, 1 or more."""
    try:
        value = count(text)
    except argparse.ArgumentTypeError:
        value = 0
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of users: 1 or more")
    return value


def view(text: str) -> str:
    """The name of a view."""
    if text in VIEWS:
        return text
    live = text.removesuffix("_all")
    hint = f"write `{live} --all`" if live in VIEWS else f"there are {', '.join(VIEWS)}"
    raise argparse.ArgumentTypeError(f"no view {text!r}; {hint}")


def fault(text: str) -> str:
    """``NAME=SHARE`` with the name of a fault that the demo directory knows."""
    import difflib

    from syncd.demo import FAULT_NAMES

    name = text.partition("=")[0]
    if name in FAULT_NAMES:
        return text
    alike = [known for known in FAULT_NAMES if name and name in known]
    near = alike or difflib.get_close_matches(name, FAULT_NAMES, 3, 0.5)
    hint = f"near it: {', '.join(near)}" if near else "`syncd demo --help` lists them"
    raise argparse.ArgumentTypeError(f"no fault {name!r}; {hint}")


def duration(text: str) -> float:
    """Seconds of a duration such as 60ms."""
    from syncd.timing import parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a duration such as 60ms or 1.5s"
        ) from None


def comma_list(*choices: str) -> Callable[[str], tuple[str, ...]]:
    """A function that reads words separated by commas, each one of the choices."""

    def read(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
        wrong = [word for word in words if word not in choices]
        if wrong or not words:
            found = f"{wrong[0]!r} is not" if wrong else "at least one of them is needed: not"
            raise argparse.ArgumentTypeError(f"{found} one of {', '.join(choices)}")
        return words

    return read
