"""What differs between two configurations, and which of it a reload can bring."""

from __future__ import annotations

from typing import Any, NamedTuple

from syncd.config.keys import Key, keys_of
from syncd.config.schema import Config, OrganizationConfig

_Values = dict[str, tuple[Any, bool]]
"""By key path: a value, and whether a reload may change it."""


class Difference(NamedTuple):
    """Key paths, sorted; an organization goes by its name: ``organization[acme].retries``."""

    reloadable: tuple[str, ...]
    needs_restart: tuple[str, ...]


def difference(old: Config, new: Config) -> Difference:
    """What ``new`` changes. An organization that comes or goes is one change."""
    before, after = _flat(old), _flat(new)
    changed: dict[str, bool] = {}
    for path in before.keys() | after.keys():
        was, now = before.get(path), after.get(path)
        if was is None or now is None:
            # Only whole organizations, and keys of another provider, come and go.
            changed[path.partition("].")[0] + "]"] = True
        elif was[0] != now[0]:
            changed[path] = now[1]
    return Difference(
        tuple(sorted(path for path, reloadable in changed.items() if reloadable)),
        tuple(sorted(path for path, reloadable in changed.items() if not reloadable)),
    )


def _flat(config: Config) -> _Values:
    values: _Values = {}
    for name in ("daemon", "store", "log", "resources", "sync"):
        section = getattr(config, name)
        _add(values, name, section, keys_of(type(section)))
    for route, limits in config.resources.routes.items():
        _add(values, f"resources.{route}", limits, keys_of(type(limits)))
    for each in config.organizations:
        _add_organization(values, each)
    return values


def _add(values: _Values, title: str, section: object, keys: tuple[Key, ...]) -> None:
    for each in keys:
        values[f"{title}.{each.name}"] = (getattr(section, each.name), each.reloadable)


def _add_organization(values: _Values, organization: OrganizationConfig) -> None:
    title = f"organization[{organization.name}]"
    _add(values, title, organization, keys_of(OrganizationConfig))
    for each in organization.schema.keys:
        values[f"{title}.{each.name}"] = (organization.options[each.name], each.reloadable)
