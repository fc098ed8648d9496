"""The providers that there are."""

from __future__ import annotations

from syncd.config import ProviderSchema
from syncd.providers.base import Provider
from syncd.providers.google_workspace import GoogleWorkspace

PROVIDERS: dict[str, type[Provider]] = {
    provider.schema.name: provider for provider in (GoogleWorkspace,)
}


def schemas() -> dict[str, ProviderSchema]:
    """What the configuration has to know of each provider."""
    return {name: provider.schema for name, provider in PROVIDERS.items()}
