"""``syncd backup``: a consistent copy of the database while it is in use."""

from __future__ import annotations

import argparse

from syncd.cli import output
from syncd.cli.settings import open_database


def run(args: argparse.Namespace) -> int:
    """Copy the database to a file that does not exist yet."""
    with open_database(args) as database:
        size = database.backup(args.file)
        output.say(f"{args.file}: a copy of {database.path}, {size / (1 << 20):,.1f} MiB")
    return 0
