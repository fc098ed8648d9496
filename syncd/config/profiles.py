"""What each profile allows each route, before the file says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.config.keys import FrozenMap, key
from syncd.config.kinds import Int
from syncd.model import ENDPOINTS

ROUTES = (*ENDPOINTS, "main")
"""What has a limit of its own: each endpoint, and ``main``, the endpoints at once."""

MAX_CONCURRENCY = Int(1, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteLimits:
    """How much one route may do."""

    max_concurrency: int = key(
        MAX_CONCURRENCY,
        "How many pages this route may read at once; for main: how many endpoints.",
        unset="as in [resources]",
    )


PROFILES: Mapping[str, Mapping[str, RouteLimits]] = {
    "production": {
        "users": RouteLimits(max_concurrency=3),
        "tokens": RouteLimits(max_concurrency=2),
        "relations": RouteLimits(max_concurrency=2),
        "main": RouteLimits(max_concurrency=2),
    },
    "development": {route: RouteLimits(max_concurrency=4) for route in ROUTES},
}


def route_limits(
    profile: str, overall: int | None = None, routes: Mapping[str, int] | None = None
) -> FrozenMap[RouteLimits]:
    """Each route's limits: what ``routes`` says, else ``overall``, else what the profile says."""
    given = routes or {}
    return FrozenMap(
        {
            route: RouteLimits(max_concurrency=given.get(route, overall or limits.max_concurrency))
            for route, limits in PROFILES[profile].items()
        }
    )
