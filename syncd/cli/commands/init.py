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
from syncd.host.secrets import DEFAULT_DIRECTORY

_HEAD = """\
# Configuration of syncd. `syncd check` reports every problem in it,
# `syncd config default` shows every key there is.

[daemon]
#interval = "15m"

[store]
#url = "sqlite:///var/lib/syncd/syncd.db"

# `syncd check` does not accept this table before every CHANGE-ME in it has been changed.
[[organization]]
"""

_CHANGE_ME = "CHANGE-ME"
_NOT_CHANGED = frozenset({"provider", "credentials"})
"""Required keys whose example will do."""

_STEPS = """\
Next:
{steps}

then:
  {command} check
      reports every problem of the file
  {command} check --online
      tries the credentials and every permission
  {command} sync --dry-run
      shows what a first sync would bring
"""


def run(args: argparse.Namespace) -> int:
    """Write a starting configuration to a file that does not exist yet."""
    schemas = provider_schemas()
    if args.provider not in schemas:
        raise UsageError(f"no provider {args.provider!r}; there are {', '.join(schemas)}")
    path = args.output or config_path(args)
    _write(path, starting_config(schemas[args.provider]))
    output.say(f"{path}: written\n\n{next_steps(path, schemas[args.provider])}")
    return 0


def starting_config(schema: ProviderSchema) -> str:
    """A file with one organization; keys that have a default are comments.

    It is valid but for the values that nobody but the user knows.
    """
    keys = schema.organization_keys()
    needed = [key for key in keys if key.required]
    optional = [key for key in keys if not key.required]
    return _HEAD + "\n".join(_lines(key) for key in (*needed, *optional))


def _lines(key: Key) -> str:
    mark = "" if key.required else "#"
    value, doc = key.default if key.default is not None else key.example, key.doc
    if key.required and key.name not in _NOT_CHANGED:
        value, doc = _CHANGE_ME, f"{doc} Such as {toml_text(key.example)}."
    comment = "\n".join(f"# {line}" for line in textwrap.wrap(doc, 96))
    return f"{comment}\n{mark}{key.name} = {toml_text(value)}\n"


def next_steps(path: Path, schema: ProviderSchema) -> str:
    """What the user has to do now."""
    google = schema.name == "google_workspace"
    key_file = "KEY.json" if google else "SECRET"
    example = next(key.example for key in schema.organization_keys() if key.name == "credentials")
    place = DEFAULT_DIRECTORY / str(example).removeprefix("credential:")
    steps = [
        *(_google_steps() if google else []),
        (
            "put the key where syncd finds it, for nobody but the user who runs syncd:\n"
            f"       install -d -m 0700 {DEFAULT_DIRECTORY}\n"
            f"       install -m 0600 {key_file} {place}"
        ),
        f"edit {path}: change every {_CHANGE_ME}",
    ]
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1))
    return _STEPS.format(steps=numbered, command=f"syncd -c {shlex.quote(str(path))}")


def _google_steps() -> list[str]:
    from syncd.providers.google_workspace import SCOPES

    scopes = ",\n     ".join(sorted(set(SCOPES.values())))
    return [
        "in the Google Cloud console, make a service account with a JSON key",
        (
            "in the Google Admin console, under Security > Access and data control >\n"
            "     API controls > Domain-wide delegation, give the account's client id\n"
            f"     these scopes:\n     {scopes}"
        ),
    ]


_ELSEWHERE = "name another file with --output FILE"


def _make_folder(folder: Path) -> None:
    """Make the directory of the file, 0750, if it is missing; not those above it."""
    try:
        folder.mkdir(mode=0o750)
    except FileExistsError:
        return
    except OSError as error:
        make = shlex.join(["mkdir", "-p", "-m", "0750", str(folder)])
        who = " as root" if isinstance(error, PermissionError) else ""
        raise CannotCreate(
            f"{folder}: there is no such directory, and it cannot be made: {error.strerror}; "
            f"run `{make}`{who} first, or {_ELSEWHERE}"
        ) from error


def _write(path: Path, text: str) -> None:
    _make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    except FileExistsError:
        raise CannotCreate(
            f"{path}: this file is there already and is never overwritten; {_ELSEWHERE}"
        ) from None
    except OSError as error:
        raise CannotCreate(
            f"{path}: cannot be written: {error.strerror}; run this as a user who may write to "
            f"{path.parent}, or {_ELSEWHERE}"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
