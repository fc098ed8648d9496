"""``syncd init``: a configuration to start from, made of the keys that a provider declares."""

from __future__ import annotations

import argparse
import os
import shlex
import textwrap
from pathlib import Path

from syncd.cli import output
from syncd.cli.settings import config_path, provider_schemas
from syncd.config import Key, ProviderSchema
from syncd.config.keys import toml_text
from syncd.errors import CannotCreate, UsageError

_HEAD = """\
# Configuration of syncd. `syncd check` reports every problem in it,
# `syncd config default` shows every key there is.

[daemon]
#interval = "15m"

[store]
#url = "sqlite:///var/lib/syncd/syncd.db"

[[organization]]
"""

_STEPS = """\
Next:
{steps}

then:
  {command} check             reports every problem of the file
  {command} check --online    tries the credentials and every permission
  {command} sync --dry-run    shows what a first sync would bring
"""


def run(args: argparse.Namespace) -> int:
    """Write a starting configuration to a file that does not exist yet."""
    schemas = provider_schemas()
    if args.provider not in schemas:
        raise UsageError(f"no provider {args.provider!r}; there are {', '.join(schemas)}")
    path = args.output or config_path(args)
    _write(path, starting_config(schemas[args.provider]))
    output.say(f"{path}: written\n{next_steps(path, args.provider)}")
    return 0


def starting_config(schema: ProviderSchema) -> str:
    """A valid file with one organization; keys that have a default are comments."""
    keys = schema.organization_keys()
    needed = [key for key in keys if key.required]
    optional = [key for key in keys if not key.required]
    return _HEAD + "\n".join(_lines(key) for key in (*needed, *optional))


def _lines(key: Key) -> str:
    mark = "" if key.required else "#"
    value = key.default if key.default is not None else key.example
    doc = "\n".join(f"# {line}" for line in textwrap.wrap(key.doc, 96))
    return f"{doc}\n{mark}{key.name} = {toml_text(value)}\n"


def next_steps(path: Path, provider: str) -> str:
    """What the user has to do now."""
    steps = [
        f"edit {path}: put your own values in the place of the examples",
        *(_google_steps() if provider == "google_workspace" else []),
        "put the credentials where `credentials` says, readable by their owner only",
    ]
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
    return _STEPS.format(steps=numbered, command=f"syncd -c {shlex.quote(str(path))}")


def _google_steps() -> list[str]:
    from syncd.providers.google_workspace import SCOPES

    scopes = ",\n     ".join(sorted(set(SCOPES.values())))
    return [
        "in the Google Cloud console, make a service account with a JSON key",
        (
            "in the Google Admin console, under Security > Access and data control > API controls"
            " >\n     Domain-wide delegation, give the account's client id these scopes:\n     "
            + scopes
        ),
    ]


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        raise CannotCreate(
            f"{path}: exists already and is not overwritten; name another file with --output"
        ) from None
    except OSError as error:
        raise CannotCreate(
            f"{path}: cannot be written: {error.strerror}; make the directory {path.parent} "
            "writable for this user, or name another file with --output"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
