"""The paths of the Directory API: who may call them, and what they answer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from syncd.demo import mask, schema, wire
from syncd.demo.auth import Access
from syncd.demo.directory import Directory
from syncd.demo.errors import ApiError, bad_credentials, forbidden, invalid_input, not_found
from syncd.demo.http1 import Reply, Request, StoredBody
from syncd.demo.pages import Cursor, Listing, ListKind, read_cursor
from syncd.demo.people import DOMAIN

_SCOPE = "https://www.googleapis.com/auth/"
_USER_GET = frozenset(
    _SCOPE + name for name in ("admin.directory.user", "admin.directory.user.readonly")
)
_USER_LIST = _USER_GET | {_SCOPE + "cloud-platform"}
_TOKEN = frozenset({_SCOPE + "admin.directory.user.security"})
_GROUP = frozenset(
    _SCOPE + name for name in ("admin.directory.group", "admin.directory.group.readonly")
)
_MEMBER = _GROUP | {
    _SCOPE + name
    for name in ("admin.directory.group.member", "admin.directory.group.member.readonly")
}
_CACHED_PAGES = 16
_CACHED_BYTES = 16 * 1024 * 1024

Page = dict[str, Any]


@dataclass(slots=True)
class Call:
    """One request for a resource of the API."""

    directory: Directory
    request: Request
    query: dict[str, str]
    keys: list[str]
    """The variable parts of the path."""
    turn: int
    """Counts requests; decides what varies from one to the next."""
    listing: Listing | None = None
    cursor: Cursor | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the API."""

    kind: str
    """How statistics, latencies and faults call it."""
    scopes: frozenset[str]
    fields: dict[str, Any]
    answer: Callable[[Call], Page]
    cached: bool = False


def find_route(request: Request) -> tuple[Route, list[str]] | None:
    """Return the route of `request` and the variable parts of its path, or None."""
    parts = request.segments
    if request.method != "GET" or parts[:3] != ["admin", "directory", "v1"]:
        return None
    rest = parts[3:]
    if not all(rest):
        return None
    route = ROUTES.get(tuple(part if turn % 2 == 0 else "" for turn, part in enumerate(rest)))
    return None if route is None else (route, rest[1::2])


Change = Callable[[Call, Page], None]


class Api:
    """Answers requests from the directory, keeping the pages served last."""

    def __init__(self) -> None:
        """Start without any page."""
        self._cache: OrderedDict[tuple[Directory, str], StoredBody] = OrderedDict()
        self._bytes = 0

    def answer(self, route: Route, call: Call, change: Change | None) -> Reply:
        """Return the reply to `call`; `change` may edit the resource before it is encoded.

        Raises ApiError.
        """
        if not route.cached or change is not None:
            return Reply(200, _encode(route, call, change))
        key = (call.directory, call.request.target)
        page = self._cache.get(key)
        if page is None:
            page = StoredBody(_encode(route, call, None))
            self._keep(key, page)
        else:
            self._cache.move_to_end(key)
        return Reply(200, page.body, stored=page)

    def _keep(self, key: tuple[Directory, str], page: StoredBody) -> None:
        self._cache[key] = page
        self._bytes += len(page.body)
        while len(self._cache) > _CACHED_PAGES or self._bytes > _CACHED_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._bytes -= len(oldest.body)


def authorize(route: Route, access: Access | None) -> None:
    """Raise ApiError unless `access` allows `route`."""
    if access is None:
        raise bad_credentials()
    if not access.scopes & route.scopes:
        raise ApiError(
            403, "insufficientPermissions", "Request had insufficient authentication scopes."
        )
    if not access.is_admin:
        raise forbidden()


def _encode(route: Route, call: Call, change: Change | None) -> bytes:
    wanted = call.query.get("fields", "")
    chosen = _mask(wanted) if wanted else None
    if chosen is not None:
        _check(chosen, route)
    page = route.answer(call)
    if change is not None:
        change(call, page)
    if chosen is not None:
        page = mask.apply(chosen, page)
    return msgspec.json.encode(page)


def _check(chosen: mask.Mask, route: Route) -> None:
    try:
        mask.check(chosen, route.fields)
    except mask.MaskError as error:
        raise _bad_fields(str(error)) from None


@lru_cache(maxsize=64)
def _mask(text: str) -> mask.Mask:
    try:
        return mask.parse(text)
    except mask.MaskError as error:
        raise _bad_fields(str(error)) from None


def _bad_fields(text: str) -> ApiError:
    return ApiError(
        400,
        "invalidParameter",
        f"Invalid field selection {text}",
        location=("parameter", "fields"),
    )


def _number(call: Call, highest: int, default: int) -> int:
    text = call.query.get("maxResults", str(default))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= highest:
        raise invalid_input("maxResults")
    return int(text)


def _choice(call: Call, name: str, choices: str) -> str | None:
    value = call.query.get(name)
    if value is not None and value not in choices.split():
        raise invalid_input(name)
    return value


def _organization(call: Call) -> None:
    """Refuse a list of nobody's users or groups."""
    customer, domain = call.query.get("customer"), call.query.get("domain")
    if not customer and not domain:
        raise ApiError(400, "badRequest", "Bad Request")
    if customer and customer not in ("my_customer", call.directory.customer):
        raise not_found("customer")
    if domain and domain != DOMAIN:
        raise not_found("domain")


def _list(call: Call, listing: Listing, highest: int, default: int) -> Page:
    call.limit = _number(call, highest, default)
    token = call.query.get("pageToken", "")
    call.cursor = read_cursor(token, listing.kind, listing.key) if token else Cursor()
    call.listing = listing
    return listing.page(call.cursor, call.limit)


def _users(call: Call) -> Page:
    """List users; `query` and `sortOrder` have no effect, the order is that of the e-mails."""
    _organization(call)
    _choice(call, "orderBy", "email givenName familyName")
    _choice(call, "projection", "basic custom full")
    public = _choice(call, "viewType", "admin_view domain_public") == "domain_public"
    deleted = (_choice(call, "showDeleted", "true false") or "false") == "true"
    kind: ListKind = "deleted" if deleted else "users"
    return _list(call, Listing(kind, call.directory, public=public), 500, 100)


def _user(call: Call) -> Page:
    person = call.directory.people.find(call.keys[0])
    if person is None:
        raise not_found("userKey")
    if _choice(call, "viewType", "admin_view domain_public") == "domain_public":
        return wire.public_user(person)
    return wire.user(person, call.directory.customer)


def _tokens(call: Call) -> Page:
    people = call.directory.people
    person = people.find(call.keys[0])
    if person is None:
        # Of somebody deleted lately the API says what it says of suspended users.
        raise bad_credentials() if people.find_deleted(call.keys[0]) else not_found("userKey")
    if person.status != "active":
        raise bad_credentials()
    return wire.token_list(call.directory, person, call.turn)


def _groups(call: Call) -> Page:
    if "userKey" in call.query:
        raise invalid_input("userKey")
    _organization(call)
    return _list(call, Listing("groups", call.directory), 200, 200)


def _group(call: Call) -> Page:
    team = call.directory.teams.find(call.keys[0])
    if team is None:
        raise not_found("groupKey")
    return wire.group(team)


def _members(call: Call) -> Page:
    team = call.directory.teams.find(call.keys[0])
    if team is None:
        raise not_found("groupKey")
    if call.query.get("includeDerivedMembership", "false").lower() != "false":
        raise invalid_input("includeDerivedMembership")
    roles = frozenset(call.query.get("roles", "").split(",")) - {""}
    return _list(call, Listing("members", call.directory, team.id, roles=roles), 200, 200)


def _member(call: Call) -> Page:
    team = call.directory.teams.find(call.keys[0])
    if team is None:
        raise not_found("groupKey")
    item = call.directory.teams.member(team.number, call.keys[1])
    if item is None:
        raise not_found("memberKey")
    return wire.member(item)


ROUTES: dict[tuple[str, ...], Route] = {
    ("users",): Route("users", _USER_LIST, schema.USERS, _users, cached=True),
    ("users", ""): Route("users", _USER_GET, schema.USER, _user),
    ("users", "", "tokens"): Route("tokens", _TOKEN, schema.TOKENS, _tokens),
    ("groups",): Route("groups", _GROUP, schema.GROUPS, _groups, cached=True),
    ("groups", ""): Route("groups", _GROUP, schema.GROUP, _group),
    ("groups", "", "members"): Route("members", _MEMBER, schema.MEMBERS, _members, cached=True),
    ("groups", "", "members", ""): Route("members", _MEMBER, schema.MEMBER, _member),
}
