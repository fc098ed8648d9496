"""The demo's OAuth server: a service account's key, JWT grants and access tokens."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from syncd.demo.errors import GrantError, bad_credentials

CLIENT_EMAIL = "syncd-demo@acme-demo.iam.gserviceaccount.com"
CLIENT_ID = "104729104729104729104"
KEY_ID = "d3m0d3m0d3m0d3m0d3m0d3m0d3m0d3m0d3m0d3m0"
PROJECT = "acme-demo"
GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"

_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST = 3600
_SKEW = 300
_MOST_TOKENS = 4096


@cache
def demo_key() -> rsa.RSAPrivateKey:
    """Return this process's RSA key; making it takes a moment the first time."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_file(url: str, key: rsa.RSAPrivateKey | None = None) -> dict[str, str]:
    """Return the service account's key file for the demo server at `url`."""
    pem = (key or demo_key()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": KEY_ID,
        "private_key": pem.decode(),
        "client_email": CLIENT_EMAIL,
        "client_id": CLIENT_ID,
        "auth_uri": f"{url}/auth",
        "token_uri": f"{url}/token",
        "auth_provider_x509_cert_url": f"{url}/certs",
        "client_x509_cert_url": f"{url}/x509/{CLIENT_EMAIL.replace('@', '%40')}",
        "universe_domain": "googleapis.com",
    }


@dataclass(slots=True)
class AuthPolicy:
    """What the demo's OAuth server refuses, and how long its access tokens last."""

    missing_scopes: frozenset[str] = frozenset()
    """Scopes the domain-wide delegation lacks: asking for one is `unauthorized_client`."""
    wrong_admins: frozenset[str] = frozenset()
    """Addresses nobody can be impersonated by: `invalid_grant`."""
    lifetime: float = 3599.0
    """Seconds an access token is good for."""


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token allows."""

    subject: str
    scopes: frozenset[str]
    expires: float
    is_admin: bool


@dataclass(slots=True)
class Authority:
    """Checks assertions, hands out access tokens and remembers them."""

    key: rsa.RSAPrivateKey
    policy: AuthPolicy = field(default_factory=AuthPolicy)
    _tokens: OrderedDict[str, Access] = field(default_factory=OrderedDict)

    def grant(
        self, body: bytes, audiences: list[str], who: Callable[[str], bool | None]
    ) -> dict[str, Any]:
        """Answer a token request; `who` gives None for unknown people, else whether admin."""
        form = parse_qs(body.decode("latin-1"))
        if form.get("grant_type") != [_GRANT_TYPE]:
            raise GrantError(400, "unsupported_grant_type", "Invalid grant_type: must be JWT.")
        assertion = form.get("assertion", [""])[0]
        claims = self._claims(assertion, audiences)
        subject = str(claims.get("sub", ""))
        is_admin = who(subject)
        if is_admin is None or subject in self.policy.wrong_admins:
            raise GrantError(400, "invalid_grant", "Invalid email or User ID")
        scopes = self._scopes(claims.get("scope"))
        return self._hand_out(Access(subject, scopes, self._end(), is_admin))

    def check(self, header: str) -> Access:
        """Return what the Authorization `header` allows; raise ApiError 401 if nothing."""
        scheme, _, token = header.partition(" ")
        access = self._tokens.get(token) if scheme.lower() == "bearer" else None
        if access is None or access.expires <= time.monotonic():
            raise bad_credentials()
        return access

    def forget(self) -> None:
        """Make every access token handed out so far invalid."""
        self._tokens.clear()

    def _end(self) -> float:
        return time.monotonic() + self.policy.lifetime

    def _hand_out(self, access: Access) -> dict[str, Any]:
        token = "ya29.c." + secrets.token_urlsafe(96)
        self._tokens[token] = access
        while len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return {
            "access_token": token,
            "expires_in": int(self.policy.lifetime),
            "token_type": "Bearer",
        }

    def _claims(self, assertion: str, audiences: list[str]) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                assertion,
                self.key.public_key(),
                algorithms=["RS256"],
                audience=audiences,
                leeway=_SKEW,
                options={"require": ["iss", "aud", "exp", "iat"]},
            )
        except jwt.InvalidSignatureError:
            raise GrantError(400, "invalid_grant", "Invalid JWT Signature.") from None
        except jwt.InvalidAudienceError:
            raise GrantError(400, "invalid_grant", "Invalid JWT: wrong audience.") from None
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise _bad_times() from None
        except jwt.InvalidTokenError as error:
            raise GrantError(400, "invalid_grant", f"Invalid JWT: {error}") from None
        if claims["iss"] != CLIENT_EMAIL:
            raise GrantError(400, "invalid_grant", "Invalid grant: account not found")
        if claims["exp"] - claims["iat"] > _LONGEST:
            raise _bad_times()
        return claims

    def _scopes(self, text: object) -> frozenset[str]:
        if not isinstance(text, str) or not text.strip():
            raise GrantError(400, "invalid_scope", "Invalid OAuth scope or ID token audience.")
        scopes = frozenset(text.split())
        if any(not (s.startswith("https://") or s in ("openid", "email")) for s in scopes):
            raise GrantError(400, "invalid_scope", f"{text} is not a valid audience string.")
        if scopes & self.policy.missing_scopes:
            raise GrantError(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client"
                " not authorized for any of the scopes requested.",
            )
        return scopes


def _bad_times() -> GrantError:
    return GrantError(
        400,
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable"
        " timeframe. Check your iat and exp values in the JWT claim.",
    )
