"""The remote API as a whole: who we are there, what it allows, and what each request came to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from syncd.errors import Action, UpstreamError, Verdict
from syncd.governor.governor import Gate
from syncd.host.secrets import Secret
from syncd.timing import Clock
from syncd.upstream.auth import Auth
from syncd.upstream.client import HttpClient, Request, Response
from syncd.upstream.limits import NotBefore, RateLimiter, RetryBudget

Classifier = Callable[[Request, Response], Verdict]


@dataclass(slots=True)
class Traffic:
    """What has gone over the wire; only grows."""

    requests: int = 0
    seconds: float = 0.0
    """Time spent in requests, all of them added up."""
    retries: int = 0


class Upstream:
    """One customer at one provider. Every request of a run goes through :meth:`fetch`."""

    def __init__(
        self,
        client: HttpClient,
        auth: Auth,
        classify: Classifier,
        *,
        quota: RateLimiter,
        clock: Clock,
    ) -> None:
        self._client = client
        self._auth = auth
        self._classify = classify
        self._quota = quota
        self._clock = clock
        self._not_before = NotBefore(clock)
        self._budget = RetryBudget(clock)
        self.traffic = Traffic()
        self.trouble = ""
        """Why requests are being tried again just now; empty if they are not."""

    @property
    def waiting(self) -> str:
        """What requests wait for just now, in words; empty if nothing."""
        seconds = self._not_before.seconds
        return f"Retry-After, {seconds:.0f} s" if seconds >= 1 else self.trouble

    def may_retry(self) -> bool:
        """Whether the budget allows a retry soon enough to wait for it."""
        return self._budget.delay() <= RetryBudget.PATIENCE

    async def before_retry(self) -> None:
        """Wait until a request may be tried again."""
        self.traffic.retries += 1
        await self._budget.wait()

    async def fetch(self, request: Request, gate: Gate) -> Response:
        """Send one request through a route's gate.

        Returns a response of status 200. Raises UpstreamError with the verdict on anything else,
        and CredentialError when the provider refuses who we are.
        """
        self._budget.earn()
        await self._turn()
        async with gate.request():
            try:
                header = await self._auth.header(request.grant)
                response = await self._timed(request, header)
            except UpstreamError as error:
                self._obey(error.verdict)
                raise UpstreamError(error.verdict, f"{request.about}: {error}") from error
        if response.status == 200:
            self.trouble = ""
            return response
        if response.status == 401 and self._auth.refused(request.grant, header):
            raise UpstreamError(
                Verdict(Action.RETRY, "token_renewed", after=0.0),
                f"{request.about}: the access token was refused; getting a new one",
            )
        verdict = self._classify(request, response)
        self._obey(verdict)
        hint = f"; {verdict.hint}" if verdict.hint else ""
        raise UpstreamError(
            verdict,
            f"{request.about}: the provider answered {response.status} ({verdict.reason}){hint}",
        )

    async def _turn(self) -> None:
        """Wait until a request may go out. A wait asked for meanwhile holds it back too."""
        while True:
            await self._not_before.wait()
            await self._quota.wait()
            if not self._not_before.seconds:
                return

    def _obey(self, verdict: Verdict) -> None:
        if verdict.action is Action.RETRY and verdict.after:
            self._not_before.postpone(verdict.after)

    async def _timed(self, request: Request, header: Secret) -> Response:
        started = self._clock.monotonic()
        try:
            return await self._client.get(
                request.path, request.params, {"Authorization": header.reveal()}
            )
        finally:
            self.traffic.requests += 1
            self.traffic.seconds += self._clock.monotonic() - started
