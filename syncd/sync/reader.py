"""Reading one page, tried again as long as the classifier says that this makes sense."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from syncd.errors import Action, UpstreamError
from syncd.governor.governor import Gate
from syncd.model import Collection, Kind, Page
from syncd.providers.base import Decoding, Fetch, Provider
from syncd.timing import Clock, backoff
from syncd.upstream.client import Request, Response
from syncd.upstream.upstream import Upstream

T = TypeVar("T")

_log = structlog.get_logger(__name__)


def _makes_sense(error: BaseException) -> bool:
    return isinstance(error, UpstreamError) and error.verdict.action is Action.RETRY


class Reader:
    """Reads pages of one organization through one route's gate."""

    def __init__(
        self,
        provider: Provider,
        upstream: Upstream,
        gate: Gate,
        decoding: Decoding,
        clock: Clock,
    ) -> None:
        async def send(request: Request) -> Response:
            return await upstream.fetch(request, gate)

        self.gate = gate
        self._provider = provider
        self._upstream = upstream
        self._clock = clock
        self._fetch = Fetch(send, decoding)
        self._first = provider.config.retry_backoff
        self._retrying = AsyncRetrying(
            retry=retry_if_exception(_makes_sense),
            stop=self._enough,
            wait=self._wait,
            sleep=self._sleep,
            before_sleep=self._note,
            reraise=True,
        )

    async def page(self, collection: Collection, cursor: str | None) -> Page:
        """One page of a collection. Raises UpstreamError with a verdict that is final."""
        return await self._again(partial(self._provider.page, self._fetch, collection, cursor))

    async def is_gone(self, kind: Kind, parent: str, id: str, subject_kind: str = "") -> bool:
        """Whether the provider says that a thing does not exist. Raises UpstreamError."""
        ask = partial(self._provider.is_gone, self._fetch, kind, parent, id, subject_kind)
        return await self._again(ask)

    async def customer(self) -> str:
        """The provider's id of the customer. Raises UpstreamError."""
        return await self._again(partial(self._provider.customer, self._fetch))

    async def _again(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await self._retrying.copy()(attempt)

    def _enough(self, state: RetryCallState) -> bool:
        return (
            state.attempt_number > self._provider.config.retries or not self._upstream.may_retry()
        )

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        after = error.verdict.after if isinstance(error, UpstreamError) else None
        if after is not None:
            # The whole upstream waits for that; what is added here keeps tries from coming at once.
            return backoff(1, first=min(0.05, self._first)) if after else 0.0
        return backoff(state.attempt_number, first=self._first)

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        await self._upstream.before_retry()

    def _note(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, UpstreamError):
            reason = error.verdict.reason.replace("_", " ")
            most = self._provider.config.retries
            self._upstream.trouble = f"retry {state.attempt_number} of {most}: {reason}"
            _log.debug(
                "request_retried",
                attempt=state.attempt_number,
                reason=error.verdict.reason,
                error=str(error),
            )
