"""From a parsed TOML document to a :class:`Config`, gathering every problem on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.config.keys import FrozenMap, Key, Refused, described_kind, keys_of, quoted, toml_text
from syncd.config.kinds import nearest
from syncd.config.lines import KeyPath, line_of
from syncd.config.places import store_path
from syncd.config.profiles import ROUTES, route_limits
from syncd.config.schema import (
    SECTIONS,
    Config,
    DaemonConfig,
    LogConfig,
    OrganizationConfig,
    ProviderSchema,
    ResourcesConfig,
    Section,
    StoreConfig,
    SyncConfig,
)
from syncd.errors import Problem

ORGANIZATION = "organization"
"""The name of the array of tables."""

_GENERAL = keys_of(OrganizationConfig)
_TOP_LEVEL = sorted({section.path[0] for section in SECTIONS} | {ORGANIZATION})
_HOMES = {
    **{each.name: "[[organization]]" for each in reversed(_GENERAL)},
    **{each.name: f"[{section.title}]" for section in reversed(SECTIONS) for each in section.keys},
}
"""In which table a key stands; of several, the most general one."""

Table = Mapping[str, Any]
Values = dict[str, Any]


def path_text(path: KeyPath) -> str:
    """A key path as people read it: ``organization[0].provider``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        plain = part.isascii() and part.replace("-", "_").isidentifier() and len(part) <= 60
        text += ("." if text else "") + (part if plain else quoted(part))
    return text


@dataclass(slots=True)
class Reader:
    """Reads one document. If there are ``problems`` afterwards, the result is not to be used."""

    lines: dict[KeyPath, int]
    providers: Mapping[str, ProviderSchema]
    base: Path
    """The directory from which a relative path counts."""
    problems: list[Problem] = field(default_factory=list)

    def config(self, document: Table, *, require_organization: bool = False) -> Config:
        """The configuration of a whole document."""
        self._refuse_unknown((), document, _TOP_LEVEL)
        tables = {section.title: self._section(document, section) for section in SECTIONS}
        daemon = DaemonConfig(**tables["daemon"])
        store = StoreConfig(**tables["store"])
        organizations = self._organizations(document, daemon)
        if require_organization and document.get(ORGANIZATION, []) == []:
            hint = "`syncd init PROVIDER` writes a configuration to start from"
            self._problem((), "no organization", "at least one table [[organization]]", hint)
        return Config(
            daemon=daemon,
            store=StoreConfig(url=f"sqlite://{store_path(store.url, self.base)}"),
            log=LogConfig(**tables["log"]),
            resources=_resources(tables),
            sync=SyncConfig(**tables["sync"]),
            organizations=organizations,
        )

    def _problem(self, path: KeyPath, found: str, allowed: str = "", hint: str = "") -> None:
        line = line_of(self.lines, path)
        self.problems.append(Problem(path_text(path), line, found, allowed, hint))

    def _refuse_unknown(self, path: KeyPath, table: Table, known: Sequence[str]) -> None:
        for name in table:
            if name not in known:
                home = _HOMES.get(name)
                hint = nearest(name, known) or (f"it belongs into {home}" if home else "")
                allowed = ", ".join(known)
                self._problem((*path, name), "unknown key", allowed, hint)

    def _section(self, document: Table, section: Section) -> Values:
        table: Any = document
        for depth, name in enumerate(section.path, 1):
            if name not in table:
                return {}
            table = table[name]
            if not isinstance(table, dict):
                # A section inside this one finds the same; one problem is enough.
                if depth == len(section.path):
                    title = f"[{section.title}]"
                    self._problem(section.path, described_kind(table), f"a table {title}")
                return {}
        known = [each.name for each in section.keys]
        if section.path == ("resources",):
            known += ROUTES
        self._refuse_unknown(section.path, table, known)
        return self._values(section.path, table, section.keys)

    def _values(self, path: KeyPath, table: Table, keys: Sequence[Key]) -> Values:
        """The values that ``table`` gives; those that it does not give are left out."""
        values: Values = {}
        for each in keys:
            if each.name not in table:
                continue
            at = (*path, each.name)
            raw = table[each.name]
            try:
                values[each.name] = each.kind.read(raw)
            except Refused as refused:
                found = described_kind(raw) if each.secret else refused.found
                self._problem(at, found, each.kind.allowed, refused.hint)
        return values

    def _organizations(
        self, document: Table, daemon: DaemonConfig
    ) -> tuple[OrganizationConfig, ...]:
        tables = document.get(ORGANIZATION, [])
        if not isinstance(tables, list):
            hint = "write it with two brackets" if isinstance(tables, dict) else ""
            self._problem((ORGANIZATION,), described_kind(tables), "tables [[organization]]", hint)
            return ()
        read = []
        names: dict[str, int] = {}
        for index, table in enumerate(tables):
            path = (ORGANIZATION, index)
            if not isinstance(table, dict):
                self._problem(path, described_kind(table), "a table [[organization]]")
                continue
            organization = self._organization(path, table, daemon)
            self._refuse_repeated(path, table, names)
            if organization is not None:
                read.append(organization)
        return tuple(read)

    def _refuse_repeated(self, path: KeyPath, table: Table, names: dict[str, int]) -> None:
        name = table.get("name")
        if not isinstance(name, str):
            return
        at = (*path, "name")
        if name in names:
            hint = f"line {names[name]} has it already"
            self._problem(at, f"{quoted(name)} again", "each name once", hint)
        names.setdefault(name, line_of(self.lines, at) or 0)

    def _organization(
        self, path: KeyPath, table: Table, daemon: DaemonConfig
    ) -> OrganizationConfig | None:
        """The organization of one table, or None if it has a problem."""
        before = len(self.problems)
        schema = self._schema(path, table)
        keys = _GENERAL if schema is None else schema.organization_keys()
        self._refuse_unknown(path, table, self._known(schema))
        given = self._values(path, table, keys)
        for each in keys:
            if each.required and each.name not in table and not self._excused(each, schema):
                self._missing(path, each)
        if schema is None or len(self.problems) > before:
            return None
        values = {each.name: each.default_value() for each in keys} | given
        options = FrozenMap({each.name: values.pop(each.name) for each in schema.keys})
        if values["interval"] is None:
            values["interval"] = daemon.interval
        return OrganizationConfig(**values, options=options, schema=schema)

    def _missing(self, path: KeyPath, key: Key) -> None:
        allowed = self._provider_names() if key.name == "provider" else key.kind.allowed
        hint = f"such as {key.name} = {toml_text(key.example)}" if key.example else ""
        self._problem((*path, key.name), "missing", allowed, hint)

    def _provider_names(self) -> str:
        return ", ".join(quoted(name) for name in sorted(self.providers))

    def _schema(self, path: KeyPath, table: Table) -> ProviderSchema | None:
        name = table.get("provider")
        schema = self.providers.get(name) if isinstance(name, str) else None
        if schema is None and isinstance(name, str):
            hint = nearest(name, list(self.providers))
            self._problem((*path, "provider"), quoted(name), self._provider_names(), hint)
        return schema

    def _known(self, schema: ProviderSchema | None) -> list[str]:
        """The keys that an organization may have; without a provider, those of any."""
        schemas = self.providers.values() if schema is None else [schema]
        extra = [each.name for one in schemas for each in one.keys]
        return list(dict.fromkeys([*(each.name for each in _GENERAL), *extra]))

    def _excused(self, required: Key, schema: ProviderSchema | None) -> bool:
        """Whether the provider is not known and may have a default for the key."""
        return schema is None and any(
            required.name in each.defaults for each in self.providers.values()
        )


def _resources(tables: Mapping[str, Values]) -> ResourcesConfig:
    general = tables["resources"]
    profile = general.get("profile", ResourcesConfig().profile)
    given = {route: tables[f"resources.{route}"].get("max_concurrency") for route in ROUTES}
    routes = {route: limit for route, limit in given.items() if limit is not None}
    limits = route_limits(profile, general.get("max_concurrency"), routes)
    return ResourcesConfig(profile=profile, routes=limits)
