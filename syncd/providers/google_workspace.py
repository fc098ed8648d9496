"""Google Workspace: users, OAuth tokens, groups and memberships, by the Directory API.

Reference: https://developers.google.com/workspace/admin/directory/reference/rest/v1
"""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from syncd.config import EMAIL, Key, ProviderSchema, Text
from syncd.errors import Action, CredentialError, UpstreamError, Verdict
from syncd.host.secrets import Secret
from syncd.model import Collection, CollectionKind, Kind, Page
from syncd.providers import google_wire
from syncd.providers.base import Fetch, Provider, segment
from syncd.upstream.auth import JwtBearer, Signer, read_secret
from syncd.upstream.client import HttpClient, Request, Response, is_loopback
from syncd.upstream.verdicts import base_verdict

_SCOPES = "https://www.googleapis.com/auth/"
USERS_SCOPE = _SCOPES + "admin.directory.user.readonly"
TOKENS_SCOPE = _SCOPES + "admin.directory.user.security"
"""There is no read-only variant of it."""
GROUPS_SCOPE = _SCOPES + "admin.directory.group.readonly"

SCOPES = {"users": USERS_SCOPE, "tokens": TOKENS_SCOPE, "relations": GROUPS_SCOPE}
"""endpoint -> scope. Each endpoint has an access token of its own, so that a missing one costs
only its endpoint."""

TOKEN_URL = "https://oauth2.googleapis.com/token"

SMALLEST_KEY = 2048
"""Bits of an RSA key that RS256 may sign with (RFC 7518, 3.3)."""

ROOT = "/admin/directory/v1"

USERS_PAGE = 500
GROUPS_PAGE = 200
MEMBERS_PAGE = 200

_USER_FIELDS = (
    "id,primaryEmail,name/fullName,suspended,archived,isAdmin,orgUnitPath,"
    "lastLoginTime,creationTime,customerId"
)

RATE_REASONS = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded"})
"""Reasons of a 403 that mean "later", not "never"."""

_REASON = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


class _KeyFile(msgspec.Struct):
    """A service account's key file; only what is needed."""

    type: str
    client_email: str
    private_key: Secret
    private_key_id: str = ""
    token_uri: str = TOKEN_URL


_KEY_FILE = msgspec.json.Decoder(_KeyFile, dec_hook=read_secret)


class _ErrorItem(msgspec.Struct):
    reason: str = ""


class _ErrorBody(msgspec.Struct):
    errors: list[_ErrorItem] = []


class _ErrorAnswer(msgspec.Struct):
    error: _ErrorBody


_ERROR = msgspec.json.Decoder(_ErrorAnswer)


def error_reason(response: Response) -> str:
    """Google's short code of an error, empty if the body is not one of Google's errors."""
    try:
        errors = _ERROR.decode(response.body).error.errors
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    reason = errors[0].reason if errors else "unnamed"
    return reason if _REASON.fullmatch(reason) else "unnamed"


def read_key_file(credential: Secret) -> _KeyFile:
    """The key in a credential. Raises CredentialError, which never shows any of it."""
    try:
        key = _KEY_FILE.decode(credential.reveal_bytes())
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        shape = isinstance(error, msgspec.ValidationError)
        what = f": {error}" if shape else ""
        raise CredentialError(
            f"the credential is no service account key file{what}; download one as JSON from the "
            "Google Cloud console (IAM, Service accounts, Keys)"
        ) from None
    if key.type != "service_account":
        raise CredentialError(
            "the credential is a Google key file, but not of a service account; "
            "make a key for a service account with domain-wide delegation"
        )
    if key.token_uri != TOKEN_URL and not _is_local_token_url(key.token_uri):
        raise CredentialError(
            "the key file's token_uri points elsewhere than to Google "
            f"({urlsplit(TOKEN_URL).netloc}); download the key file again"
        )
    return key


def _is_local_token_url(url: str) -> bool:
    return url.startswith(("http://", "https://")) and is_loopback(url)


def signer(key: _KeyFile) -> Signer:
    """Signs claims with the key (RS256). Raises CredentialError when it is no private key."""
    # Signing costs 20 MB of imports, which only organizations of such a provider should pay.
    import jwt
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private_key = load_pem_private_key(key.private_key.reveal_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private_key = None
    if not isinstance(private_key, RSAPrivateKey) or private_key.key_size < SMALLEST_KEY:
        raise CredentialError("the key file holds no usable RSA private key; download it again")
    headers = {"kid": key.private_key_id} if key.private_key_id else None

    def sign(claims: dict[str, object]) -> str:
        return jwt.encode(claims, private_key, algorithm="RS256", headers=headers)

    return sign


class GoogleWorkspace(Provider):
    """See :class:`~syncd.providers.base.Provider`."""

    schema: ClassVar[ProviderSchema] = ProviderSchema(
        name="google_workspace",
        doc="Google Workspace, by the Admin SDK's Directory API.",
        keys=(
            Key(
                "admin",
                EMAIL,
                "The administrator whom the service account acts for.",
                required=True,
                example="admin@acme.example",
            ),
            Key(
                "customer",
                Text("a customer id, or my_customer", r"[A-Za-z0-9_]{1,64}"),
                "Google's id of the customer; my_customer is the administrator's own.",
                "my_customer",
            ),
        ),
        defaults={"base_url": "https://admin.googleapis.com", "quota_per_minute": 2400},
    )
    atomic = frozenset({CollectionKind.TOKENS})
    tombstones = True

    def authenticate(self, credential: Secret, client: HttpClient) -> JwtBearer:
        """See :class:`~syncd.providers.base.Provider`."""
        key = read_key_file(credential)
        return JwtBearer(
            client,
            token_url=key.token_uri,
            issuer=key.client_email,
            subject=self.config.options["admin"],
            sign=signer(key),
            clock=self.clock,
        )

    def permission(self, endpoint: str) -> str:
        """See :class:`~syncd.providers.base.Provider`."""
        return SCOPES[endpoint]

    def has_tokens(self, status: str) -> bool:
        """Google answers 401 for the tokens of suspended and archived users."""
        return status == "active"

    def request(self, collection: Collection, cursor: str | None) -> Request:
        """See :class:`~syncd.providers.base.Provider`."""
        params: tuple[tuple[str, str], ...]
        more = (("pageToken", cursor),) if cursor else ()
        customer = ("customer", str(self.config.options["customer"]))
        about, again = str(collection), cursor is not None
        match collection.kind:
            case CollectionKind.USERS | CollectionKind.DELETED_USERS:
                deleted = collection.kind is CollectionKind.DELETED_USERS
                fields = "id" if deleted else _USER_FIELDS
                params = (
                    customer,
                    ("maxResults", str(USERS_PAGE)),
                    ("orderBy", "email"),
                    ("showDeleted", "true" if deleted else "false"),
                    ("fields", f"kind,nextPageToken,users({fields})"),
                )
                return Request(f"{ROOT}/users", params + more, USERS_SCOPE, about, again)
            case CollectionKind.TOKENS:
                fields = "kind,items(clientId,displayText,anonymous,nativeApp,userKey,scopes)"
                path = f"{ROOT}/users/{segment(collection.parent)}/tokens"
                return Request(path, (("fields", fields),), TOKENS_SCOPE, about)
            case CollectionKind.GROUPS:
                params = (
                    customer,
                    ("maxResults", str(GROUPS_PAGE)),
                    ("fields", "kind,nextPageToken,groups(id,email,name,description)"),
                )
                return Request(f"{ROOT}/groups", params + more, GROUPS_SCOPE, about, again)
            case CollectionKind.MEMBERS:
                params = (
                    ("maxResults", str(MEMBERS_PAGE)),
                    ("fields", "kind,nextPageToken,members(id,email,role,type)"),
                )
                path = f"{ROOT}/groups/{segment(collection.parent)}/members"
                return Request(path, params + more, GROUPS_SCOPE, about, again)

    def parse(self, collection: Collection, response: Response) -> Page:
        """See :class:`~syncd.providers.base.Provider`."""
        return google_wire.parse(collection, response)

    async def is_gone(
        self, fetch: Fetch, kind: Kind, parent: str, id: str, subject_kind: str = ""
    ) -> bool:
        """See :class:`~syncd.providers.base.Provider`."""
        path, scope = _place_of(kind, parent, id)
        fields = "type" if kind is Kind.RELATION else "kind"
        request = Request(path, (("fields", fields),), scope, f"{kind} {id!r}")
        try:
            answer = await fetch.send(request)
        except UpstreamError as error:
            if error.verdict.action is Action.GONE:
                return True
            raise
        if kind is Kind.RELATION and subject_kind:
            return google_wire.subject_kind(answer) != subject_kind
        return False

    async def customer(self, fetch: Fetch) -> str:
        """Google's id of the customer, as one of its users shows it."""
        params = (
            ("customer", str(self.config.options["customer"])),
            ("maxResults", "1"),
            ("fields", "kind,users(id,customerId)"),
        )
        users = Collection(CollectionKind.USERS)
        answer = await fetch.send(Request(f"{ROOT}/users", params, USERS_SCOPE, "the customer"))
        return self.parse(users, answer).customer

    def classify(self, request: Request, response: Response) -> Verdict:
        """By status and Google's reason, never by the message's text."""
        reason = error_reason(response)
        verdict = base_verdict(response, self.clock.time())
        if response.status == 403 and reason in RATE_REASONS:
            after = base_verdict(_as_429(response), self.clock.time()).after
            return Verdict(Action.RETRY, "rate_limited", after)
        if response.status == 404 and reason == "notFound" and _is_single(request):
            return Verdict(Action.GONE, "not_found")
        if response.status in {400, 410} and request.has_cursor:
            return Verdict(Action.RESTART, "page_token_expired")
        if verdict.action is Action.RETRY or response.status // 100 == 3:
            return verdict
        return self._refusal(request, response.status, reason, verdict)

    def _refusal(self, request: Request, status: int, reason: str, verdict: Verdict) -> Verdict:
        single = _is_single(request)
        need = (
            f"the service account needs the scope {request.grant}, and the administrator "
            "a role that may read it"
        )
        if status == 403 and reason == "accessNotConfigured":
            hint = "enable the Admin SDK API in the Google Cloud project of the service account"
            return Verdict(Action.STOP_ENDPOINT, "api_not_enabled", hint=hint)
        if status == 403 and (reason == "insufficientPermissions" or not single):
            return Verdict(Action.STOP_ENDPOINT, "permission_missing", hint=need)
        if status == 401 and not single:
            return Verdict(Action.STOP, "credential_refused", hint=need)
        if status in {400, 404} and not single:
            return Verdict(
                Action.STOP_ENDPOINT, f"http_{status}", hint="check `customer` and base_url"
            )
        return verdict


def _place_of(kind: Kind, parent: str, id: str) -> tuple[str, str]:
    """The path of one thing, and the scope that it needs."""
    match kind:
        case Kind.USER:
            return f"{ROOT}/users/{segment(id)}", USERS_SCOPE
        case Kind.GROUP:
            return f"{ROOT}/groups/{segment(id)}", GROUPS_SCOPE
        case Kind.RELATION:
            return f"{ROOT}/groups/{segment(parent)}/members/{segment(id)}", GROUPS_SCOPE
        case Kind.TOKEN:
            raise ValueError("a token cannot be asked for by itself")


def _is_single(request: Request) -> bool:
    """Whether it asks for something of one user or group, and not for the customer's listing."""
    return request.path.count("/") > ROOT.count("/") + 1


def _as_429(response: Response) -> Response:
    return Response(429, response.headers, b"")
