"""Each fault, looked at where it happens: in the bytes, in the reply or in the resource."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
import zlib
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from syncd.demo import FAULT_NAMES, DemoServer, Directory, FaultPlan, FaultRule, faults
from syncd.demo.fault_replies import CHANGES, HOSTILE, REPLIES, SPOILED
from syncd.demo.fault_wire import PLAYS
from tests.demo.client import Answer, Client, read_answer
from tests.demo.conftest import Starter

USERS = "/admin/directory/v1/users?customer=my_customer"
TOKENS = "users/admin@acme.example/tokens"


async def ask(client: Client, name: str, path: str = USERS, **options: Any) -> Answer:
    """Ask for `path` while the fault `name` always happens."""
    client.server.faults = FaultPlan.single(name, **options)
    return await client.request(path)


def test_every_fault_is_made_somewhere_and_once() -> None:
    made = [*REPLIES, *CHANGES, *SPOILED, *PLAYS]
    assert sorted(made) == sorted(FAULT_NAMES)
    described = re.findall(r"^\| ([a-z0-9_]+) \|", faults.__doc__ or "", re.MULTILINE)
    assert described == ["name", *FAULT_NAMES]


# -- replies ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("rate_limit_429", 429, "rateLimitExceeded"),
        ("rate_limit_403", 403, "userRateLimitExceeded"),
        ("quota_403", 403, "quotaExceeded"),
        ("forbidden_403", 403, "forbidden"),
        ("internal_500", 500, "backendError"),
        ("unavailable_503", 503, "backendError"),
        ("unauthorized_401", 401, "authError"),
        ("not_found_404", 404, "notFound"),
    ],
)
async def test_errors(client: Client, name: str, status: int, reason: str) -> None:
    answer = await ask(client, name)
    assert (answer.status, answer.reason) == (status, reason)
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "errors", "status"}
    assert client.server.stats.statuses[status] == 1


async def test_retry_after(client: Client) -> None:
    answer = await ask(client, "rate_limit_429", retry_after=0)
    assert answer.headers["retry-after"] == "0"
    assert (await ask(client, "rate_limit_429")).headers["retry-after"] == "1"
    answer = await ask(client, "rate_limit_429_date", retry_after=60)
    wait = parsedate_to_datetime(answer.headers["retry-after"]).timestamp() - time.time()
    assert 30 < wait < 61
    assert "retry-after" not in (await ask(client, "unavailable_503")).headers
    answer = await ask(client, "unavailable_503", retry_after=3)
    assert answer.headers["retry-after"] == "3"


async def test_bodies_that_are_not_the_apis(client: Client) -> None:
    answer = await ask(client, "bad_gateway_502_html")
    assert answer.status == 502
    assert answer.headers["content-type"].startswith("text/html")
    answer = await ask(client, "wrong_content_type")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    answer = await ask(client, "empty_body")
    assert (answer.status, answer.body) == (200, b"")
    answer = await ask(client, "empty_object")
    assert (answer.status, answer.json()) == (200, {})
    answer = await ask(client, "error_in_200")
    assert (answer.status, answer.json()["error"]["code"]) == (200, 500)
    answer = await ask(client, "redirect_other_host")
    assert answer.status == 302
    assert answer.headers["location"].startswith("http://elsewhere.example/")


async def test_broken_json(client: Client) -> None:
    for packed in ("", "gzip"):
        client.headers = {"Accept-Encoding": packed}
        answer = await ask(client, "invalid_json")
        assert answer.status == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        answer = await ask(client, "invalid_utf8")
        with pytest.raises(UnicodeDecodeError):
            answer.body.decode()


async def test_deep_nesting(client: Client) -> None:
    answer = await ask(client, "deep_nesting")
    assert answer.body.count(b"[") == 100_000
    with pytest.raises(RecursionError):
        answer.json()
    assert (await ask(client, "deep_nesting", depth=3)).json() == {"users": [[[]]]}


async def test_secret_echo(client: Client) -> None:
    answer = await ask(client, "secret_echo")
    assert answer.status == 500
    assert client.token in answer.json()["error"]["message"]


async def test_page_token_expired(start: Starter) -> None:
    client = await start(Directory(users=150))
    page = (await ask(client, "page_token_expired")).json()
    answer = await client.request(f"{USERS}&pageToken={page['nextPageToken']}")
    assert (answer.status, answer.reason) == (400, "invalid")


# -- the connection --------------------------------------------------------------------------


async def test_reset_before(client: Client) -> None:
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await ask(client, "reset_before")
    assert client.server.stats.statuses[0] == 1


async def test_reset_mid_body(client: Client) -> None:
    client.server.faults = FaultPlan.single("reset_mid_body")
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()


async def test_truncated_body(client: Client) -> None:
    whole = await client.request(USERS)
    client.server.faults = FaultPlan.single("truncated_body")
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    head = await reader.readuntil(b"\r\n\r\n")
    assert f"Content-Length: {len(whole.body)}\r\n".encode() in head
    assert await reader.read() == whole.body[: len(whole.body) // 2]
    writer.close()


async def test_huge_body_is_as_long_as_told_and_ends_properly(client: Client) -> None:
    answer = await ask(client, "huge_body", bytes=3_000_000)
    assert len(answer.json()["kind"]) == 3_000_000


async def test_huge_body_stops_when_the_client_goes(client: Client) -> None:
    client.server.faults = FaultPlan.single("huge_body")
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    await reader.readexactly(1_000_000)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while client.server.stats.in_flight["users"]:
            await asyncio.sleep(0.001)
    assert (await ask(client, "empty_object")).json() == {}


async def test_gzip_bomb(client: Client) -> None:
    client.server.faults = FaultPlan.single("gzip_bomb", bytes=50_000_000)
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"Content-Encoding: gzip\r\n" in head
    packed = bytearray()
    while size := int(await reader.readuntil(b"\r\n"), 16):
        packed += await reader.readexactly(size)
        await reader.readexactly(2)
    assert len(packed) < 100_000
    unpacker = zlib.decompressobj(31)
    assert len(unpacker.decompress(bytes(packed))) == 50_000_000
    assert unpacker.eof
    writer.close()


async def test_slow_body_trickles_but_is_whole(client: Client) -> None:
    whole = await client.request(USERS)
    client.server.faults = FaultPlan.single("slow_body", seconds=0.3)
    reader, writer = await client.open()
    writer.write(client.raw(USERS))
    await reader.readuntil(b"\r\n\r\n")
    pieces: list[bytes] = []
    while sum(len(piece) for piece in pieces) < len(whole.body):
        pieces.append(await reader.read(2**20))
    assert b"".join(pieces) == whole.body
    assert len(pieces) > 1
    writer.write(client.raw("/_demo/stats"))
    assert (await read_answer(reader)).status == 200
    writer.close()


async def test_hang(client: Client) -> None:
    client.server.faults = FaultPlan.single("hang")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.request(USERS)
    client.server.faults = FaultPlan()
    assert (await client.request(USERS)).status == 200


# -- resources -------------------------------------------------------------------------------


async def follow(client: Client, limit: int = 10) -> list[dict[str, Any]]:
    """Return at most `limit` pages of users."""
    pages: list[dict[str, Any]] = []
    token = ""
    while len(pages) < limit:
        answer = await client.request(f"{USERS}&maxResults=40&pageToken={token}")
        pages.append(answer.json())
        token = pages[-1].get("nextPageToken", "")
        if not token:
            break
    return pages


async def test_page_token_repeats(start: Starter) -> None:
    client = await start(Directory(users=200), faults=FaultPlan.single("page_token_repeats"))
    pages = await follow(client)
    assert len(pages) == 10
    assert len({page["nextPageToken"] for page in pages}) == 1


async def test_duplicate_items(start: Starter) -> None:
    client = await start(Directory(users=200), faults=FaultPlan.single("duplicate_items"))
    pages = [[user["id"] for user in page["users"]] for page in await follow(client)]
    for one, two in itertools.pairwise(pages):
        assert len(set(one) & set(two)) >= 4
    found = {key for page in pages for key in page}
    assert found == {row.id for row in client.server.directory.iter_users()}


async def test_missing_items(start: Starter) -> None:
    client = await start(Directory(users=200), faults=FaultPlan.single("missing_items"))
    pages = await follow(client)
    assert "nextPageToken" not in pages[-1]
    count = sum(len(page["users"]) for page in pages)
    assert 100 < count <= 195
    client.server.faults = FaultPlan.single("missing_items", share=1)
    assert "users" not in (await client.request(USERS)).json()
    assert "items" in (await client.api(TOKENS)).json()


async def test_empty_tokens(client: Client) -> None:
    client.server.faults = FaultPlan.single("empty_tokens")
    assert set((await client.api(TOKENS)).json()) == {"kind", "etag"}
    assert (await client.request(USERS)).json()["users"]


def paths_of(directory: Directory) -> dict[str, str]:
    """Return a path for each name of items."""
    group = next(directory.iter_groups()).id
    return {
        "users": "users?customer=my_customer",
        "items": TOKENS,
        "groups": "groups?customer=my_customer",
        "members": f"groups/{group}/members",
    }


async def test_bad_record(client: Client) -> None:
    for key, path in paths_of(client.server.directory).items():
        good = (await client.api(path)).json()[key]
        client.server.faults = FaultPlan.single("bad_record")
        bad = (await client.api(path)).json()[key]
        client.server.faults = FaultPlan()
        name = "clientId" if key == "items" else "id"
        assert [item[name] for item in bad] == [item[name] for item in good]
        types = [{k: type(v) for k, v in item.items()} for item in (*good, *bad)]
        wrong = [n for n in range(len(good)) if types[n] != types[n + len(good)]]
        assert len(wrong) == 1


async def test_bad_record_no_id(client: Client) -> None:
    for key, path in paths_of(client.server.directory).items():
        client.server.faults = FaultPlan.single("bad_record_no_id")
        for _ in range(2):
            items = (await client.api(path)).json()[key]
            name = "clientId" if key == "items" else "id"
            assert sum(not isinstance(item.get(name), str) for item in items) == 1


async def test_hostile_name(client: Client) -> None:
    client.server.faults = FaultPlan.single("hostile_name")
    paths = paths_of(client.server.directory)
    user = (await client.api(paths["users"])).json()["users"][-1]
    assert user["name"]["fullName"] == HOSTILE
    assert (await client.api(paths["items"])).json()["items"][-1]["displayText"] == HOSTILE
    assert (await client.api(paths["groups"])).json()["groups"][-1]["name"] == HOSTILE
    assert {"\x1b", "\u202e"} <= set(HOSTILE)
    assert HOSTILE.startswith("[red]=cmd|' /C calc'!A0")


async def test_a_fault_does_not_stay_in_later_answers(client: Client) -> None:
    before = await client.request(USERS)
    for name in CHANGES:
        await ask(client, name)
    client.server.faults = FaultPlan()
    assert (await client.request(USERS)).body == before.body


# -- the plan --------------------------------------------------------------------------------


def hits(plan: FaultPlan, targets: list[str]) -> list[bool]:
    return [plan.pick(target) is not None for target in targets]


def test_probability_is_repeatable_and_about_right() -> None:
    targets = ["/admin/x"] * 2000
    one = hits(FaultPlan.single("hang", 0.25), targets)
    assert one == hits(FaultPlan.single("hang", 0.25), targets)
    assert one != hits(FaultPlan.single("hang", 0.25, seed=2), targets)
    assert 400 < sum(one) < 600
    assert not any(hits(FaultPlan.single("hang", 0.0), targets))


def test_every_nth() -> None:
    plan = FaultPlan([FaultRule("hang", every=3)])
    assert hits(plan, ["/admin/x"] * 7) == [False, False, True, False, False, True, False]
    assert plan.hits == {"hang": 2}


def test_a_fraction_of_paths_fails_for_good() -> None:
    targets = [f"/admin/users/{n}?turn={turn}" for turn in range(2) for n in range(500)]
    found = hits(FaultPlan([FaultRule("hang", fraction=0.2)]), targets)
    assert found[:500] == found[500:]
    assert 60 < sum(found[:500]) < 140


def test_the_first_requests_of_each_path() -> None:
    plan = FaultPlan([FaultRule("hang", first=2)])
    assert hits(plan, ["/admin/a", "/admin/b"] * 3) == [True] * 4 + [False] * 2


def test_paths_and_the_order_of_rules() -> None:
    rules = [
        FaultRule("hang", path="/tokens$"),
        FaultRule("empty_body", path="^/token$", first=1),
        FaultRule("internal_500", every=2),
    ]
    plan = FaultPlan(rules)
    names = []
    for target in ("/admin/a/tokens", "/token", "/token", "/admin/b", "/admin/b", "/other"):
        hit = plan.pick(target)
        names.append(None if hit is None else hit.rule.name)
    assert names == ["hang", "empty_body", None, None, "internal_500", None]


def test_from_json() -> None:
    text = '{"seed": 3, "rules": [{"name": "hang", "every": 2, "options": {}}]}'
    plan = FaultPlan.from_json(json.loads(text))
    assert plan.seed == 3
    assert plan.rules == (FaultRule("hang", every=2, options={}),)


@pytest.mark.parametrize(
    "rule",
    [
        {"name": "nothing"},
        {"name": "hang", "probability": 2},
        {"name": "hang", "fraction": -1},
        {"name": "hang", "every": 0},
        {"name": "hang", "first": -1},
        {"name": "hang", "path": "("},
        {"name": "hang", "options": {"unheard_of": 1}},
    ],
)
def test_bad_rules(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"fault|between|least|expression|option"):
        FaultPlan.from_json({"rules": [rule]})


async def test_faults_of_the_token_endpoint(client: Client) -> None:
    client.server.faults = FaultPlan([FaultRule("internal_500", path="^/token")])
    assert (await client.grant(client.assertion())).status == 500
    assert (await client.request(USERS)).status == 200


async def test_faults_can_be_given_at_once() -> None:
    async with DemoServer(Directory(users=3), faults=FaultPlan.single("empty_object")) as server:
        client = Client(server)
        await client.log_in()
        assert (await client.request(USERS)).json() == {}
