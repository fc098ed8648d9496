"""One function per command, which imports the command's module; returns the exit code."""

from __future__ import annotations

import argparse


def sync(args: argparse.Namespace) -> int:
    """``syncd sync``."""
    from syncd.cli.commands.sync import run

    return run(args)


def check(args: argparse.Namespace) -> int:
    """``syncd check``."""
    from syncd.cli.commands.validate import run

    return run(args)


def init(args: argparse.Namespace) -> int:
    """``syncd init``."""
    from syncd.cli.commands.init import run

    return run(args)


def runs(args: argparse.Namespace) -> int:
    """``syncd runs``."""
    from syncd.cli.commands.runs import run

    return run(args)


def changes(args: argparse.Namespace) -> int:
    """``syncd changes``."""
    from syncd.cli.commands.changes import run

    return run(args)


def apps(args: argparse.Namespace) -> int:
    """``syncd apps``."""
    from syncd.cli.commands.apps import run

    return run(args)


def export(args: argparse.Namespace) -> int:
    """``syncd export``."""
    from syncd.cli.commands.export import run

    return run(args)


def backup(args: argparse.Namespace) -> int:
    """``syncd backup``."""
    from syncd.cli.commands.backup import run

    return run(args)


def config_show(args: argparse.Namespace) -> int:
    """``syncd config show``."""
    from syncd.cli.commands.config import show

    return show(args)


def config_default(args: argparse.Namespace) -> int:
    """``syncd config default``."""
    from syncd.cli.commands.config import default

    return default(args)


def demo(args: argparse.Namespace) -> int:
    """``syncd demo``."""
    from syncd.cli.commands.demo import run

    return run(args)
