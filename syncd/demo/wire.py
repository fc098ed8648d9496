"""The directory's records as Google's JSON: field names, types and pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from syncd.demo.chance import draw
from syncd.demo.directory import Directory
from syncd.demo.grants import Grant
from syncd.demo.people import Person
from syncd.demo.teams import Membership, Team

_MEMBER_TYPES = {"user": "USER", "group": "GROUP", "external": "EXTERNAL", "everyone": "CUSTOMER"}
NEVER = "1970-01-01T00:00:00.000Z"


def stamp(moment: datetime | None) -> str:
    """Return `moment` as the API writes it; who never signed in has the year 1970."""
    return NEVER if moment is None else f"{moment.isoformat()[:19]}.000Z"


def etag(text: str) -> str:
    """Return `text` as an entity tag, with its quotes."""
    return f'"{text}"'


def user(person: Person, customer: str) -> dict[str, Any]:
    """Return the User resource as an administrator sees it."""
    resource: dict[str, Any] = {
        "kind": "admin#directory#user",
        "id": person.id,
        "etag": etag(person.etag),
        "primaryEmail": person.email,
        "name": {
            "givenName": person.given_name,
            "familyName": person.family_name,
            "fullName": person.full_name,
        },
        "isAdmin": person.is_admin,
        "isDelegatedAdmin": person.is_delegated_admin,
        "lastLoginTime": stamp(person.last_login),
        "creationTime": stamp(person.created),
    }
    if person.deleted is not None:
        resource["deletionTime"] = stamp(person.deleted)
    resource |= {
        "agreedToTerms": person.last_login is not None,
        "suspended": person.status == "suspended",
        "archived": person.status == "archived",
        "changePasswordAtNextLogin": False,
        "ipWhitelisted": False,
        "emails": [{"address": person.email, "primary": True}],
        "languages": [{"languageCode": "en", "preference": "preferred"}],
        "customerId": customer,
        "orgUnitPath": person.org_unit,
        "isMailboxSetup": True,
        "isEnrolledIn2Sv": person.chance % 5 != 0,
        "isEnforcedIn2Sv": False,
        "includeInGlobalAddressList": True,
    }
    if person.status == "suspended":
        resource["suspensionReason"] = "ADMIN"
    return resource


def public_user(person: Person) -> dict[str, Any]:
    """Return the User resource as everybody in the domain sees it."""
    return {
        "kind": "admin#directory#user",
        "id": person.id,
        "etag": etag(person.etag),
        "primaryEmail": person.email,
        "name": {
            "givenName": person.given_name,
            "familyName": person.family_name,
            "fullName": person.full_name,
        },
        "emails": [{"address": person.email, "primary": True}],
    }


def token_list(directory: Directory, person: Person, turn: int) -> dict[str, Any]:
    """Return the tokens of `person`; `turn` decides the order of the scopes."""
    names = directory.app_names
    grants = directory.grants.of(person.number, person.life)
    head = person.etag[:12]
    result: dict[str, Any] = {
        "kind": "admin#directory#tokenList",
        "etag": etag(f"{head}-{len(grants)}-{directory.epoch}"),
    }
    if grants:
        result["items"] = [
            _token(names[grant.app_index], person.id, grant, turn, head) for grant in grants
        ]
    return result


def _token(name: str, user_id: str, grant: Grant, turn: int, head: str) -> dict[str, Any]:
    scopes = grant.scopes
    cut = (turn + grant.app_index) % len(scopes)
    served = [*scopes[cut:], *scopes[:cut]]
    if (turn + grant.app_index) % 11 == 0:
        # The API has been seen to name a scope twice.
        served.append(served[0])
    return {
        "kind": "admin#directory#token",
        "etag": f'"{head}-{grant.app_index}-{len(scopes)}"',
        "clientId": grant.app.client_id,
        "displayText": name,
        "anonymous": grant.app.anonymous,
        "nativeApp": grant.app.native,
        "userKey": user_id,
        "scopes": served,
    }


def group(team: Team) -> dict[str, Any]:
    """Return the Group resource."""
    return {
        "kind": "admin#directory#group",
        "id": team.id,
        "etag": etag(team.etag),
        "email": team.email,
        "name": team.name,
        "directMembersCount": str(team.member_count),
        "description": team.description,
        "adminCreated": team.admin_created,
    }


def member(item: Membership) -> dict[str, Any]:
    """Return the Member resource."""
    resource: dict[str, Any] = {
        "kind": "admin#directory#member",
        "etag": etag(item.etag),
        "id": item.id,
    }
    if item.email is not None:
        resource["email"] = item.email
    resource["role"] = item.role.upper()
    resource["type"] = _MEMBER_TYPES[item.kind]
    if item.kind != "everyone":
        resource["status"] = "ACTIVE" if item.active else "SUSPENDED"
    return resource


def listing(kind: str, key: str, items: list[dict[str, Any]], tag: str) -> dict[str, Any]:
    """Return one page of a list without its nextPageToken; an empty list has no items key."""
    page: dict[str, Any] = {"kind": f"admin#directory#{kind}", "etag": etag(tag)}
    if items:
        page[key] = items
    return page


def page_tag(seed: int, epoch: int, count: int) -> str:
    """Return the text of a page's entity tag."""
    return f"{draw(seed, 90, epoch, count)[0]:08x}"
