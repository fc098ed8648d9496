"""Whole listings against the demo directory's truth, and its faults."""

from __future__ import annotations

import pytest

from syncd.demo import DemoServer, Directory, FaultPlan
from syncd.errors import Action, UpstreamError
from syncd.model import (
    Collection,
    CollectionKind,
    Entity,
    Group,
    Kind,
    Page,
    Relation,
    Token,
    User,
)
from tests.providers.google import DELETED, GROUPS, USERS, connected, read
from tests.upstream.clocks import everything_said

DIRECTORY = Directory(users=620, groups=210, epoch=4, suspended_percent=10)


def entities(pages: list[Page]) -> list[Entity]:
    assert not any(page.bad for page in pages)
    return [entity for page in pages for entity in page.entities]


async def test_the_users() -> None:
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        pages = await read(google, fetch, USERS)
        assert await google.customer(fetch) == DIRECTORY.customer
    assert len(pages) == 2
    assert {page.customer for page in pages} == {DIRECTORY.customer}
    users = [entity for entity in entities(pages) if isinstance(entity, User)]
    assert [(u.id, u.email, u.name, u.status, u.is_admin, u.org_unit) for u in users] == [
        tuple(row) for row in DIRECTORY.iter_users()
    ]
    assert all(user.created_at.endswith("Z") for user in users)
    assert {user.last_login_at for user in users} >= {""}
    assert not any(user.last_login_at.startswith("1970") for user in users)


async def test_the_deleted_users() -> None:
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        pages = await read(google, fetch, DELETED)
    ids = [id for page in pages for id in page.ids]
    assert ids
    assert sorted(ids) == sorted(row.id for row in DIRECTORY.iter_deleted_users())


async def test_the_tokens() -> None:
    found = set()
    names = dict(DIRECTORY.iter_applications())
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        for row in DIRECTORY.iter_users():
            if row.status != "active":
                continue
            collection = Collection(CollectionKind.TOKENS, row.id)
            for token in entities(await read(google, fetch, collection)):
                assert isinstance(token, Token)
                found.add((token.principal_id, token.application_id, token.scopes))
                assert token.application_name == names[token.application_id]
    assert found == {tuple(row) for row in DIRECTORY.iter_tokens(readable_only=True)}


async def test_the_groups_and_their_members() -> None:
    members = set()
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        groups = entities(await read(google, fetch, GROUPS))
        for group in groups:
            assert isinstance(group, Group)
            collection = Collection(CollectionKind.MEMBERS, group.id)
            for member in entities(await read(google, fetch, collection)):
                assert isinstance(member, Relation)
                members.add((member.object_id, member.subject_kind, member.subject_id, member.role))
    assert {(g.id, g.email, g.name) for g in groups if isinstance(g, Group)} == {
        tuple(row) for row in DIRECTORY.iter_groups()
    }
    assert members == {tuple(row) for row in DIRECTORY.iter_members()}


async def test_what_is_gone_and_what_is_not() -> None:
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        user, group = next(DIRECTORY.iter_users()), next(DIRECTORY.iter_groups())
        member = next(DIRECTORY.iter_members())
        place = (Kind.RELATION, member.group_id, member.subject_id)
        for kind, parent, id in ((Kind.USER, "", user.id), (Kind.GROUP, "", group.id), place):
            assert await google.is_gone(fetch, kind, parent, id) is False
        for kind, parent in ((Kind.USER, ""), (Kind.GROUP, ""), (Kind.RELATION, group.id)):
            assert await google.is_gone(fetch, kind, parent, "999") is True


SMALL = Directory(users=30, groups=3)
USER = next(row.id for row in SMALL.iter_users())


@pytest.mark.parametrize(
    ("fault", "action", "reasons"),
    [
        ("rate_limit_429", Action.RETRY, {"rate_limited"}),
        ("rate_limit_429_date", Action.RETRY, {"rate_limited"}),
        ("rate_limit_403", Action.RETRY, {"rate_limited"}),
        ("quota_403", Action.RETRY, {"rate_limited"}),
        ("forbidden_403", Action.UNREADABLE, {"forbidden"}),
        ("internal_500", Action.RETRY, {"http_500"}),
        ("unavailable_503", Action.RETRY, {"http_503"}),
        ("bad_gateway_502_html", Action.RETRY, {"http_502"}),
        ("unauthorized_401", Action.UNREADABLE, {"unauthorized"}),
        ("not_found_404", Action.GONE, {"not_found"}),
        ("reset_before", Action.RETRY, {"connection_lost", "bad_http"}),
        ("reset_mid_body", Action.RETRY, {"connection_lost", "bad_http"}),
        ("truncated_body", Action.RETRY, {"bad_http"}),
        ("invalid_json", Action.RETRY, {"invalid_json"}),
        ("invalid_utf8", Action.RETRY, {"invalid_json"}),
        ("wrong_content_type", Action.RETRY, {"wrong_content_type"}),
        ("empty_body", Action.RETRY, {"wrong_content_type", "invalid_json"}),
        ("empty_object", Action.RETRY, {"no_mark"}),
        ("error_in_200", Action.RETRY, {"no_mark"}),
        ("deep_nesting", Action.RETRY, {"nested_too_deeply"}),
        ("redirect_other_host", Action.UNREADABLE, {"redirected"}),
        ("secret_echo", Action.RETRY, {"http_500"}),
    ],
)
async def test_faults_of_the_provider(fault: str, action: Action, reasons: set[str]) -> None:
    async with DemoServer(SMALL) as demo, connected(demo.url) as (google, fetch):
        demo.faults = FaultPlan.single(fault)
        with pytest.raises(UpstreamError) as caught:
            await google.page(fetch, Collection(CollectionKind.TOKENS, USER), None)
    assert caught.value.verdict.action is action
    assert caught.value.verdict.reason in reasons
    assert "ya29" not in everything_said(caught.value)


async def test_a_page_token_that_expired_restarts_the_listing() -> None:
    async with DemoServer(DIRECTORY) as demo, connected(demo.url) as (google, fetch):
        first = await google.page(fetch, USERS, None)
        demo.faults = FaultPlan.single("page_token_expired")
        with pytest.raises(UpstreamError) as caught:
            await google.page(fetch, USERS, first.next)
    assert caught.value.verdict.action is Action.RESTART


@pytest.mark.parametrize("fault", ["bad_record", "bad_record_no_id"])
async def test_a_bad_record_costs_only_itself(fault: str) -> None:
    async with DemoServer(SMALL) as demo, connected(demo.url) as (google, fetch):
        good = await google.page(fetch, USERS, None)
        demo.faults = FaultPlan.single(fault)
        page = await google.page(fetch, USERS, None)
    (bad,) = page.bad
    assert len(page.entities) == len(good.entities) - 1
    assert set(page.entities) < set(good.entities)
    if fault == "bad_record":
        assert set(page.ids) == set(good.ids)
    else:
        assert bad.id == ""
    assert "not" not in bad.id
