"""Google's own client library reads the demo as it reads the real directory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import googleapiclient
import pytest
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError

from syncd.demo import AuthPolicy, DemoServer, Directory, FaultPlan
from tests.demo.client import ALL_SCOPES, SCOPE
from tests.demo.conftest import Starter

DOCUMENT = Path(googleapiclient.__file__).parent / (
    "discovery_cache/documents/admin.directory_v1.json"
)


def connect(server: DemoServer, scopes: str = ALL_SCOPES, admin: str = "admin@acme.example") -> Any:
    """Return Google's client for `server`."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    document["rootUrl"] = f"{server.url}/"
    factory: Any = service_account.Credentials
    credentials = factory.from_service_account_info(
        server.key_file(), scopes=scopes.split(), subject=admin
    )
    return build_from_document(document, credentials=credentials)


async def work(server: DemoServer, call: Callable[[Any], Any], **options: str) -> Any:
    """Run `call` with Google's client in a thread."""

    def run() -> Any:
        with connect(server, **options) as service:
            return call(service)

    return await asyncio.to_thread(run)


def every(resource: Any, key: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the items of all pages, with Google's own paging."""
    found: list[dict[str, Any]] = []
    request = resource.list(**parameters)
    while request is not None:
        page = request.execute()
        found += page.get(key, [])
        request = resource.list_next(request, page)
    return found


def status_of(user: dict[str, Any]) -> str:
    if user["suspended"]:
        return "suspended"
    return "archived" if user["archived"] else "active"


async def test_the_same_users(start: Starter) -> None:
    client = await start(Directory(users=230, epoch=6))
    directory = client.server.directory
    users = await work(
        client.server,
        lambda service: every(service.users(), "users", customer="my_customer", maxResults=50),
    )
    rows = [
        (u["id"], u["primaryEmail"], u["name"]["fullName"], status_of(u), u["isAdmin"])
        for u in users
    ]
    assert rows == [row[:5] for row in directory.iter_users()]
    assert [u["orgUnitPath"] for u in users] == [row.org_unit for row in directory.iter_users()]
    deleted = await work(
        client.server,
        lambda service: every(
            service.users(), "users", customer="my_customer", showDeleted="true", maxResults=3
        ),
    )
    served = [(u["id"], u["primaryEmail"], u["deletionTime"]) for u in deleted]
    assert served == list(directory.iter_deleted_users())


async def test_the_same_tokens(start: Starter) -> None:
    client = await start(Directory(users=80, epoch=3))
    directory = client.server.directory
    readable = [row.id for row in directory.iter_users() if row.status == "active"]

    def read(service: Any) -> list[tuple[str, str, tuple[str, ...]]]:
        found = []
        for key in readable:
            for item in service.tokens().list(userKey=key).execute().get("items", []):
                scopes = tuple(sorted(set(item["scopes"])))
                found.append((item["userKey"], item["clientId"], scopes))
        return found

    tokens = await work(client.server, read)
    assert sorted(tokens) == sorted(directory.iter_tokens(readable_only=True))


async def test_the_same_groups_and_members(start: Starter) -> None:
    client = await start(Directory(users=260, epoch=2))
    directory = client.server.directory
    kinds = {"USER": "user", "GROUP": "group", "EXTERNAL": "external", "CUSTOMER": "everyone"}

    def read(service: Any) -> tuple[list[Any], list[Any]]:
        groups = every(service.groups(), "groups", customer="my_customer", maxResults=5)
        members = []
        for group in groups:
            items = every(service.members(), "members", groupKey=group["id"])
            assert group["directMembersCount"] == str(len(items))
            for item in items:
                kind = kinds[item["type"]]
                members.append((group["id"], kind, item["id"], item["role"].lower()))
        return [(g["id"], g["email"], g["name"]) for g in groups], members

    groups, members = await work(client.server, read)
    assert groups == list(directory.iter_groups())
    assert members == list(directory.iter_members())


def failure(call: Callable[[Any], Any]) -> Callable[[Any], tuple[int, str]]:
    """Return a function which gives the status and the reason of the error of `call`."""

    def run(service: Any) -> tuple[int, str]:
        with pytest.raises(HttpError) as caught:
            call(service).execute()
        details: Any = caught.value.error_details
        return caught.value.status_code, details[0]["reason"]

    return run


async def test_the_errors_of_requests(start: Starter) -> None:
    client = await start(Directory(users=200))
    server = client.server
    idle = next(row.id for row in server.directory.iter_users() if row.status == "suspended")
    for call, expected in (
        (lambda s: s.users().list(), (400, "badRequest")),
        (lambda s: s.users().list(customer="Cother"), (404, "notFound")),
        (lambda s: s.users().list(customer="my_customer", pageToken="x"), (400, "invalid")),
        (lambda s: s.users().get(userKey="nobody@acme.example"), (404, "notFound")),
        (lambda s: s.tokens().list(userKey="1" * 21), (404, "notFound")),
        (lambda s: s.tokens().list(userKey=idle), (401, "authError")),
        (lambda s: s.groups().get(groupKey="none"), (404, "notFound")),
        (lambda s: s.members().list(groupKey="none"), (404, "notFound")),
    ):
        assert await work(server, failure(call)) == expected


async def test_missing_scope_is_insufficient(start: Starter) -> None:
    client = await start()
    scopes = SCOPE + "admin.directory.user.readonly"
    call = failure(lambda s: s.groups().list(customer="my_customer"))
    found = await work(client.server, call, scopes=scopes)
    assert found == (403, "insufficientPermissions")


async def test_somebody_without_rights_is_forbidden(start: Starter) -> None:
    client = await start()
    rows = client.server.directory.iter_users()
    email = next(row.email for row in rows if not row.is_admin and row.status == "active")
    call = failure(lambda s: s.users().list(customer="my_customer"))
    assert await work(client.server, call, admin=email) == (403, "forbidden")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("rate_limit_403", (403, "userRateLimitExceeded")),
        ("quota_403", (403, "quotaExceeded")),
        ("forbidden_403", (403, "forbidden")),
        ("rate_limit_429", (429, "rateLimitExceeded")),
        ("unavailable_503", (503, "backendError")),
    ],
)
async def test_the_errors_of_faults(start: Starter, fault: str, expected: tuple[int, str]) -> None:
    client = await start(faults=FaultPlan.single(fault))
    call = failure(lambda s: s.users().list(customer="my_customer"))
    assert await work(client.server, call) == expected


@pytest.mark.parametrize(
    ("policy", "error"),
    [
        (
            AuthPolicy(missing_scopes=frozenset({SCOPE + "admin.directory.user.security"})),
            "unauthorized_client",
        ),
        (AuthPolicy(wrong_admins=frozenset({"admin@acme.example"})), "invalid_grant"),
    ],
)
async def test_refused_grants(start: Starter, policy: AuthPolicy, error: str) -> None:
    client = await start()
    client.server.auth = policy

    def run(service: Any) -> str:
        with pytest.raises(RefreshError) as caught:
            service.users().list(customer="my_customer").execute()
        return str(caught.value.args[1]["error"])

    assert await work(client.server, run) == error
