"""The reference of the configuration, ``docs/configuration.md``, from the keys' declarations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd.config.keys import Key, keys_of, toml_text
from syncd.config.profiles import PROFILES, ROUTES
from syncd.config.schema import SECTIONS, OrganizationConfig, ProviderSchema, Section
from syncd.config.show import fixed_default

_HEAD = """\
# Configuration

syncd reads one TOML file: the one named by `-c FILE`, else by `$SYNCD_CONFIG`, else
`/etc/syncd/config.toml`. `syncd check` validates it and reports every problem at once, each with
its line; `syncd config show` prints what is in effect; `syncd config default` prints a commented
file with every key.

- A duration is a text with a unit: `"90s"`, `"15m"`, `"1h30m"` (ms, s, m, h, d).
- A size is a number of bytes, or a text with a unit: `"64MiB"` (B, KiB, MiB, GiB).
- Unknown keys, wrong types and values out of range are errors. `true` is not a number.
- The next command that starts reads the file as it is then. A file with a problem is refused.
"""

_STORE = """\
`sqlite:///var/lib/syncd/syncd.db` and `sqlite:////var/lib/syncd/syncd.db` both mean the absolute
path `/var/lib/syncd/syncd.db`. `sqlite:syncd.db` means the file `syncd.db` in the directory of the
configuration file, from wherever syncd is started. SQLite is the only database so far.
"""

_RESOURCES = """\
A route is one of the endpoints users, tokens and relations, or main: how many endpoints are read
at once. A limit in a route's own table wins over `max_concurrency` here, which wins over the
profile:
"""

_ORGANIZATION = """\
One table for each organization to sync. Where a credential is looked for:

- `credential:NAME`: `$CREDENTIALS_DIRECTORY/NAME`, then `$CREDENTIALS_DIRECTORY/syncd_NAME` (where
  systemd puts it), then `/etc/syncd/credentials/NAME`;
- `file:/absolute/path`: that file;
- `env:NAME`: the environment variable `NAME`.

It is never the secret itself.
"""


def reference_markdown(providers: Mapping[str, ProviderSchema]) -> str:
    """The text of the reference: every section and key, then what each provider adds."""
    parts = [_HEAD]
    for section in SECTIONS:
        parts.append(f"## `[{section.title}]`\n\n{section.doc}\n")
        parts.extend(_notes(section))
        defaults = {each.name: fixed_default(section, each) for each in section.keys}
        parts.append(_keys_table(section.keys, defaults))
    general = keys_of(OrganizationConfig)
    parts.append(f"## `[[organization]]`\n\n{_ORGANIZATION}")
    parts.append(_keys_table(_by_provider(general, providers)))
    parts.extend(_provider(schema) for schema in providers.values())
    return "\n".join(parts)


def _notes(section: Section) -> list[str]:
    if section.title == "store":
        return [_STORE]
    return [_RESOURCES, _profiles_table()] if section.title == "resources" else []


def _profiles_table() -> str:
    rows = [
        [name, *(str(limits[route].max_concurrency) for route in ROUTES)]
        for name, limits in PROFILES.items()
    ]
    return _table(["profile", *ROUTES], rows)


def _by_provider(keys: tuple[Key, ...], providers: Mapping[str, ProviderSchema]) -> list[Key]:
    """The general keys; a required one is said to be so only if no provider has a default."""
    given = {name for schema in providers.values() for name in schema.defaults}
    return [replace(each, unset="by provider") if each.name in given else each for each in keys]


def _keys_table(keys: Sequence[Key], defaults: Mapping[str, object] | None = None) -> str:
    rows = []
    for each in keys:
        default = each.default if defaults is None else defaults[each.name]
        shown = _code(default) if default is not None else each.unset or "required"
        unit = f" ({each.kind.unit})" if each.kind.unit else ""
        rows.append([f"`{each.name}`", shown, each.kind.allowed + unit, each.doc])
    return _table(["key", "default", "allowed", "meaning"], rows)


def _provider(schema: ProviderSchema) -> str:
    parts = [f"### Provider `{schema.name}`\n"]
    if schema.doc:
        parts.append(f"{schema.doc}\n")
    if schema.defaults:
        rows = [[f"`{name}`", _code(value)] for name, value in schema.defaults.items()]
        parts.append(_table(["general key", "default here"], rows))
    if schema.keys:
        parts.append(_keys_table(schema.keys))
    return "\n".join(parts)


def _code(value: object) -> str:
    return f"`{toml_text(value)}`"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |\n" for row in lines)
