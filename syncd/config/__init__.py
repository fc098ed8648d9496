"""The configuration: typed keys, read from a TOML file, with every problem found at once.

``load`` turns a file into a :class:`Config`; :class:`ProviderSchema` is how a provider adds keys.
"""

from syncd.config.changes import Difference, difference
from syncd.config.keys import FrozenMap, Key, Kind, Refused
from syncd.config.kinds import EMAIL, Bool, Choice, Choices, Duration, Int, Number, Size, Text
from syncd.config.load import load, loads
from syncd.config.places import HttpsUrl, parse_credential
from syncd.config.profiles import PROFILES, ROUTES, RouteLimits, route_limits
from syncd.config.reference import reference_markdown
from syncd.config.schema import (
    Config,
    DaemonConfig,
    LogConfig,
    OrganizationConfig,
    ProviderSchema,
    ResourcesConfig,
    StoreConfig,
    SyncConfig,
)
from syncd.config.show import default_toml, effective

__all__ = [
    "EMAIL",
    "PROFILES",
    "ROUTES",
    "Bool",
    "Choice",
    "Choices",
    "Config",
    "DaemonConfig",
    "Difference",
    "Duration",
    "FrozenMap",
    "HttpsUrl",
    "Int",
    "Key",
    "Kind",
    "LogConfig",
    "Number",
    "OrganizationConfig",
    "ProviderSchema",
    "Refused",
    "ResourcesConfig",
    "RouteLimits",
    "Size",
    "StoreConfig",
    "SyncConfig",
    "Text",
    "default_toml",
    "difference",
    "effective",
    "load",
    "loads",
    "parse_credential",
    "reference_markdown",
    "route_limits",
]
