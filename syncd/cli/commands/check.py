"""``syncd check --online``: try the credentials, every permission, and a page of each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncd.cli import output
from syncd.cli.commands.sync import run_until_stopped
from syncd.config import Config, OrganizationConfig
from syncd.errors import CredentialError, ExitCode, SyncdError, UpstreamError
from syncd.governor.governor import Gate
from syncd.host.log import configure
from syncd.host.text import terminal_safe
from syncd.model import Collection, CollectionKind, Page, User
from syncd.providers.base import Fetch, Provider, unmarked
from syncd.sync.runner import Runner
from syncd.timing import SystemClock
from syncd.upstream.client import Request, Response
from syncd.upstream.upstream import Upstream

PROBES = {
    "users": CollectionKind.USERS,
    "tokens": CollectionKind.TOKENS,
    "relations": CollectionKind.GROUPS,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one thing that was tried came to."""

    what: str
    ok: bool
    words: str
    code: ExitCode = ExitCode.OK


def online(config: Config) -> int:
    """Try every organization; prints a line for each thing tried and returns the exit code."""
    configure("error", config.log.format)
    return run_until_stopped(_try_all(config))


async def _try_all(config: Config) -> int:
    codes: list[ExitCode] = []
    for organization in config.organizations:
        output.say(f"{terminal_safe(organization.name)}:")
        for finding in await _try(config, organization):
            sign = "ok  " if finding.ok else "FAIL"
            output.say(f"  {sign}  {finding.what:<12}{terminal_safe(finding.words)}")
            codes.append(finding.code)
    return max(codes, default=ExitCode.OK)


async def _try(config: Config, organization: OrganizationConfig) -> Sequence[Finding]:
    runner = Runner(config, None, database=config.store.path)
    try:
        async with runner.connect(organization) as (provider, upstream):
            return await _Trial(organization, provider, upstream).all()
    except SyncdError as error:
        return [_failed("credentials", error)]


class _Trial:
    """One organization's requests, one after the other."""

    def __init__(
        self, organization: OrganizationConfig, provider: Provider, upstream: Upstream
    ) -> None:
        gate = Gate("check", 1)

        async def send(request: Request) -> Response:
            return await upstream.fetch(request, gate)

        self._organization = organization
        self._provider = provider
        self._fetch = Fetch(send, unmarked)
        self._clock = SystemClock()
        self._user = ""

    async def all(self) -> list[Finding]:
        findings = [await self._customer()]
        findings += [await self._endpoint(name) for name in self._organization.endpoints]
        return findings

    async def _customer(self) -> Finding:
        try:
            customer = await self._provider.customer(self._fetch)
        except SyncdError as error:
            return _failed("customer", error)
        return Finding("customer", True, customer or "unknown: the directory shows no user")

    async def _endpoint(self, name: str) -> Finding:
        try:
            if name == "tokens":
                self._user = self._user or await self._some_user()
                if not self._user:
                    return Finding(name, True, "not tried: there is no active user")
            page = await self._page(name)
        except SyncdError as error:
            return _failed(name, error)
        return Finding(name, True, _described(name, page))

    async def _page(self, name: str) -> Page:
        parent = self._user if name == "tokens" else ""
        page = await self._provider.page(self._fetch, Collection(PROBES[name], parent), None)
        if name == "users":
            self._user = self._reachable(page)
        return page

    def _reachable(self, page: Page) -> str:
        users = [entity for entity in page.entities if isinstance(entity, User)]
        return next((u.id for u in users if self._provider.has_tokens(u.status)), "")

    async def _some_user(self) -> str:
        page = await self._provider.page(self._fetch, Collection(CollectionKind.USERS), None)
        return self._reachable(page)


def _described(name: str, page: Page) -> str:
    more = "" if page.next is None else " on the first page, and there are more"
    bad = f", {len(page.bad)} that cannot be read" if page.bad else ""
    what = {"users": "users", "tokens": "tokens of one user", "relations": "groups"}[name]
    return f"{len(page.entities):,} {what}{more}{bad}"


def _failed(what: str, error: SyncdError) -> Finding:
    code = error.exit_code
    refused = {"permission_missing", "credential_refused", "forbidden", "unauthorized"}
    if isinstance(error, CredentialError) or (
        isinstance(error, UpstreamError) and error.verdict.reason in refused
    ):
        code = ExitCode.NO_PERMISSION
    return Finding(what, False, str(error), code)
