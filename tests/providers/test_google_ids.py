"""Ids of any kind, as they go over the wire: never another place than the one that is meant."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Action, UpstreamError
from syncd.model import Collection, CollectionKind, Kind
from syncd.providers.base import LONGEST_ID, segment, usable_id
from tests.providers.google import connected, provider
from tests.upstream import wire
from tests.upstream.test_auth import token
from tests.upstream.wire import reply, serve

MARK = reply(b'{"kind":"admin#directory#tokenList"}', "Content-Type: application/json")
ROOT = "/admin/directory/v1"

ODD = [
    "a/b",
    "/",
    "//",
    "../groups",
    "../../../etc/passwd",
    "..\\..",
    "...",
    "..;",
    "..%2f",
    ".%2e",
    "%2e%2e",
    "%2E",
    "%",
    "%zz",
    "a?b=c",
    "?",
    "a#b",
    "#",
    "a b",
    " ",
    "a+b",
    "a&b=c;d",
    "a@b",
    "a:b",
    "a\nb",
    "a\r\nX-Evil: 1\r\n\r\nGET /x HTTP/1.1",
    "\x7f",
    "\N{RIGHT-TO-LEFT OVERRIDE}exe",
    "\N{ZERO WIDTH SPACE}",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "\N{GRINNING FACE}",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}",
    "\N{TWO DOT LEADER}",
    "~-_.!*'()",
    "http://example.com/",
    "x" * LONGEST_ID,
    "\N{GRINNING FACE}" * LONGEST_ID,
]


@pytest.mark.parametrize("id", ODD, ids=lambda id: ascii(id)[:24])
async def test_an_id_reaches_the_server_as_itself(id: str) -> None:
    async with (
        serve(wire.say_in_turn(token(), MARK)) as server,
        connected(server.url) as (google, fetch),
    ):
        await google.page(fetch, Collection(CollectionKind.TOKENS, id), None)
    assert len(server.requests) == 2
    target = server.targets[1]
    path, _, query = target.partition("?")
    before, users, sent, tokens = path.rsplit("/", 3)
    assert (before, users, tokens) == (ROOT, "users", "tokens")
    assert unquote(sent, errors="strict") == id
    assert sent.isascii()
    assert query.startswith("fields=")
    # One request line, and not one header line more than for a plain id.
    assert b"X-Evil: 1" not in server.requests[1]


@pytest.mark.parametrize("id", ["", ".", "..", "\0", "a\0b", "x" * (LONGEST_ID + 1), "x" * 10_000])
async def test_what_can_be_no_segment_is_never_sent(id: str) -> None:
    for kind in (CollectionKind.TOKENS, CollectionKind.MEMBERS):
        with pytest.raises(UpstreamError) as caught:
            provider().request(Collection(kind, id), None)
        assert caught.value.verdict.action is Action.UNREADABLE
    async with serve(wire.say(MARK)) as server, connected(server.url) as (google, fetch):
        places = [(Kind.USER, ""), (Kind.GROUP, ""), (Kind.RELATION, "g")]
        for entity, parent in places:
            with pytest.raises(UpstreamError):
                await google.is_gone(fetch, entity, parent, id)
        with pytest.raises(UpstreamError):
            await google.is_gone(fetch, Kind.RELATION, id, "u")
        assert server.connections == 0


@given(st.text(max_size=30))
def test_a_segment_is_one_segment(id: str) -> None:
    if not usable_id(id):
        with pytest.raises(UpstreamError):
            segment(id)
        return
    text = segment(id)
    assert unquote(text, errors="strict") == id
    assert not set(text) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-~%"
    )
    assert text not in {"", ".", ".."}


@pytest.mark.parametrize(
    "cursor", ["CAEQ==", "a&showDeleted=true", "a#b", "a\r\nX: 1", "\0", "\u202e"]
)
async def test_a_cursor_reaches_the_server_as_itself(cursor: str) -> None:
    body = reply(b'{"kind":"admin#directory#users"}', "Content-Type: application/json")
    async with (
        serve(wire.say_in_turn(token(), body)) as server,
        connected(server.url) as (google, fetch),
    ):
        await google.page(fetch, Collection(CollectionKind.USERS), cursor)
    path, _, query = server.targets[1].partition("?")
    assert path == f"{ROOT}/users"
    pairs = [pair.split("=") for pair in query.split("&")]
    assert [unquote_plus(text) for name, text in pairs if name == "pageToken"] == [cursor]
    assert [text for name, text in pairs if name == "showDeleted"] == ["false"]


async def test_a_cursor_that_is_too_long_costs_its_listing_only() -> None:
    async with serve(wire.say(token())) as server, connected(server.url) as (google, fetch):
        with pytest.raises(UpstreamError) as caught:
            await google.page(fetch, Collection(CollectionKind.USERS), "x" * 100_000)
    assert caught.value.verdict.action is Action.UNREADABLE
