"""A provider that fails now and then costs time, never a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from syncd.demo import AuthPolicy
from syncd.errors import CredentialError, ExitCode
from syncd.model import RunState
from syncd.providers.google_workspace import GROUPS_SCOPE, TOKENS_SCOPE, USERS_SCOPE
from tests.support.world import World

PASSING = {
    "rate_limit_429": {"retry_after": 0},
    "rate_limit_429_date": {"retry_after": 0},
    "rate_limit_403": {},
    "quota_403": {},
    "internal_500": {},
    "bad_gateway_502_html": {},
    "unavailable_503": {},
    "reset_before": {},
    "reset_mid_body": {},
    "truncated_body": {},
    "invalid_json": {},
    "invalid_utf8": {},
    "wrong_content_type": {},
    "empty_body": {},
    "empty_object": {},
    "error_in_200": {},
    "deep_nesting": {"depth": 20_000},
    "slow_body": {"seconds": 0.05},
}


@pytest.mark.parametrize("name", PASSING)
async def test_a_fault_at_5_percent_of_requests_costs_no_row(
    name: str, make_world: Callable[..., Any]
) -> None:
    world: World = await make_world(users=150)
    world.fail(name, probability=0.05, options=PASSING[name])
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.SUCCEEDED, 0), result
    assert world.server.faults.hits[name] > 0
    world.assert_exact()


async def test_what_fails_for_good_is_kept_and_listed_as_stale(
    make_world: Callable[..., Any],
) -> None:
    world: World = await make_world(users=300)
    world.organization = "retries = 2"
    world.more = "[sync]\nmax_removed_percent = 60"
    await world.sync()
    before = world.stored()
    world.move_on(1)
    world.fail(
        "internal_500",
        fraction=0.02,
        path="^/admin/directory/v1/(users|groups)/[^/]+/(tokens|members)",
    )
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.PARTIAL, ExitCode.PARTIAL)
    stale = world.query(
        "SELECT kind, parent_id, last_good_at FROM collections WHERE state='unreadable'"
    )
    assert len(stale) == result.unreadable > 0
    assert all(last_good for _, _, last_good in stale)
    failed_users = {parent for kind, parent, _ in stale if kind == "tokens"}
    failed_groups = {parent for kind, parent, _ in stale if kind == "members"}
    now, truth = world.stored(), world.truth()
    active = {row[0] for row in now["users"] if row[3] == "active"}
    assert now["users"] == truth["users"]
    assert now["groups"] == truth["groups"]
    for name, failed in (("tokens", failed_users), ("relations", failed_groups)):
        good = {r for r in truth[name] if r[0] not in failed}
        read = {r for r in now[name] if r[0] not in failed and (name != "tokens" or r[0] in active)}
        assert read == good, name
        kept = {r for r in before[name] if r[0] in failed}
        assert {r for r in now[name] if r[0] in failed} == kept, name
    shown = {
        r[0]
        for r in world.query("SELECT DISTINCT user_id FROM tokens WHERE stale_since IS NOT NULL")
    }
    assert failed_users <= shown | {
        u for u in failed_users if not any(r[0] == u for r in before["tokens"])
    }
    # Once the provider has recovered, nothing is stale any more.
    world.heal()
    assert (await world.sync()).state is RunState.SUCCEEDED
    world.assert_exact()
    assert not world.query("SELECT * FROM collections WHERE state='unreadable'")


@pytest.mark.parametrize(
    ("scope", "endpoint"),
    [(USERS_SCOPE, "users"), (TOKENS_SCOPE, "tokens"), (GROUPS_SCOPE, "relations")],
)
async def test_a_permission_missing_for_one_endpoint_costs_only_that_endpoint(
    world: World, scope: str, endpoint: str
) -> None:
    await world.sync()
    before = world.stored()
    world.server.auth = AuthPolicy(missing_scopes=frozenset({scope}))
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.PARTIAL, ExitCode.PARTIAL)
    states = {each.endpoint: each.state for each in result.endpoints}
    assert states.pop(endpoint) is RunState.FAILED
    assert set(states.values()) == {RunState.SUCCEEDED}
    assert scope in result.reason
    assert world.stored() == before


async def test_no_permission_at_all_ends_with_77(world: World) -> None:
    await world.sync()
    before = world.stored()
    scopes = frozenset({USERS_SCOPE, TOKENS_SCOPE, GROUPS_SCOPE})
    world.server.auth = AuthPolicy(missing_scopes=scopes)
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.FAILED, ExitCode.NO_PERMISSION)
    assert world.stored() == before


async def test_a_wrong_administrator_is_a_credential_error_that_says_so(world: World) -> None:
    world.server.auth = AuthPolicy(wrong_admins=frozenset({world.directory.admin_email}))
    with pytest.raises(CredentialError, match="administrator"):
        await world.sync()


async def test_a_provider_that_is_down_leaves_everything_as_it_is(world: World) -> None:
    world.organization = "retries = 1"
    await world.sync()
    before = world.stored()
    world.fail("unavailable_503", path="/(tokens|members)")
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.PARTIAL, ExitCode.PARTIAL)
    assert "in a row" in result.reason
    assert world.server.stats.requests["tokens"] < 200
    assert world.stored() == before


@pytest.mark.parametrize("name", ["page_token_expired", "page_token_repeats"])
async def test_page_tokens_that_expire_or_repeat_never_loop_and_remove_nothing(
    name: str, make_world: Callable[..., Any]
) -> None:
    world: World = await make_world(users=700)
    await world.sync(["users"])
    before = world.stored()
    world.fail(name, path="^/admin/directory/v1/users\\?")
    result = await world.sync(["users"])
    assert result.state is RunState.FAILED
    assert world.server.stats.requests["users"] < 40
    assert world.stored() == before
    world.heal()
    assert (await world.sync(["users"])).state is RunState.SUCCEEDED
    assert world.stored()["users"] == world.truth()["users"]


async def test_a_page_token_that_expires_once_starts_the_listing_again(
    make_world: Callable[..., Any],
) -> None:
    world: World = await make_world(users=1200)
    world.fail("page_token_expired", path="^/admin/directory/v1/users\\?.*pageToken", first=1)
    result = await world.sync()
    assert result.state is RunState.SUCCEEDED
    world.assert_exact()
    per_user = world.query("SELECT count(*) FROM users WHERE status='active'")[0][0]
    # Users that the first start had queued are not asked for twice.
    assert world.server.stats.requests["tokens"] == per_user


async def test_duplicated_items_remove_nothing_and_lose_nothing(
    make_world: Callable[..., Any],
) -> None:
    world: World = await make_world(users=1100)
    await world.sync(["users"])
    world.move_on(1)
    gone = {r[0] for r in world.stored()["users"]} - {r[0] for r in world.truth()["users"]}
    assert gone
    world.fail("duplicate_items", path="^/admin/directory/v1/users\\?")
    result = await world.sync(["users"])
    assert result.total("removed") == 0
    assert world.truth()["users"] <= world.stored()["users"]
    world.heal()
    await world.sync(["users"])
    assert world.stored()["users"] == world.truth()["users"]


async def test_a_redirect_is_not_followed_and_the_credential_stays_here(world: World) -> None:
    world.organization = "retries = 0"
    await world.sync()
    before = world.stored()
    world.fail("redirect_other_host", path="/tokens$|/tokens\\?")
    result = await world.sync()
    assert result.state is RunState.PARTIAL
    assert world.stored() == before


async def test_bad_records_are_quarantined_and_the_run_is_partial(world: World) -> None:
    await world.sync()
    before = world.stored()
    world.fail("bad_record", path="^/admin/directory/v1/users\\?")
    result = await world.sync()
    assert (result.state, result.exit_code) == (RunState.PARTIAL, ExitCode.PARTIAL)
    assert result.counts["user"]["bad"] > 0
    assert world.stored() == before


async def test_a_record_without_an_id_leaves_its_listing_unproven(world: World) -> None:
    await world.sync()
    before = world.stored()
    world.fail("bad_record_no_id", path="^/admin/directory/v1/users\\?")
    result = await world.sync()
    assert result.state is RunState.PARTIAL
    assert world.stored()["users"] == before["users"]


async def test_a_bad_user_does_not_cost_the_others(world: World) -> None:
    id = min(row[0] for row in world.truth()["tokens"])
    world.organization = "retries = 1"
    for fault in ("unauthorized_401", "forbidden_403", "huge_body", "hang"):
        world.organization = "retries = 0\nrequest_timeout = '1s'\nmax_response_bytes = '64KiB'"
        world.fail(fault, path=f"/users/{id}/tokens")
        result = await world.sync()
        assert (result.state, result.unreadable) == (RunState.PARTIAL, 1), fault
        assert {r for r in world.stored()["tokens"] if r[0] != id} == {
            r for r in world.truth()["tokens"] if r[0] != id
        }
    world.heal()
    assert (await world.sync()).state is RunState.SUCCEEDED
    world.assert_exact()
