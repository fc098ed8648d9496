"""The server at the level of HTTP: paging, masks, errors, compression, connections."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from syncd.demo import AuthPolicy, Directory, FaultPlan
from syncd.demo.mask import MaskError, apply, parse
from syncd.demo.stats import Quota
from tests.demo.client import SCOPE, Client, read_answer
from tests.demo.conftest import Starter

EVERYONE = {"customer": "my_customer"}
USERS = "/admin/directory/v1/users?customer=my_customer"


@pytest.mark.parametrize("size", ["1", "7", "59", "60", "61", "500"])
async def test_pages_hold_every_user_once(client: Client, size: str) -> None:
    pages = await client.pages("users", **EVERYONE, maxResults=size)
    assert len(pages) == -(-60 // int(size))
    assert all(len(page["users"]) <= int(size) for page in pages)
    served = [user["id"] for page in pages for user in page["users"]]
    assert served == [row.id for row in client.server.directory.iter_users()]


async def test_default_page_sizes(start: Starter) -> None:
    client = await start(Directory(users=260, groups=210))
    assert len((await client.pages("users", **EVERYONE))[0]["users"]) == 100
    assert len((await client.pages("groups", **EVERYONE))[0]["groups"]) == 200


async def test_an_empty_list_has_no_items(start: Starter) -> None:
    client = await start(Directory(users=30, groups=0, tokens_per_user=0))
    assert set((await client.api("groups", **EVERYONE)).json()) == {"kind", "etag"}
    deleted = await client.api("users", **EVERYONE, showDeleted="true")
    assert set(deleted.json()) == {"kind", "etag"}
    tokens = await client.api("users/admin@acme.example/tokens")
    assert set(tokens.json()) == {"kind", "etag"}


async def test_page_tokens_belong_to_their_list(start: Starter) -> None:
    client = await start(Directory(users=300))
    page = (await client.api("users", **EVERYONE)).json()
    token = page["nextPageToken"]
    group = next(client.server.directory.iter_groups())
    wrong = [
        await client.api("groups", **EVERYONE, pageToken=token),
        await client.api("users", **EVERYONE, showDeleted="true", pageToken=token),
        await client.api(f"groups/{group.id}/members", pageToken=token),
        await client.api("users", **EVERYONE, pageToken=token[:-4] + "AAAA"),
        await client.api("users", **EVERYONE, pageToken="\u00e9"),
    ]
    assert [(answer.status, answer.reason) for answer in wrong] == [(400, "invalid")] * 5


async def test_a_listing_goes_on_after_the_directory_moved(start: Starter) -> None:
    client = await start(Directory(users=300))
    token = (await client.api("users", **EVERYONE)).json()["nextPageToken"]
    client.server.directory = client.server.directory.at(3)
    answer = await client.api("users", **EVERYONE, pageToken=token, maxResults="500")
    living = {row.id for row in client.server.directory.iter_users()}
    assert {user["id"] for user in answer.json()["users"]} <= living
    every = await client.pages("users", **EVERYONE)
    assert {user["id"] for page in every for user in page["users"]} == living


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("users", {"maxResults": "0"}),
        ("users", {"maxResults": "501"}),
        ("users", {"maxResults": "ten"}),
        ("users", {"orderBy": "age"}),
        ("users", {"projection": "half"}),
        ("users", {"viewType": "god"}),
        ("users", {"showDeleted": "maybe"}),
        ("groups", {"maxResults": "201"}),
        ("groups", {"userKey": "admin@acme.example"}),
    ],
)
async def test_bad_parameters(client: Client, path: str, parameters: dict[str, str]) -> None:
    answer = await client.api(path, **EVERYONE, **parameters)
    assert (answer.status, answer.reason) == (400, "invalid")
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "errors", "status"}
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert set(error["errors"][0]) == {"message", "domain", "reason"}


async def test_customer_and_domain(start: Starter) -> None:
    client = await start(Directory(users=5, customer="C0other77"))
    for parameters in ({"customer": "C0other77"}, {"domain": "acme.example"}):
        users = (await client.api("users", **parameters)).json()["users"]
        assert {user["customerId"] for user in users} == {"C0other77"}
    assert (await client.api("users", domain="else.example")).status == 404
    assert (await client.api("groups")).reason == "badRequest"


async def test_everybodys_view_of_a_user_is_small(client: Client) -> None:
    answer = await client.api("users", **EVERYONE, viewType="domain_public")
    assert "isAdmin" not in answer.json()["users"][0]
    answer = await client.api("users/admin@acme.example", viewType="domain_public")
    assert "isAdmin" not in answer.json()


async def test_members_by_role_and_by_key(start: Starter) -> None:
    client = await start(Directory(users=300))
    rows = list(client.server.directory.iter_members())
    group = rows[0].group_id
    leaders = {row.subject_id for row in rows if row.group_id == group and row.role != "member"}
    pages = await client.pages(f"groups/{group}/members", roles="OWNER,MANAGER", maxResults="2")
    assert {item["id"] for page in pages for item in page.get("members", [])} == leaders
    for row in rows[:40]:
        answer = await client.api(f"groups/{row.group_id}/members/{row.subject_id}")
        assert (answer.json()["id"], answer.json()["role"].lower()) == (row.subject_id, row.role)
    answer = await client.api(f"groups/{group}/members/{'1' * 21}")
    assert (answer.status, answer.reason) == (404, "notFound")


async def test_scopes_come_in_changing_order_and_sometimes_twice(client: Client) -> None:
    seen = set()
    twice = False
    for _ in range(24):
        items = (await client.api("users/admin@acme.example/tokens")).json()["items"]
        seen.add(json.dumps([item["scopes"] for item in items]))
        twice |= any(len(set(item["scopes"])) < len(item["scopes"]) for item in items)
    assert len(seen) > 1
    assert twice


async def test_deleted_users_answer_as_suspended_ones_for_tokens(start: Starter) -> None:
    client = await start(Directory(users=60, epoch=2))
    gone = next(client.server.directory.iter_deleted_users())
    assert (await client.api(f"users/{gone.id}/tokens")).status == 401
    assert (await client.api(f"users/{gone.id}")).status == 404


# -- partial responses -----------------------------------------------------------------------


async def test_a_mask_keeps_what_it_names(client: Client) -> None:
    mask = "nextPageToken,users(id,name/fullName)"
    page = (await client.api("users", **EVERYONE, maxResults="2", fields=mask)).json()
    assert set(page) == {"nextPageToken", "users"}
    assert all(set(user) == {"id", "name"} for user in page["users"])
    assert all(set(user["name"]) == {"fullName"} for user in page["users"])
    page = (await client.api("users/admin@acme.example/tokens", fields="items/scopes")).json()
    assert all(set(item) == {"scopes"} for item in page["items"])
    page = (await client.api("users/admin@acme.example", fields="name(familyName),id")).json()
    assert set(page) == {"id", "name"}


@pytest.mark.parametrize("mask", ["users(", "users)", "users(id", ",", "users(nope)", "a b", "x"])
async def test_a_bad_mask_is_refused(client: Client, mask: str) -> None:
    answer = await client.api("users", **EVERYONE, fields=mask)
    assert (answer.status, answer.reason) == (400, "invalidParameter")


@pytest.mark.parametrize(
    ("mask", "kept"),
    [
        ("*", {"a": 1, "b": {"c": 2, "d": 3}, "e": [{"c": 4, "d": 5}]}),
        ("a", {"a": 1}),
        ("b/c", {"b": {"c": 2}}),
        ("b/c,b/d", {"b": {"c": 2, "d": 3}}),
        ("b,b/d", {"b": {"c": 2, "d": 3}}),
        ("e(d),a", {"a": 1, "e": [{"d": 5}]}),
        ("e/*", {"e": [{"c": 4, "d": 5}]}),
        ("a/b", {"a": 1}),
    ],
)
def test_masks(mask: str, kept: dict[str, Any]) -> None:
    value = {"a": 1, "b": {"c": 2, "d": 3}, "e": [{"c": 4, "d": 5}]}
    assert apply(parse(mask), value) == kept


@pytest.mark.parametrize("mask", ["", "a,", "a(", "a()", "a//b", "a(b))", "/a", "a/" * 20 + "a"])
def test_no_masks(mask: str) -> None:
    with pytest.raises(MaskError):
        parse(mask)


# -- HTTP ------------------------------------------------------------------------------------


async def test_gzip_only_when_wished_and_worth_it(start: Starter) -> None:
    client = await start()
    plain = await client.request(USERS)
    assert "content-encoding" not in plain.headers
    assert plain.headers["content-type"] == "application/json; charset=UTF-8"
    client.headers = {"Accept-Encoding": "gzip, deflate"}
    for _ in range(2):
        packed = await client.request(USERS)
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.body == plain.body
    small = await client.api("users", **EVERYONE, fields="kind")
    assert "content-encoding" not in small.headers
    client.server.gzip = False
    assert "content-encoding" not in (await client.request(USERS)).headers


async def test_many_requests_at_once_on_one_connection(client: Client) -> None:
    reader, writer = await client.open()
    paths = [f"{USERS}&maxResults={size}" for size in range(1, 60)]
    writer.write(b"".join(client.raw(path) for path in paths))
    for size in range(1, 60):
        assert len((await read_answer(reader)).json()["users"]) == size
    writer.close()


async def test_a_request_in_small_pieces(client: Client) -> None:
    reader, writer = await client.open()
    form = b"grant_type=nothing"
    for byte in client.raw("/token", method="POST", body=form):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await read_answer(reader)).json()["error"] == "unsupported_grant_type"
    writer.close()


async def test_connection_close_is_honoured(client: Client) -> None:
    reader, writer = await client.open()
    writer.write(client.raw(USERS, Connection="close"))
    assert (await read_answer(reader)).headers["connection"] == "close"
    assert await reader.read() == b""
    writer.close()


async def test_a_client_that_has_said_all_gets_its_answer(client: Client) -> None:
    client.server.latency = {"users": 0.02}
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    writer.write_eof()
    assert (await read_answer(reader)).status == 200
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET http://other/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST /token HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /token HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /token HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70000, 431),
    ],
)
async def test_what_is_no_request_is_refused(client: Client, data: bytes, status: int) -> None:
    reader, writer = await client.open()
    writer.write(data)
    assert (await read_answer(reader)).status == status
    assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    "path",
    ["/", "/admin/directory/v1", "/admin/directory/v1/users//tokens", "/admin/directory/v2/users"],
)
async def test_unknown_paths(client: Client, path: str) -> None:
    answer = await client.request(path)
    assert (answer.status, answer.reason) == (404, "notFound")
    assert client.server.stats.requests["other"] == 1


async def test_keys_may_be_percent_encoded(client: Client) -> None:
    answer = await client.request("/admin/directory/v1/users/admin%40acme.example")
    assert answer.json()["primaryEmail"] == "admin@acme.example"


# -- tokens ----------------------------------------------------------------------------------


async def test_requests_without_a_good_token(client: Client) -> None:
    for header in ("Bearer nothing", "Basic abc", f"Token {client.token}", "Bearer"):
        answer = await client.request(USERS, Authorization=header)
        assert (answer.status, answer.reason) == (401, "authError")
        assert answer.json()["error"]["status"] == "UNAUTHENTICATED"
    client.token = ""
    assert (await client.request(USERS)).status == 401


async def test_access_tokens_end(client: Client) -> None:
    client.server.auth = AuthPolicy(lifetime=0)
    await client.log_in()
    assert (await client.request(USERS)).status == 401
    client.server.auth = AuthPolicy()
    await client.log_in()
    assert (await client.request(USERS)).status == 200
    client.server.revoke_access_tokens()
    assert (await client.request(USERS)).status == 401


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"aud": "https://other.example/token"}, 400, "invalid_grant"),
        ({"iss": "somebody@else.example"}, 400, "invalid_grant"),
        ({"iss": None}, 400, "invalid_grant"),
        ({"sub": None}, 400, "invalid_grant"),
        ({"sub": "nobody@acme.example"}, 400, "invalid_grant"),
        ({"exp": 1000, "iat": 900}, 400, "invalid_grant"),
        ({"exp": 4102444800}, 400, "invalid_grant"),
        ({"scope": None}, 400, "invalid_scope"),
        ({"scope": "rubbish"}, 400, "invalid_scope"),
        ({"scope": SCOPE + "drive"}, 401, "unauthorized_client"),
    ],
)
async def test_assertions_are_checked(
    client: Client, changes: dict[str, Any], status: int, error: str
) -> None:
    client.server.auth = AuthPolicy(missing_scopes=frozenset({SCOPE + "drive"}))
    answer = await client.grant(client.assertion(**changes))
    assert (answer.status, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"]


async def test_the_signature_is_checked(client: Client, start: Starter) -> None:
    assertion = client.assertion()
    head, body, mark = assertion.split(".")
    for forged in (f"{head}.{body}.{mark[::-1]}", f"{head}.{body}.", "x.y.z", ""):
        answer = await client.grant(forged)
        assert (answer.status, answer.json()["error"]) == (400, "invalid_grant")
    answer = await client.grant(assertion, grant_type="password")
    assert (answer.status, answer.json()["error"]) == (400, "unsupported_grant_type")


# -- load ------------------------------------------------------------------------------------


async def test_latency_and_requests_in_flight(start: Starter) -> None:
    client = await start(latency={"users": 0.5})
    await asyncio.gather(*(client.request(USERS) for _ in range(5)))
    await client.api("groups", **EVERYONE)
    stats = client.server.stats
    assert stats.max_in_flight["users"] == 5
    assert stats.max_in_flight["groups"] == 1
    assert stats.in_flight["users"] == 0
    assert stats.requests == {"token_grant": 1, "users": 5, "groups": 1}
    assert stats.statuses == {200: 7}
    assert stats.log[0][:2] == ("POST", "/token")


async def test_the_quota(start: Starter) -> None:
    client = await start(quota_per_minute=5)
    answers = [await client.request(USERS) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [403] * 2
    assert answers[-1].reason == "userRateLimitExceeded"
    assert client.server.stats.over_quota == 2


def test_the_quota_counts_any_stretch_of_time() -> None:
    quota = Quota(3, window=60.0)
    assert [quota.take(now) for now in (0.0, 10.0, 59.0, 59.9)] == [True, True, True, False]
    assert [quota.take(now) for now in (60.1, 69.0, 70.1, 100.0)] == [True, False, True, False]


def test_unknown_kinds_of_latency() -> None:
    from syncd.demo import DemoServer

    with pytest.raises(ValueError, match="unknown"):
        DemoServer(Directory(), latency={"user": 1.0})


async def test_stopping_breaks_connections(start: Starter) -> None:
    client = await start(faults=FaultPlan.single("hang"))
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    await asyncio.sleep(0.02)
    await client.server.stop()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
