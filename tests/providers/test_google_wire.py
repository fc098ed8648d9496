"""Listings that are damaged, garbled or not what was asked for."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import Action, UpstreamError
from syncd.model import Collection, CollectionKind, Page, Relation, Token, User
from syncd.providers.base import LONGEST_ID
from syncd.providers.google_wire import NEVER, parse
from syncd.upstream.client import Response
from tests.providers.google import (
    EVERY,
    GROUPS,
    JSON,
    MARKS,
    MEMBERS,
    TOKENS,
    USERS,
    answer,
    listing,
)

each_kind = pytest.mark.parametrize("collection", EVERY, ids=str)


def record(collection: Collection, id: Any = "1", **more: Any) -> dict[str, Any]:
    return {MARKS[collection.kind][2]: id, **more}


def refused(collection: Collection, response: Response) -> str:
    with pytest.raises(UpstreamError) as caught:
        parse(collection, response)
    assert caught.value.verdict.action is Action.RETRY
    assert "s3cr3t" not in str(caught.value)
    return caught.value.verdict.reason


@each_kind
def test_what_is_not_marked_as_the_listing_is_refused(collection: Collection) -> None:
    mark, field, _ = MARKS[collection.kind]
    good = [record(collection)]
    other = "admin#directory#tokenList" if "tokenList" not in mark else "admin#directory#users"
    error = {"error": {"code": 500, "errors": [{"reason": "backendError"}]}}
    unmarked: list[dict[str, Any]] = [{field: good}, {"kind": other, field: good}, {"kind": ""}]
    for body in ({}, error, *unmarked):
        assert refused(collection, answer(body)) == "no_mark"
    for body in unmarked:
        # A bad record does not make up for it.
        assert refused(collection, answer({**body, field: [5]})) == "no_mark"


@each_kind
def test_another_shape_is_refused(collection: Collection) -> None:
    mark, field, _ = MARKS[collection.kind]
    shapes: list[Any] = [{"kind": None}, [], "s3cr3t", 5, None]
    shapes += [{"kind": mark, field: None}, {"kind": mark, field: {"a": "s3cr3t"}}]
    for body in shapes:
        assert refused(collection, answer(body)) == "unexpected_shape"


@each_kind
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>s3cr3t</html>", b"\x00", b'{"kind":', b'{"kind":"\xff"}', b"[" * 100_000],
    ids=["empty", "html", "nul", "cut", "not-utf-8", "deep"],
)
def test_what_is_no_json_is_refused(collection: Collection, body: bytes) -> None:
    reasons = {"invalid_json", "nested_too_deeply", "unexpected_shape"}
    assert refused(collection, answer(body)) in reasons


@each_kind
def test_what_says_that_it_is_no_json_is_refused(collection: Collection) -> None:
    good = listing(collection)
    for headers in ({}, {"content-type": "text/html"}):
        assert refused(collection, Response(200, headers, good.body)) == "wrong_content_type"


@each_kind
def test_an_empty_listing(collection: Collection) -> None:
    mark, field, _ = MARKS[collection.kind]
    for body in ({"kind": mark}, {"kind": mark, field: []}):
        assert parse(collection, answer(body)) == Page()


@each_kind
def test_the_next_page(collection: Collection) -> None:
    assert parse(collection, listing(collection, nextPageToken="CAEQ")).next == "CAEQ"
    assert parse(collection, listing(collection, nextPageToken="")).next is None
    assert refused(collection, listing(collection, nextPageToken=5)) == "unexpected_shape"
    # With a bad record on the page too.
    assert parse(collection, listing(collection, 5, nextPageToken="CAEQ")).next == "CAEQ"
    assert parse(collection, listing(collection, 5, nextPageToken="")).next is None


BAD: dict[CollectionKind, dict[str, Any]] = {
    CollectionKind.USERS: {"name": "s3cr3t"},
    CollectionKind.DELETED_USERS: {"suspended": "s3cr3t"},
    CollectionKind.TOKENS: {"scopes": ["a", {"s3cr3t": 1}]},
    CollectionKind.GROUPS: {"email": ["s3cr3t"]},
    CollectionKind.MEMBERS: {"role": {"s3cr3t": 1}},
}


@each_kind
def test_bad_records_are_put_aside(collection: Collection) -> None:
    bad = BAD[collection.kind]
    page = parse(
        collection,
        listing(
            collection,
            record(collection, "1"),
            record(collection, "2", **bad),
            {**record(collection, 3), **bad},
            {},
            "s3cr3t",
            None,
            record(collection, "4"),
        ),
    )
    assert len(page.entities) == 2
    assert [b.id for b in page.bad] == ["2", "", "", "", ""]
    assert set(page.ids) >= {"2"}
    assert "s3cr3t" not in str([b.reason for b in page.bad])


def test_a_bad_token_is_known_by_its_application() -> None:
    bad = {"clientId": "app", "id": "something else", "scopes": 5}
    assert parse(TOKENS, listing(TOKENS, bad)).bad[0].id == "app"
    bad = {"id": "1", "clientId": 7, "primaryEmail": 7}
    assert parse(USERS, listing(USERS, bad)).bad[0].id == "1"


@each_kind
@pytest.mark.parametrize("id", ["", ".", "..", "\0", "a\0b", "x" * (LONGEST_ID + 1), "x" * 10_000])
def test_what_can_be_no_id_is_a_bad_record(collection: Collection, id: str) -> None:
    page = parse(collection, listing(collection, record(collection, id), record(collection, "1")))
    assert len(page.entities) == 1
    assert [b.id for b in page.bad] == [""]
    page = parse(collection, listing(collection, record(collection, id, **BAD[collection.kind])))
    assert [b.id for b in page.bad] == [""]


@each_kind
@pytest.mark.parametrize("second", [b'{"ID":"\xff"}', b'{"ID":"a\\ud800"}', b'{"ID":"a\nb"}'])
def test_no_bad_record_hides_a_body_that_is_no_json(collection: Collection, second: bytes) -> None:
    # A decoder looks at what it needs only, so that the second one is found when the first is bad.
    mark, field, id = MARKS[collection.kind]
    both = b'{"kind":"%b","%b":[5,%b]}' % (mark.encode(), field.encode(), second)
    assert refused(collection, answer(both.replace(b"ID", id.encode()))) == "invalid_json"


@each_kind
def test_a_bad_record_whose_id_is_no_text_has_none(collection: Collection) -> None:
    mark, field, id = MARKS[collection.kind]
    name, value = next(iter(BAD[collection.kind].items()))
    bad = b'{"%b":%b,"%b":"\xff"}' % (name.encode(), json.dumps(value).encode(), id.encode())
    page = parse(
        collection, answer(b'{"kind":"%b","%b":[%b]}' % (mark.encode(), field.encode(), bad))
    )
    assert [b.id for b in page.bad] == [""]


def test_the_tokens_of_another_user_are_refused() -> None:
    good = {"clientId": "a", "userKey": "u1", "scopes": ["x"]}
    other = {"clientId": "b", "userKey": "s3cr3t", "scopes": ["x"]}
    assert len(parse(TOKENS, listing(TOKENS, good)).entities) == 1
    assert refused(TOKENS, listing(TOKENS, good, other)) == "other_listing"
    assert refused(TOKENS, listing(TOKENS, 5, other)) == "other_listing"


def test_repeated_tokens_merge() -> None:
    page = parse(
        TOKENS,
        listing(
            TOKENS,
            {"clientId": "a", "scopes": ["y", "x", "y"]},
            {"clientId": "b"},
            {"clientId": "a", "scopes": ["z", "x"], "displayText": "A", "nativeApp": True},
        ),
    )
    assert page.entities == (
        Token("u1", "a", ("x", "y", "z"), application_name="A", native=True),
        Token("u1", "b"),
    )


@given(st.lists(st.tuples(st.sampled_from("ab"), st.lists(st.sampled_from("xyz"))), max_size=6))
def test_tokens_do_not_depend_on_the_order(items: list[tuple[str, list[str]]]) -> None:
    records = [{"clientId": id, "scopes": scopes} for id, scopes in items]
    forward = parse(TOKENS, listing(TOKENS, *records)).entities
    backward = parse(TOKENS, listing(TOKENS, *reversed(records))).entities
    assert set(forward) == set(backward)
    assert len(forward) == len({id for id, _ in items})


def test_how_users_are_mapped() -> None:
    page = parse(
        USERS,
        listing(
            USERS,
            {
                "id": "1",
                "primaryEmail": "a@x",
                "name": {"fullName": "A"},
                "isAdmin": True,
                "orgUnitPath": "/x",
                "lastLoginTime": "2023-01-02T03:04:05.000Z",
                "creationTime": "2020-01-02T03:04:05.000Z",
                "customerId": "C1",
                "unknown": {"field": [1]},
            },
            {"id": "2", "suspended": True, "archived": True, "lastLoginTime": NEVER, "name": None},
            {"id": "3", "archived": True},
        ),
    )
    assert page.customer == "C1"
    assert page.entities == (
        User(
            "1",
            "a@x",
            "A",
            is_admin=True,
            org_unit="/x",
            created_at="2020-01-02T03:04:05.000Z",
            last_login_at="2023-01-02T03:04:05.000Z",
        ),
        User("2", status="suspended"),
        User("3", status="archived"),
    )


def test_how_members_are_mapped() -> None:
    kinds = {"USER": "user", "GROUP": "group", "CUSTOMER": "everyone", "EXTERNAL": "external"}
    for type, kind in {**kinds, "ROBOT": "external"}.items():
        (member,) = parse(
            MEMBERS, listing(MEMBERS, {"id": "1", "type": type, "role": "OWNER"})
        ).entities
        assert member == Relation("g1", kind, "1", "owner")


def _any_record(kind: CollectionKind) -> st.SearchStrategy[Any]:
    names = ["id", "clientId", "name", "scopes", "userKey", "role", "type", "suspended", "x"]
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=3)
        ),
        max_leaves=5,
    )
    return values | st.dictionaries(st.sampled_from(names), values, max_size=6)


@st.composite
def _bodies(draw: st.DrawFn) -> tuple[Collection, bytes]:
    """Bytes near to a listing: records of any shape, and then some bytes changed."""
    collection = draw(st.sampled_from(EVERY))
    mark, field, _ = MARKS[collection.kind]
    records = draw(st.lists(_any_record(collection.kind), max_size=4))
    body = {"kind": mark, field: records, **draw(st.sampled_from([{}, {"nextPageToken": "x"}]))}
    data = bytearray(json.dumps(body, ensure_ascii=draw(st.booleans())), "utf-8", "surrogatepass")
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
        data = data or bytearray(b"{")
    return collection, bytes(data)


@given(_bodies() | st.tuples(st.sampled_from(EVERY), st.binary(max_size=200)))
def test_any_bytes_give_a_page_or_an_upstream_error(case: tuple[Collection, bytes]) -> None:
    collection, body = case
    try:
        page = parse(collection, Response(200, JSON, body))
    except UpstreamError as error:
        assert error.verdict.action is Action.RETRY  # noqa: PT017  either will do
    else:
        assert all(page.ids)
        assert page.next is None or page.next


def test_a_large_page_of_bad_records() -> None:
    page = parse(GROUPS, listing(GROUPS, *[{"id": str(n), "name": n} for n in range(2000)]))
    assert len(page.bad) == 2000
    assert not page.entities


@each_kind
def test_a_page_of_more_records_than_a_page_can_have_is_refused(collection: Collection) -> None:
    mark, field, _ = MARKS[collection.kind]
    kind, name = mark.encode(), field.encode()
    good = msgspec.json.encode(record(collection))
    for item, count in ((b"1", 300_000), (b"{}", 300_000), (good, 400_000)):
        items = b",".join([item] * count)
        body = b'{"kind":"%s","%s":[%s]}' % (kind, name, items)
        reply = Response(200, {"content-type": "application/json"}, body)
        assert refused(collection, reply) == "too_many_values"


def test_what_a_text_holds_is_no_value() -> None:
    noise = '{[,"' * 60_000
    page = parse(
        GROUPS, listing(GROUPS, *[record(GROUPS, str(n), description=noise) for n in range(30)])
    )
    assert len(page.entities) == 30
    page = parse(GROUPS, listing(GROUPS, record(GROUPS, "1", description=noise), {"id": 5}))
    assert (len(page.entities), len(page.bad)) == (1, 1)


def test_users_of_several_customers_are_refused() -> None:
    both = [record(USERS, "1", customerId="C1"), record(USERS, "2", customerId="C2")]
    assert refused(USERS, listing(USERS, *both)) == "other_customer"
