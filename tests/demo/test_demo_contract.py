"""What the demo serves, held against Google's own description of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import googleapiclient
import pytest

from syncd.demo import Directory, api, schema
from tests.demo.conftest import Starter

DOCUMENT = json.loads(
    (
        Path(googleapiclient.__file__).parent / "discovery_cache/documents/admin.directory_v1.json"
    ).read_text(encoding="utf-8")
)
TYPES: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "array": list}
METHODS = {
    "users": ("users", "list", "Users"),
    "users/{userKey}": ("users", "get", "User"),
    "users/{userKey}/tokens": ("tokens", "list", "Tokens"),
    "groups": ("groups", "list", "Groups"),
    "groups/{groupKey}": ("groups", "get", "Group"),
    "groups/{groupKey}/members": ("members", "list", "Members"),
    "groups/{groupKey}/members/{memberKey}": ("members", "get", "Member"),
}


def check(value: Any, name: str) -> None:
    """Hold a resource against the schema `name`."""
    properties = DOCUMENT["schemas"][name]["properties"]
    for key, item in value.items():
        assert key in properties, f"{name}.{key}"
        check_value(item, properties[key], f"{name}.{key}")
    if "default" in properties.get("kind", {}):
        assert value["kind"] == properties["kind"]["default"]


def check_value(item: Any, described: dict[str, Any], where: str) -> None:
    """Hold one value against its description."""
    if "$ref" in described:
        check(item, described["$ref"])
    elif described["type"] == "any":
        return
    else:
        assert isinstance(item, TYPES[described["type"]]), where
        if described["type"] == "array":
            for element in cast(list[Any], item):
                check_value(element, described["items"], where)


def method(path: str) -> dict[str, Any]:
    resource, name, _ = METHODS[path]
    found: dict[str, Any] = DOCUMENT["resources"][resource]["methods"][name]
    return found


def test_every_path_and_scope_of_the_demo_is_googles() -> None:
    keys = {("users",), ("users", ""), ("users", "", "tokens"), ("groups",), ("groups", "")}
    keys |= {("groups", "", "members"), ("groups", "", "members", "")}
    assert set(api.ROUTES) == keys
    by_shape = {}
    for path in METHODS:
        described = method(path)
        assert described["path"] == f"admin/directory/v1/{path}"
        assert described["httpMethod"] == "GET"
        shape = tuple("" if part.startswith("{") else part for part in path.split("/"))
        by_shape[shape] = set(described["scopes"])
    assert {shape: set(route.scopes) for shape, route in api.ROUTES.items()} == by_shape


def test_the_fields_a_mask_may_name_are_googles() -> None:
    for known, name in (
        (schema.USERS, "Users"),
        (schema.USER, "User"),
        (schema.TOKENS, "Tokens"),
        (schema.TOKEN, "Token"),
        (schema.GROUPS, "Groups"),
        (schema.GROUP, "Group"),
        (schema.MEMBERS, "Members"),
        (schema.MEMBER, "Member"),
    ):
        assert set(known) == set(DOCUMENT["schemas"][name]["properties"])
    assert set(schema.USER["name"]) == set(DOCUMENT["schemas"]["UserName"]["properties"])


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("users", "customer domain maxResults orderBy pageToken projection showDeleted viewType"),
        ("users/{userKey}", "viewType projection"),
        ("groups", "customer domain maxResults pageToken userKey"),
        ("groups/{groupKey}/members", "includeDerivedMembership maxResults pageToken roles"),
    ],
)
def test_the_parameters_the_demo_reads_are_googles(path: str, parameters: str) -> None:
    assert set(parameters.split()) <= set(method(path)["parameters"])
    assert "fields" in DOCUMENT["parameters"]


async def test_every_resource_served_fits_googles_schema(start: Starter) -> None:
    client = await start(Directory(users=300, epoch=5))
    directory = client.server.directory
    everyone = {"customer": "my_customer"}
    for parameters in (everyone, everyone | {"showDeleted": "true"}, {"domain": "acme.example"}):
        for page in await client.pages("users", **parameters):
            check(page, "Users")
    for page in await client.pages("groups", **everyone):
        check(page, "Groups")
    for row in directory.iter_users():
        check((await client.api(f"users/{row.id}")).json(), "User")
        answer = await client.api(f"users/{row.id}/tokens")
        if row.status == "active":
            check(answer.json(), "Tokens")
    for group in directory.iter_groups():
        check((await client.api(f"groups/{group.id}")).json(), "Group")
        for page in await client.pages(f"groups/{group.id}/members", maxResults="50"):
            check(page, "Members")
    one = next(directory.iter_members())
    answer = await client.api(f"groups/{one.group_id}/members/{one.subject_id}")
    check(answer.json(), "Member")
