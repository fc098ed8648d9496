"""What every command needs first: the configuration, and the database that it names."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from syncd.config import Config, ProviderSchema, load
from syncd.errors import ForeignDatabase, StoreError

if TYPE_CHECKING:
    from syncd.store.reader import ReadOnlyDatabase

DEFAULT_CONFIG = Path("/etc/syncd/config.toml")
VARIABLE = "SYNCD_CONFIG"


def config_path(args: argparse.Namespace) -> Path:
    """The configuration file: ``-c``, else ``$SYNCD_CONFIG``, else the one in /etc."""
    given: Path | None = args.config
    if given is not None:
        return given
    return Path(os.environ.get(VARIABLE) or DEFAULT_CONFIG)


def provider_schemas() -> Mapping[str, ProviderSchema]:
    """What each provider adds to the configuration, by name."""
    from syncd.providers.registry import schemas

    return schemas()


def load_config(args: argparse.Namespace, *, require_organization: bool = False) -> Config:
    """The configuration. Raises ConfigError with every problem of the file."""
    return load(config_path(args), provider_schemas(), require_organization=require_organization)


def database_path(args: argparse.Namespace) -> Path:
    """The database: ``--database``, else the configuration's."""
    given: Path | None = args.database
    return given if given is not None else load_config(args).store.path


def open_database(args: argparse.Namespace) -> ReadOnlyDatabase:
    """The database, for reading. Raises StoreError."""
    from syncd.store.reader import ReadOnlyDatabase

    given: Path | None = args.database
    if given is None:
        return ReadOnlyDatabase(database_path(args))
    if not given.exists():
        raise StoreError(f"--database {given}: there is no such file")
    if given.is_dir():
        raise StoreError(f"--database {given}: this is a directory; name the database in it")
    try:
        return ReadOnlyDatabase(given)
    except ForeignDatabase as error:
        raise ForeignDatabase(f"--database {given}: this is no database of syncd") from error
