"""The sections of the configuration with their keys, and the values that a file becomes.

Times are seconds, sizes are bytes, shares are percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.config.keys import FrozenMap, Key, key, keys_of
from syncd.config.kinds import Bool, Choice, Choices, Duration, Int, Number, Size, Text
from syncd.config.places import CredentialSpec, HttpsUrl, StoreUrl, store_path
from syncd.config.profiles import MAX_CONCURRENCY, PROFILES, ROUTES, RouteLimits, route_limits
from syncd.model import ENDPOINTS

_INTERVAL = Duration("1m", "7d")


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """When syncs are due."""

    interval: float = key(
        _INTERVAL,
        "The time between two syncs of an organization, as your timer starts them; a stopped run "
        "is resumed for that long, 1h at least.",
        "15m",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where the copy is kept."""

    url: str = key(
        StoreUrl(),
        "The database. A relative path counts from the directory of this file.",
        "sqlite:///var/lib/syncd/syncd.db",
        reloadable=False,
    )

    @property
    def path(self) -> Path:
        """The database file."""
        return store_path(self.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What is logged, and how."""

    level: str = key(
        Choice(("debug", "info", "warning", "error")), "The least severe events to log.", "info"
    )
    format: str = key(
        Choice(("auto", "json", "console")),
        "How a line looks; auto is console on a terminal and json elsewhere.",
        "auto",
        reloadable=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcesConfig:
    """How much of this machine a sync may use."""

    profile: str = key(
        Choice(tuple(PROFILES)),
        "The set of limits to start from; development allows more at once.",
        "production",
    )
    routes: FrozenMap[RouteLimits] = field(default_factory=lambda: route_limits("production"))
    """The limits of each of :data:`~syncd.config.profiles.ROUTES`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncConfig:
    """How a sync goes on, and what it holds back."""

    max_removed_percent: float = key(
        Number(0, 100, "percent"),
        "Removals of more than this share of an organization's rows of one kind are held back.",
        20,
    )
    hold_above_rows: int = key(
        Int(0, 1_000_000, "rows"),
        "Removals of up to this many rows are never held back.",
        10,
    )
    commit_interval: float = key(
        Duration("50ms", "10s"), "How long what was read waits at most to be committed.", "1s"
    )
    commit_collections: int = key(
        Int(1, 1000, "collections"), "After how many collections read a commit comes.", 100
    )
    max_witness_requests: int = key(
        Int(0, 10_000, "requests"),
        "How many requests a run spends on asking whether a missing row is really gone.",
        500,
    )
    progress_interval: float = key(
        Duration("1s", "10m"),
        "How often progress is logged when standard error is not a terminal.",
        "10s",
    )


@dataclass(frozen=True, slots=True)
class ProviderSchema:
    """What the configuration has to know of a provider."""

    name: str
    keys: tuple[Key, ...] = ()
    """The provider's own keys in an ``[[organization]]`` table."""
    defaults: Mapping[str, object] = field(default_factory=dict)
    """Its defaults for the general keys, as in a file, such as ``{"quota_per_minute": 2400}``."""
    doc: str = ""
    """One line for the user."""

    def organization_keys(self) -> tuple[Key, ...]:
        """All keys of an organization of this provider, with this provider's defaults."""
        general = keys_of(OrganizationConfig)
        return (*(self._adapted(each) for each in general), *self.keys)

    def _adapted(self, general: Key) -> Key:
        default = self.defaults.get(general.name, general.default)
        return Key(
            general.name,
            general.kind,
            general.doc,
            default,
            required=general.required and default is None,
            reloadable=general.reloadable,
            example=self.name if general.name == "provider" else general.example,
            unset=general.unset,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationConfig:
    """One organization to sync."""

    name: str = key(
        Text("a name of a-z, 0-9, dot, dash and underscore", r"[a-z0-9][a-z0-9._-]{0,62}"),
        "What syncd calls this organization: unique, and not to be changed later.",
        required=True,
        example="acme",
    )
    provider: str = key(
        Text("the name of a provider"), "Where its directory is.", required=True, example=""
    )
    enabled: bool = key(Bool(), "Whether it is synced; its rows stay when it is not.", default=True)
    interval: float = key(
        _INTERVAL,
        "The time between two syncs of this one.",
        unset="as in [daemon]",
        example="15m",
    )
    endpoints: tuple[str, ...] = key(Choices(ENDPOINTS), "What is read of it.", list(ENDPOINTS))
    credentials: str = key(
        CredentialSpec(),
        "Where the secret is: a name below /etc/syncd/credentials, a file, or a variable.",
        required=True,
        example="credential:acme.json",
    )
    base_url: str = key(
        HttpsUrl(), "The provider's address.", required=True, example="https://directory.example"
    )
    request_timeout: float = key(
        Duration("1s", "120s"), "The total time that one request may take.", "120s"
    )
    max_response_bytes: int = key(
        Size("64KiB", "1GiB"), "Longer answers are refused, counted unpacked.", "64MiB"
    )
    retries: int = key(Int(0, 20, "times"), "How often one page is tried again.", 6)
    retry_backoff: float = key(
        Duration("1ms", "60s"),
        "How long the first retry waits at most; each next one, twice that.",
        "1s",
    )
    quota_per_minute: int = key(
        Int(1, 10_000_000, "requests"),
        "How many requests a minute the provider allows.",
        required=True,
        example=600,
    )
    options: FrozenMap[Any] = field(default_factory=FrozenMap, repr=False)
    """The values of the provider's own keys."""
    schema: ProviderSchema = field(
        default_factory=lambda: ProviderSchema(""), repr=False, compare=False
    )
    """What declares them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration, every value checked and every default filled in."""

    daemon: DaemonConfig = field(default_factory=DaemonConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    log: LogConfig = field(default_factory=LogConfig)
    resources: ResourcesConfig = field(default_factory=ResourcesConfig)
    sync: SyncConfig = field(default_factory=SyncConfig)
    organizations: tuple[OrganizationConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One ``[section]`` of the file."""

    path: tuple[str, ...]
    keys: tuple[Key, ...]
    doc: str

    @property
    def title(self) -> str:
        """Its name in the file, such as ``resources.users``."""
        return ".".join(self.path)


def _section(name: str, values: type[Any], *more: Key) -> Section:
    return Section((name,), (*keys_of(values), *more), (values.__doc__ or "").strip())


def _route_section(route: str) -> Section:
    doc = f"Limits of the route {route} alone."
    return Section(("resources", route), keys_of(RouteLimits), doc)


SECTIONS: tuple[Section, ...] = (
    _section("daemon", DaemonConfig),
    _section("store", StoreConfig),
    _section("log", LogConfig),
    _section(
        "resources",
        ResourcesConfig,
        Key(
            "max_concurrency",
            MAX_CONCURRENCY,
            "How much every route may do at once, unless its own table says otherwise.",
            example=3,
            unset="by profile and route",
        ),
    ),
    *(_route_section(route) for route in ROUTES),
    _section("sync", SyncConfig),
)
"""Every section but ``[[organization]]``, in the order of the default file."""
