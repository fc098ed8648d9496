"""A configuration written out: as it is in effect, and as a commented file of defaults."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from syncd.config.keys import Key, keys_of, toml_text
from syncd.config.profiles import RouteLimits, route_limits
from syncd.config.schema import SECTIONS, Config, OrganizationConfig, ProviderSchema, Section

HIDDEN = "***"
"""What stands in the place of a secret."""

_WIDTH = 96

_FILE_HEAD = """\
# Configuration of syncd. Every key is shown with its default; remove the # before one to set it.
# `syncd check` reports every problem.
"""


def effective(config: Config) -> dict[str, Any]:
    """Every value in effect, as a document that :func:`~syncd.config.load` reads back equal.

    A secret is shown as ``***``; where a credential is to be found is no secret.
    """
    document: dict[str, Any] = {}
    for name in ("daemon", "store", "log", "resources", "sync"):
        section = getattr(config, name)
        document[name] = _shown(keys_of(type(section)), section)
    for route, limits in config.resources.routes.items():
        document["resources"][route] = _shown(keys_of(RouteLimits), limits)
    organizations = [_shown_organization(each) for each in config.organizations]
    return document | ({"organization": organizations} if organizations else {})


def _shown(keys: tuple[Key, ...], section: object) -> dict[str, Any]:
    return {each.name: each.kind.show(getattr(section, each.name)) for each in keys}


def _shown_organization(organization: OrganizationConfig) -> dict[str, Any]:
    shown = _shown(keys_of(OrganizationConfig), organization)
    for each in organization.schema.keys:
        value = organization.options[each.name]
        if value is not None:
            shown[each.name] = HIDDEN if each.secret else each.kind.show(value)
    return shown


def default_toml(providers: Mapping[str, ProviderSchema]) -> str:
    """A file of comments that shows every key with its default, meaning, range and unit.

    A line that starts with ``#`` and no space is TOML; all other comments are words. The first
    provider's table shows every key of an organization, the others' only what is different.
    """
    parts = [_FILE_HEAD]
    for section in SECTIONS:
        parts.append(f"[{section.title}]\n# {section.doc}\n")
        parts.extend(_file_key(each, fixed_default(section, each)) for each in section.keys)
    for number, schema in enumerate(providers.values(), 1):
        parts.append(f"#[[organization]]\n# {schema.doc or OrganizationConfig.__doc__}\n")
        parts.extend(
            _file_key(each, each.default, number)
            for each in schema.organization_keys()
            if number == 1 or each in schema.keys or each.required or each.name in schema.defaults
        )
    return "\n".join(parts)


def fixed_default(section: Section, key: Key) -> object:
    """A key's default as in a file; that of a route's limit is what the default profile says."""
    if len(section.path) > 1:
        return getattr(route_limits("production")[section.path[1]], key.name)
    return key.default


def _facts(key: Key, default: object) -> str:
    """In a few words: the unit, and what holds without the key."""
    words = [f"unit: {key.kind.unit}"] if key.kind.unit else []
    if key.required:
        words.append("required")
    elif default is None:
        words.append(f"default: {key.unset}")
    return "; ".join(words)


def _file_key(key: Key, default: object, number: int = 1) -> str:
    sentences = [key.doc, key.kind.allowed, _facts(key, default)]
    text = " ".join(f"{each[0].upper()}{each[1:].rstrip('.')}." for each in sentences if each)
    value = key.example if default is None else default
    if key.name == "name" and number > 1:
        value = f"{value}{number}"  # so that all the tables together are a valid file
    lines = textwrap.wrap(text, _WIDTH, break_on_hyphens=False, break_long_words=False)
    return "\n".join([*(f"# {line}" for line in lines), f"#{key.name} = {toml_text(value)}", ""])
