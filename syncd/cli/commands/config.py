"""``syncd config``: the configuration in effect, and a commented file of all defaults."""

from __future__ import annotations

import argparse

import tomli_w

from syncd.cli import output
from syncd.cli.settings import load_config, provider_schemas
from syncd.config.show import default_toml, effective


def show(args: argparse.Namespace) -> int:
    """Show every value in effect; secrets are ``***``."""
    document = effective(load_config(args))
    if args.json:
        output.write_json_lines([document])
    else:
        output.write(tomli_w.dumps(document))
    return 0


def default(_: argparse.Namespace) -> int:
    """Show every key with its default, meaning and range."""
    output.write(default_toml(provider_schemas()))
    return 0
