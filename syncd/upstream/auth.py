"""Access tokens: got with a signed assertion, kept, and renewed before they expire."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from syncd.errors import Action, CredentialError, SyncdError, UpstreamError, Verdict
from syncd.host.secrets import Secret
from syncd.timing import Clock
from syncd.upstream.client import HttpClient, Response
from syncd.upstream.verdicts import base_verdict, decode

RENEW_EARLY = 300.0
"""Seconds before its end at which a token is replaced."""

LEAST_LIFE = 10.0
"""Seconds for which any token is used, whatever its life: never a new one for each request."""

RENEW_PAUSE = 60.0
"""Seconds in which a token that was just got is not replaced because of a refusal."""

ASSERTION_LIFE = 3600
"""Seconds; the longest that Google accepts."""


class Auth(Protocol):
    """Where a request's Authorization header comes from."""

    async def header(self, grant: str) -> Secret:
        """The header's value for a request that needs the permission ``grant``."""

    def refused(self, grant: str, header: Secret) -> bool:
        """The provider answered 401. True if another try with a new token makes sense."""


def read_secret(kind: type[Any], value: object) -> Secret:
    """A decoding hook: texts for fields that are secrets, so that no repr shows them."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("Expected `str`")


@dataclass(slots=True)
class _Token:
    header: Secret
    got_at: float
    renew_at: float


@dataclass(slots=True)
class _Kept:
    """What is known of one grant."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: _Token | None = None
    failures: int = 0
    failure: SyncdError | None = None


class _Answer(msgspec.Struct):
    access_token: Secret
    expires_in: float = 3600.0


class _Refusal(msgspec.Struct):
    error: str = ""


_ANSWER = msgspec.json.Decoder(_Answer, dec_hook=read_secret)
_REFUSAL = msgspec.json.Decoder(_Refusal)

_USABLE_TOKEN = re.compile(r"[!-~]{1,8192}")
"""What an access token may be: RFC 6749, A.12, and what fits into a header."""

Signer = Callable[[dict[str, object]], str]
"""From the claims of a JWT to the signed assertion."""


class JwtBearer:
    """The JWT-bearer grant (RFC 7523): a token for each permission, renewed once for everybody."""

    def __init__(
        self,
        client: HttpClient,
        *,
        token_url: str,
        issuer: str,
        subject: str,
        sign: Signer,
        clock: Clock,
    ) -> None:
        self._client = client
        self._token_url = token_url
        self._issuer = issuer
        self._subject = subject
        self._sign = sign
        self._clock = clock
        self._grants: dict[str, _Kept] = {}

    async def header(self, grant: str) -> Secret:
        """See :class:`Auth`. Raises CredentialError or UpstreamError."""
        kept = self._grants.setdefault(grant, _Kept())
        failures = kept.failures
        async with kept.lock:
            token = kept.token
            if token is None or self._clock.monotonic() >= token.renew_at:
                if kept.failure is not None and kept.failures != failures:
                    # What came of it while this caller waited holds for this caller too.
                    raise _copy(kept.failure)
                try:
                    token = kept.token = await self._renew(grant)
                except (CredentialError, UpstreamError) as error:
                    if _holds_for_all(error):
                        kept.failures += 1
                        kept.failure = error
                    raise
            return token.header

    def refused(self, grant: str, header: Secret) -> bool:
        """See :class:`Auth`. A token that was just got is not at fault: the user is refused."""
        kept = self._grants.get(grant)
        if kept is None or kept.token is None or kept.token.header is not header:
            return True
        if self._clock.monotonic() - kept.token.got_at < RENEW_PAUSE:
            return False
        kept.token = None
        return True

    async def _renew(self, grant: str) -> _Token:
        now = int(self._clock.time())
        assertion = self._sign(
            {
                "iss": self._issuer,
                "sub": self._subject,
                "scope": grant,
                "aud": self._token_url,
                "iat": now,
                "exp": now + ASSERTION_LIFE,
            }
        )
        response = await self._client.post_form(
            self._token_url,
            {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion},
        )
        if response.status != 200:
            raise self._refusal(grant, response)
        try:
            answer = decode(_ANSWER, response.body)
        except (msgspec.ValidationError, UpstreamError):
            raise _no_token(response) from None
        text = answer.access_token.reveal()
        if not _USABLE_TOKEN.fullmatch(text):
            raise _no_token(response)
        got_at = self._clock.monotonic()
        life = max(LEAST_LIFE, answer.expires_in - min(RENEW_EARLY, answer.expires_in / 2))
        return _Token(Secret(f"Bearer {text}"), got_at, got_at + life)

    def _refusal(self, grant: str, response: Response) -> SyncdError:
        verdict = base_verdict(response, self._clock.time())
        if verdict.action is Action.RETRY:
            return UpstreamError(verdict, f"the token endpoint answered {response.status}")
        try:
            code = decode(_REFUSAL, response.body).error
        except (msgspec.ValidationError, UpstreamError):
            code = ""
        if code in {"unauthorized_client", "access_denied", "invalid_scope"}:
            hint = f"allow the scope {grant} for client {self._issuer} (domain-wide delegation)"
            return UpstreamError(
                Verdict(Action.STOP_ENDPOINT, "permission_missing", hint=hint),
                f"the provider does not allow this service account the scope {grant}; {hint}",
            )
        if code == "invalid_grant":
            return CredentialError(
                f"the provider refused to act for {self._subject!r}: check that `admin` is a "
                "living administrator of this customer, that the key still exists, and this "
                "machine's clock"
            )
        if not code:
            return _no_token(response)
        return CredentialError(
            f"the provider refused the key of {self._issuer} (HTTP {response.status}); "
            "make a new key for the service account"
        )


def _no_token(response: Response) -> UpstreamError:
    return UpstreamError(
        Verdict(Action.RETRY, "bad_token_answer"),
        f"the token endpoint answered {response.status} without a token or a reason",
    )


def _holds_for_all(error: SyncdError) -> bool:
    """Whether to ask again at once, for the next caller, makes no sense."""
    if not isinstance(error, UpstreamError):
        return True
    return error.verdict.action is not Action.RETRY or bool(error.verdict.after)


def _copy(error: SyncdError) -> SyncdError:
    """Each caller raises an error of its own, since a traceback grows with each raise."""
    if isinstance(error, UpstreamError):
        return UpstreamError(error.verdict, str(error))
    return type(error)(str(error))
