"""``syncd check``: is the configuration right? Reads the file, and nothing else."""

from __future__ import annotations

import argparse

from syncd.cli import output
from syncd.cli.settings import config_path, load_config
from syncd.config import Config


def run(args: argparse.Namespace) -> int:
    """Print what the configuration says, or every problem in it."""
    config = load_config(args, require_organization=args.online)
    output.say(described(str(config_path(args)), config))
    if args.online:
        from syncd.cli.commands.check import online

        return online(config)
    return 0


def described(source: str, config: Config) -> str:
    """In a few lines, what a configuration amounts to."""
    lines = [f"{source}: ok", f"  database      {config.store.path}"]
    for organization in config.organizations:
        state = "" if organization.enabled else " (disabled)"
        endpoints = ", ".join(organization.endpoints)
        name = f"{organization.name}{state}: {organization.provider}, {endpoints}"
        lines.append(f"  organization  {name}")
    if not config.organizations:
        lines.append("  no organization yet: `syncd init PROVIDER` shows how to write one")
    return "\n".join(lines)
