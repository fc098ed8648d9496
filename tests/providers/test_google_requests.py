"""Each request against Google's own description of the API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import googleapiclient
import pytest

from syncd.demo import mask
from syncd.errors import UpstreamError
from syncd.model import ENDPOINTS, Collection, Kind
from syncd.providers.base import Fetch, unmarked
from syncd.providers.google_workspace import SCOPES
from syncd.providers.registry import PROVIDERS, schemas
from syncd.upstream.client import Request, Response
from tests.providers.google import DELETED, EVERY, GROUPS, MEMBERS, TOKENS, USERS, answer, provider

DOCUMENT: dict[str, Any] = json.loads(
    (
        Path(googleapiclient.__file__).parent / "discovery_cache/documents/admin.directory_v1.json"
    ).read_text(encoding="utf-8")
)
METHODS = [
    method
    for resource in ("users", "tokens", "groups", "members")
    for method in DOCUMENT["resources"][resource]["methods"].values()
    if method["httpMethod"] == "GET"
]
RESPONSES = {
    "users.list": "Users",
    "tokens.list": "Tokens",
    "groups.list": "Groups",
    "members.list": "Members",
    "users.get": "User",
    "groups.get": "Group",
    "members.get": "Member",
}


def method_of(request: Request) -> dict[str, Any]:
    for method in METHODS:
        path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape("/" + method["path"]))
        if re.fullmatch(path, request.path):
            found: dict[str, Any] = method
            return found
    raise AssertionError(request.path)


def check_fields(fields: mask.Mask | None, schema: str) -> None:
    """Every name of a mask stands in the schema."""
    properties = DOCUMENT["schemas"][schema]["properties"]
    for name, inner in (fields or {}).items():
        assert name in properties, f"{schema}.{name}"
        if inner:
            described = properties[name]
            below = described.get("$ref") or described.get("items", {}).get("$ref", "UserName")
            check_fields(inner, below)


def check(request: Request) -> None:
    method = method_of(request)
    name = method["id"].removeprefix("directory.")
    assert method["response"]["$ref"] == RESPONSES[name]
    assert request.grant in method["scopes"]
    names = [name for name, _ in request.params]
    assert len(names) == len(set(names))
    for key, value in request.params:
        described = {**DOCUMENT["parameters"], **method["parameters"]}[key]
        assert described["location"] == "query"
        if "enum" in described:
            assert value in described["enum"]
        if described["type"] == "integer":
            assert int(described.get("minimum", 1)) <= int(value)
            assert int(value) <= int(described.get("maximum", 500))
    check_fields(mask.parse(dict(request.params)["fields"]), RESPONSES[name])


@pytest.mark.parametrize("cursor", [None, "CAEQ"])
@pytest.mark.parametrize("collection", EVERY, ids=str)
def test_every_listing_is_googles(collection: Collection, cursor: str | None) -> None:
    request = provider().request(collection, cursor)
    check(request)
    params = dict(request.params)
    if collection.kind in provider().atomic:
        assert "pageToken" not in params
        assert "pageToken" not in method_of(request)["parameters"]
    else:
        assert params.get("pageToken") == cursor
        assert request.has_cursor is (cursor is not None)
        assert "nextPageToken" in params["fields"]
    assert "kind" in params["fields"]


def test_a_listing_of_the_customer_names_the_customer() -> None:
    for collection in (USERS, DELETED, GROUPS):
        assert dict(provider().request(collection, None).params)["customer"] == "my_customer"
    assert dict(provider().request(DELETED, None).params)["showDeleted"] == "true"
    assert dict(provider().request(USERS, None).params)["showDeleted"] == "false"


async def test_single_things_are_googles() -> None:
    asked: list[Request] = []

    async def send(request: Request) -> Response:
        asked.append(request)
        return answer({"kind": "admin#directory#users", "users": [{"id": "1"}]})

    google, fetch = provider(), Fetch(send, unmarked)
    for kind, parent in ((Kind.USER, ""), (Kind.GROUP, ""), (Kind.RELATION, "g1")):
        assert not await google.is_gone(fetch, kind, parent, "x1")
    await google.customer(fetch)
    for request in asked:
        check(request)
    base = "/admin/directory/v1"
    paths = [request.path for request in asked]
    assert paths == [
        f"{base}/users/x1",
        f"{base}/groups/x1",
        f"{base}/groups/g1/members/x1",
        f"{base}/users",
    ]
    with pytest.raises(ValueError, match="token"):
        await google.is_gone(fetch, Kind.TOKEN, "u1", "x1")
    with pytest.raises(UpstreamError):
        await google.is_gone(fetch, Kind.RELATION, "", "x1")


def test_the_default_address_and_the_scopes_are_googles() -> None:
    schema = schemas()["google_workspace"]
    assert str(schema.defaults["base_url"]) + "/" == DOCUMENT["rootUrl"]
    assert set(SCOPES) == set(ENDPOINTS)
    for endpoint, scope in SCOPES.items():
        assert scope in DOCUMENT["auth"]["oauth2"]["scopes"]
        assert provider().permission(endpoint) == scope
    assert provider().request(TOKENS, None).grant == SCOPES["tokens"]
    assert provider().request(MEMBERS, None).grant == SCOPES["relations"]
    assert PROVIDERS["google_workspace"].schema is schema


@pytest.mark.parametrize(
    ("status", "expected"), [("active", True), ("suspended", False), ("archived", False)]
)
def test_whose_tokens_can_be_asked_for(status: str, *, expected: bool) -> None:
    assert provider().has_tokens(status) is expected
