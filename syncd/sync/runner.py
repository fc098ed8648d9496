"""From a configuration to runs: what is shared by organizations is made once, here."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from syncd.config import Config, OrganizationConfig
from syncd.errors import StoreError
from syncd.governor.governor import Governor
from syncd.host.secrets import resolve
from syncd.providers.base import Provider
from syncd.providers.registry import PROVIDERS
from syncd.store.base import Store
from syncd.sync.supervisor import Site, Supervisor
from syncd.timing import Clock, SystemClock
from syncd.upstream.client import HttpClient
from syncd.upstream.limits import RateLimiter
from syncd.upstream.upstream import Upstream


class Runner:
    """Makes supervisors that share this process's gates and each credential's quota."""

    def __init__(
        self,
        config: Config,
        store: Store | None,
        *,
        database: Path,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """``database`` is the file beside which a run leaves its crash mark.

        Without a store only :meth:`connect` works.
        """
        self._config = config
        self._store = store
        self._database = database
        self._environ = os.environ if environ is None else environ
        self._clock = clock or SystemClock()
        self._quotas: dict[tuple[str, str], RateLimiter] = {}
        self.governor = Governor(
            {name: limits.max_concurrency for name, limits in config.resources.routes.items()}
        )

    @asynccontextmanager
    async def connect(
        self, organization: OrganizationConfig
    ) -> AsyncIterator[tuple[Provider, Upstream]]:
        """An organization's provider, and the way to it.

        Raises CredentialError when its secret cannot be found or is not one.
        """
        credential = resolve(organization.credentials, environ=self._environ)
        async with HttpClient(
            organization.base_url,
            timeout=organization.request_timeout,
            max_bytes=organization.max_response_bytes,
        ) as client:
            provider = PROVIDERS[organization.provider](
                organization, credential, client, self._clock
            )
            upstream = Upstream(
                client,
                provider.auth,
                provider.classify,
                quota=self._quota(organization),
                clock=self._clock,
            )
            yield provider, upstream

    @asynccontextmanager
    async def supervise(self, organization: OrganizationConfig) -> AsyncIterator[Supervisor]:
        """What runs an organization once. Raises as :meth:`connect`."""
        if self._store is None:
            raise StoreError("a run needs a database")
        async with self.connect(organization) as (provider, upstream):
            yield Supervisor(
                Site(
                    config=organization,
                    settings=self._config.sync,
                    store=self._store,
                    provider=provider,
                    upstream=upstream,
                    governor=self.governor,
                    interval=organization.interval,
                    crash_mark=self._database.with_name(
                        f".{self._database.name}.{organization.name}.reading"
                    ),
                    clock=self._clock,
                )
            )

    def _quota(self, organization: OrganizationConfig) -> RateLimiter:
        """The provider counts by project, so organizations of one credential share a quota."""
        whose = (organization.provider, organization.credentials)
        if whose not in self._quotas:
            self._quotas[whose] = RateLimiter(organization.quota_per_minute, self._clock)
        return self._quotas[whose]
