"""Google's Directory API as it is on the wire, and its mapping to entities. Pure functions.

Field names and types: the Admin SDK's discovery document, ``admin:directory_v1``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from syncd.model import (
    BadRecord,
    Collection,
    CollectionKind,
    Entity,
    Group,
    Page,
    Relation,
    Token,
    User,
    canonical_scopes,
)
from syncd.providers.base import usable_id
from syncd.upstream.client import Response
from syncd.upstream.verdicts import bad_body, decode, require_json

NEVER = "1970-01-01T00:00:00.000Z"
"""What Google shows as the last login of somebody who never logged in."""

LARGE_BODY = 4 << 20
"""Bytes; the largest real page, 500 users, has a fifth of it."""

MOST_VALUES = 200_000
"""JSON values in a page; the largest real one has some ten thousand."""

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class _Name(msgspec.Struct, gc=False):
    fullName: str = ""  # noqa: N815  the wire's own name


class _User(msgspec.Struct, gc=False):
    id: str
    primaryEmail: str = ""  # noqa: N815
    name: _Name | None = None
    suspended: bool = False
    archived: bool = False
    isAdmin: bool = False  # noqa: N815
    orgUnitPath: str = ""  # noqa: N815
    lastLoginTime: str = ""  # noqa: N815
    creationTime: str = ""  # noqa: N815
    customerId: str = ""  # noqa: N815


class _Token(msgspec.Struct, gc=False):
    clientId: str  # noqa: N815
    displayText: str = ""  # noqa: N815
    anonymous: bool = False
    nativeApp: bool = False  # noqa: N815
    userKey: str = ""  # noqa: N815
    scopes: list[str] = []


class _Group(msgspec.Struct, gc=False):
    id: str
    email: str = ""
    name: str = ""
    description: str = ""


class _Member(msgspec.Struct, gc=False):
    id: str
    email: str = ""
    role: str = "MEMBER"
    type: str = "USER"


class _MemberType(msgspec.Struct, gc=False):
    type: str


class _Users(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    users: list[_User] = []


class _Tokens(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    items: list[_Token] = []


class _Groups(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    groups: list[_Group] = []


class _Members(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    members: list[_Member] = []


class _RawUsers(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    users: list[msgspec.Raw] = []


class _RawTokens(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    items: list[msgspec.Raw] = []


class _RawGroups(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    groups: list[msgspec.Raw] = []


class _RawMembers(msgspec.Struct, gc=False):
    kind: str = ""
    nextPageToken: str = ""  # noqa: N815
    members: list[msgspec.Raw] = []


class _OnlyId(msgspec.Struct, gc=False):
    id: str = ""


class _OnlyClientId(msgspec.Struct, gc=False):
    id: str = msgspec.field(default="", name="clientId")


T = TypeVar("T")


class Listing:
    """How one kind of listing is decoded."""

    def __init__(
        self, mark: str, field: str, whole: type[Any], raw: type[Any], record: type[Any]
    ) -> None:
        """``mark`` is the ``kind`` that the provider puts on such a listing."""
        self.mark = mark
        self.field = field
        self._whole = msgspec.json.Decoder(whole)
        self._raw = msgspec.json.Decoder(raw)
        self._record = msgspec.json.Decoder(record)
        only_id = _OnlyClientId if record is _Token else _OnlyId
        self._only_id: msgspec.json.Decoder[Any] = msgspec.json.Decoder(only_id)

    def decode(self, response: Response) -> tuple[Any, list[Any], list[BadRecord]]:
        """The listing, its good records and its bad ones."""
        require_json(response.headers)
        if len(response.body) > LARGE_BODY:
            _bound_values(response.body)
        try:
            listing = decode(self._whole, response.body)
            self._check(listing)
            return listing, getattr(listing, self.field), []
        except msgspec.ValidationError:
            return self._decode_one_by_one(response.body)

    def _decode_one_by_one(self, body: bytes) -> tuple[Any, list[Any], list[BadRecord]]:
        """One bad record must not cost the others of its page."""
        _bound_values(body)
        try:
            listing = decode(self._raw, body)
        except msgspec.ValidationError as error:
            raise bad_body("unexpected_shape", str(error)) from None
        self._check(listing)
        good, bad = [], []
        for raw in getattr(listing, self.field):
            try:
                good.append(self._record.decode(raw))
            except msgspec.ValidationError as error:
                bad.append(BadRecord(self._readable_id(raw), str(error)))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                # A decoder does not look into what it passes over.
                raise bad_body("invalid_json", "a record in it is no valid JSON") from None
        return listing, good, bad

    def _readable_id(self, raw: msgspec.Raw) -> str:
        try:
            id: str = self._only_id.decode(raw).id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""
        return id if usable_id(id) else ""

    def _check(self, listing: Any) -> None:
        if listing.kind != self.mark:
            raise bad_body("no_mark", f"it is not marked as {self.mark}")


def _bound_values(body: bytes) -> None:
    """Refuse a body that would become very many values; what its texts hold does not count."""
    if body.count(b",") > MOST_VALUES and _TEXT.sub(b"", body).count(b",") > MOST_VALUES:
        raise bad_body("too_many_values", "it has more values than a page can have")


def _status(user: _User) -> str:
    if user.suspended:
        return "suspended"
    return "archived" if user.archived else "active"


def _map_user(user: _User) -> User:
    return User(
        id=user.id,
        email=user.primaryEmail,
        name=user.name.fullName if user.name else "",
        status=_status(user),
        is_admin=user.isAdmin,
        org_unit=user.orgUnitPath,
        created_at=user.creationTime,
        last_login_at="" if user.lastLoginTime == NEVER else user.lastLoginTime,
    )


def _map_group(group: _Group) -> Group:
    return Group(id=group.id, email=group.email, name=group.name, description=group.description)


SUBJECT_KINDS = {
    "USER": "user",
    "GROUP": "group",
    "EXTERNAL": "external",
    "CUSTOMER": "everyone",
}
"""``members[].type`` -> subject_kind."""


_MEMBER_TYPE = msgspec.json.Decoder(_MemberType)


def subject_kind(response: Response) -> str:
    """What kind of subject a single member is. Raises UpstreamError (retry) if it is none."""
    require_json(response.headers)
    try:
        member = decode(_MEMBER_TYPE, response.body)
    except msgspec.ValidationError as error:
        raise bad_body("unexpected_shape", str(error)) from None
    return SUBJECT_KINDS.get(member.type, "external")


def _map_member(group: str, member: _Member) -> Relation:
    return Relation(
        object_id=group,
        subject_kind=SUBJECT_KINDS.get(member.type, "external"),
        subject_id=member.id,
        role=member.role.lower(),
        subject_email=member.email,
    )


def _map_tokens(user: str, tokens: list[_Token]) -> list[Token]:
    """One token for each application; repeats in one body merge."""
    merged: dict[str, Token] = {}
    for token in tokens:
        if token.userKey and token.userKey != user:
            raise bad_body("other_listing", "it lists the tokens of another user")
        scopes = list(token.scopes)
        if token.clientId in merged:
            scopes += merged[token.clientId].scopes
        merged[token.clientId] = Token(
            principal_id=user,
            application_id=token.clientId,
            scopes=canonical_scopes(scopes),
            native=token.nativeApp,
            anonymous=token.anonymous,
            application_name=token.displayText,
        )
    return list(merged.values())


USERS = Listing("admin#directory#users", "users", _Users, _RawUsers, _User)
TOKENS = Listing("admin#directory#tokenList", "items", _Tokens, _RawTokens, _Token)
GROUPS = Listing("admin#directory#groups", "groups", _Groups, _RawGroups, _Group)
MEMBERS = Listing("admin#directory#members", "members", _Members, _RawMembers, _Member)

LISTINGS = {
    CollectionKind.USERS: USERS,
    CollectionKind.DELETED_USERS: USERS,
    CollectionKind.TOKENS: TOKENS,
    CollectionKind.GROUPS: GROUPS,
    CollectionKind.MEMBERS: MEMBERS,
}


def _usable(records: list[T], id_of: Callable[[T], str], bad: list[BadRecord]) -> list[T]:
    """The records whose id can be one; the others join the bad ones."""
    good = [record for record in records if usable_id(id_of(record))]
    bad += [BadRecord("", "the id cannot be one")] * (len(records) - len(good))
    return good


def _customer(users: list[_User]) -> str:
    """Whose users these are. Raises UpstreamError (retry) when they are several customers'."""
    found = {user.customerId for user in users if user.customerId}
    if len(found) > 1:
        raise bad_body("other_customer", "it shows users of several customers")
    return next(iter(found), "")


def parse(collection: Collection, response: Response) -> Page:
    """The entities in a response. Raises UpstreamError when it cannot be that listing."""
    listing, records, bad = LISTINGS[collection.kind].decode(response)
    entities: list[Entity]
    customer = ""
    if collection.kind is CollectionKind.TOKENS:
        records = _usable(records, lambda r: r.clientId, bad)
        entities = list(_map_tokens(collection.parent, records))
    else:
        records = _usable(records, lambda r: r.id, bad)
        if collection.kind is CollectionKind.MEMBERS:
            entities = [_map_member(collection.parent, record) for record in records]
        elif collection.kind is CollectionKind.GROUPS:
            entities = [_map_group(record) for record in records]
        else:
            entities = [_map_user(record) for record in records]
            customer = _customer(records)
    return Page(
        entities=tuple(entities),
        bad=tuple(bad),
        next=listing.nextPageToken or None,
        customer=customer,
    )
