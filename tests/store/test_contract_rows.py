"""What every store does with the rows of a batch."""

from __future__ import annotations

import json

from syncd.model import BadRecord, CollectionKind, Group, Key, Kind, Page, User
from syncd.store.base import AtomicRead, PagedRead
from syncd.sync.ledger import whole_listing
from tests.store.driver import (
    GROUPS,
    USERS,
    Driver,
    member,
    members_of,
    token,
    tokens_of,
)
from tests.support.feed import changes


def kinds(driver: Driver, entity: str) -> list[str]:
    """The kinds of an entity's changes, the oldest first."""
    return [row["kind"] for row in changes(driver.path, driver.name) if row["entity"] == entity]


async def test_new_rows_of_a_page_are_added_with_a_change_each(acme: Driver) -> None:
    counts = await acme.page(USERS, User("1", email="a@x"), User("2"))
    assert counts == {"user": {"read": 2, "added": 2}}
    assert acme.ids("users") == ["1", "2"]
    assert kinds(acme, "user") == ["added", "added"]
    row = acme.rows("users", "id = '1'")[0]
    assert row["email"] == "a@x"
    assert row["first_seen_at"] == row["changed_at"]
    assert row["removed_at"] is None


async def test_a_row_that_is_as_before_is_not_written(acme: Driver) -> None:
    await acme.page(USERS, User("1"), next="n")
    assert await acme.page(USERS, User("1")) == {"user": {"read": 1}}
    assert kinds(acme, "user") == ["added"]


async def test_a_changed_row_says_what_it_was_and_is(acme: Driver) -> None:
    await acme.page(USERS, User("1", name="Ann", status="active"), next="n")
    counts = await acme.page(USERS, User("1", name="Ann", status="suspended"))
    assert counts["user"]["changed"] == 1
    change = changes(acme.path, "acme")[-1]
    assert change["before"] == {"status": "active"}
    assert change["after"] == {"status": "suspended"}
    row = acme.rows("users")[0]
    assert row["changed_at"] > row["first_seen_at"]


async def test_a_last_login_is_stored_and_is_no_change(acme: Driver) -> None:
    await acme.page(USERS, User("1"), next="n")
    counts = await acme.page(USERS, User("1", last_login_at="2026-01-01T00:00:00Z"))
    assert counts == {"user": {"read": 1, "refreshed": 1}}
    row = acme.rows("users")[0]
    assert row["last_login_at"] == "2026-01-01T00:00:00Z"
    assert row["changed_at"] == row["first_seen_at"]
    assert kinds(acme, "user") == ["added"]


async def test_a_removed_row_that_is_seen_again_is_added_again(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "app", "mail"))
    await acme.whole(tokens_of("1"))
    await acme.sweep(Kind.TOKEN)
    assert acme.rows("tokens") == []
    counts = await acme.whole(tokens_of("1"), token("1", "app", "mail", "drive"))
    assert counts["token"]["added"] == 1
    assert kinds(acme, "token") == ["added", "removed", "added"]
    row = acme.rows("tokens")[0]
    assert json.loads(row["scopes"]) == ["mail", "drive"]
    assert row["changed_at"] > row["first_seen_at"]
    removed = [each for each in changes(acme.path, "acme") if each["kind"] == "removed"]
    assert [each["before"]["scopes"] for each in removed] == [["mail"]]


async def test_a_removed_row_seen_twice_in_a_page_is_added_once(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "app", "mail"))
    await acme.whole(tokens_of("1"))
    await acme.sweep(Kind.TOKEN)
    first, second = token("1", "app", "mail"), token("1", "app", "drive")
    counts = await acme.whole(tokens_of("1"), first, second)
    assert counts["token"]["added"] == 1
    assert json.loads(acme.rows("tokens")[0]["scopes"]) == ["drive"]


async def test_of_repeats_in_a_page_the_last_counts_and_one_change_is_recorded(
    acme: Driver,
) -> None:
    await acme.page(USERS, User("1", name="a"), User("1", name="b"), next="n")
    assert kinds(acme, "user") == ["added"]
    assert acme.rows("users")[0]["name"] == "b"
    await acme.page(USERS, User("1", name="c"), User("1", name="d"))
    assert kinds(acme, "user") == ["added", "changed"]
    assert changes(acme.path, "acme")[-1]["before"] == {"name": "b"}
    assert changes(acme.path, "acme")[-1]["after"] == {"name": "d"}


async def test_pages_of_one_batch_build_on_each_other(acme: Driver) -> None:
    one = Page(entities=(User("1", name="a"),), next="n")
    two = Page(entities=(User("1", name="b"), User("2")))
    counts = await acme.apply(PagedRead(USERS, one), PagedRead(USERS, two))
    assert counts == {"user": {"read": 3, "added": 2, "changed": 1}}
    assert acme.ids("users") == ["1", "2"]


async def test_a_whole_listing_stages_what_it_does_not_show(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"))
    counts = await acme.whole(tokens_of("1"), token("1", "b"))
    assert "removed" not in counts["token"]
    assert len(acme.rows("tokens")) == 2, "staged is not removed"
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 1
    assert await acme.sweep(Kind.TOKEN) == {"token": {"removed": 1}}
    assert [row["application_id"] for row in acme.rows("tokens")] == ["b"]


async def test_a_listing_without_a_proof_stages_nothing(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("1"), marked=False)
    await acme.whole(tokens_of("1"), bad=[BadRecord("", "no id")])
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 0


async def test_an_unproven_listing_does_not_spare_the_others_of_its_batch(acme: Driver) -> None:
    for user in ("1", "2"):
        await acme.whole(tokens_of(user), token(user, "a"))
    one = AtomicRead(tokens_of("1"), Page(marked=False), None)
    page = Page()
    two = AtomicRead(tokens_of("2"), page, whole_listing(tokens_of("2"), page))
    await acme.apply(one, two)
    await acme.sweep(Kind.TOKEN)
    assert [row["user_id"] for row in acme.rows("tokens")] == ["1"]


async def test_rows_of_other_collections_are_never_staged(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("2"), token("2", "a"))
    await acme.whole(tokens_of("2"))
    await acme.sweep(Kind.TOKEN)
    assert [row["user_id"] for row in acme.rows("tokens")] == ["1"]


async def test_a_bad_record_with_an_id_spares_its_row(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"))
    await acme.whole(tokens_of("2"), token("2", "a"))
    counts = await acme.whole(tokens_of("1"), bad=[BadRecord("a", "scopes"), BadRecord("?", "x")])
    assert counts["token"] == {"bad": 2}
    await acme.whole(tokens_of("2"))
    await acme.sweep(Kind.TOKEN)
    found = [(row["user_id"], row["application_id"]) for row in acme.rows("tokens")]
    assert found == [("1", "a")]


async def test_a_row_that_shows_up_after_it_was_staged_is_not_removed(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"))
    await acme.whole(tokens_of("1"))
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 2
    await acme.whole(tokens_of("1"), token("1", "a"), bad=[BadRecord("b", "scopes")])
    assert (await acme.store.staged(acme.run, Kind.TOKEN)).rows == 0


async def test_a_paged_row_that_shows_up_after_it_was_staged_is_not_removed(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.page(members_of("g"), member("g", "1"))
    await acme.page(members_of("g"))
    await acme.settle(Kind.RELATION, gone=["1"])
    assert (await acme.store.staged(acme.run, Kind.RELATION)).rows == 1
    await acme.page(members_of("g"), member("g", "1"))
    assert (await acme.store.staged(acme.run, Kind.RELATION)).rows == 0


async def test_tokens_that_come_after_their_user_was_removed_are_dropped(acme: Driver) -> None:
    await remove_user(acme, "1")
    counts = await acme.whole(tokens_of("1"), token("1", "a"), token("1", "b"))
    assert counts["token"]["dropped"] == 2
    assert "added" not in counts["token"]
    assert acme.rows("tokens_all") == []
    assert acme.rows("applications_all") == []


async def test_paged_tokens_that_come_after_their_user_was_removed_are_dropped(
    acme: Driver,
) -> None:
    await remove_user(acme, "1")
    counts = await acme.page(tokens_of("1"), token("1", "a"), next="n")
    assert counts["token"] == {"read": 1, "dropped": 1}
    assert acme.rows("tokens_all") == []


async def test_memberships_that_come_after_their_user_was_removed_are_dropped(
    acme: Driver,
) -> None:
    await remove_user(acme, "1")
    others = [member("g", "2"), member("g", "1", subject_kind="external")]
    counts = await acme.page(members_of("g"), member("g", "1"), *others)
    assert counts["relation"] == {"read": 3, "dropped": 1, "added": 2}
    kept = [(row["subject_kind"], row["subject_id"]) for row in acme.rows("relations")]
    assert sorted(kept) == [("external", "1"), ("user", "2")]


async def remove_user(acme: Driver, id: str) -> None:
    await acme.page(USERS, User(id), next="n")
    await acme.page(USERS)
    await acme.store.restart(acme.run, USERS)
    await acme.page(USERS)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=[id])
    await acme.sweep(Kind.USER)
    assert acme.rows("users") == []


async def test_a_bad_paged_record_counts_as_seen(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"), User("3"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS, User("1"), bad=[BadRecord("2", "name"), BadRecord("new", "name")])
    await acme.mark_missing(USERS)
    missing = await acme.store.missing(acme.run, Kind.USER, Key(0), 10)
    assert [row.id for row in missing] == ["3"]
    reading = await acme.store.reading(acme.run, USERS)
    assert reading is not None
    assert reading.proven


async def test_a_bad_member_counts_as_seen_in_its_group_only(acme: Driver) -> None:
    for group in ("g", "h"):
        await acme.page(members_of(group), member(group, "1"), member(group, "2"))
    await acme.page(members_of("g"), member("g", "1"), bad=[BadRecord("2", "role")])
    await acme.page(members_of("h"), member("h", "1"))
    missing = await acme.store.missing(acme.run, Kind.RELATION, Key(0), 10)
    assert [(row.parent, row.id) for row in missing] == [("h", "2")]


async def test_a_bad_paged_record_without_an_id_proves_nothing(acme: Driver) -> None:
    await acme.page(USERS, User("1"), bad=[BadRecord("", "?")], next="n")
    await acme.page(USERS, User("2"))
    reading = await acme.store.reading(acme.run, USERS)
    assert reading is not None
    assert not reading.proven


async def test_a_page_that_repeats_an_id_proves_nothing(acme: Driver) -> None:
    await acme.page(USERS, User("1"), next="n")
    await acme.page(USERS, User("2"), User("1"))
    reading = await acme.store.reading(acme.run, USERS)
    assert reading is not None
    assert not reading.proven
    assert reading.cursor is None


async def test_an_unproven_pass_over_a_group_marks_nobody_missing(acme: Driver) -> None:
    await acme.page(members_of("g"), member("g", "1"), member("g", "2"))
    await acme.page(members_of("g"), member("g", "1"), member("g", "1"))
    await acme.page(members_of("g"), marked=False)
    await acme.page(members_of("g"), bad=[BadRecord("", "?")])
    await acme.page(members_of("g"), member("g", "1"), next="n")
    await acme.page(members_of("g"), member("g", "1"))
    assert await acme.store.missing(acme.run, Kind.RELATION, Key(0), 10) == []


async def test_a_role_of_a_member_is_an_attribute(acme: Driver) -> None:
    await acme.page(members_of("g"), member("g", "1", role="member"))
    counts = await acme.page(members_of("g"), member("g", "1", role="owner"))
    assert counts["relation"]["changed"] == 1
    assert acme.rows("relations")[0]["role"] == "owner"


async def test_whole_groups_can_come_in_one_response(acme: Driver) -> None:
    await acme.whole(GROUPS, Group("g"), Group("h"))
    await acme.whole(GROUPS, Group("g"))
    await acme.sweep(Kind.GROUP)
    assert acme.ids("groups") == ["g"]


async def test_organizations_do_not_see_each_others_rows(acme: Driver) -> None:
    beta = Driver(acme.store, acme.path, name="beta")
    await beta.begin()
    for driver in (acme, beta):
        await driver.page(USERS, User("1", name=driver.name))
        await driver.whole(tokens_of("1"), token("1", "app", application_name=driver.name))
        await driver.settle_applications()
    await beta.whole(tokens_of("1"))
    await beta.sweep(Kind.TOKEN)
    await beta.settle_applications()
    assert acme.rows("users")[0]["name"] == "acme"
    assert acme.rows("applications")[0]["name"] == "acme"
    assert beta.rows("applications") == []
    assert (await acme.store.queue(acme.run, CollectionKind.USERS, 0, 9))[0].id == "1"


async def test_text_of_any_kind_comes_back_as_it_went_in(acme: Driver) -> None:
    names = ["'; DROP TABLE t_user; --", "\u202eevil\x00\x1b[2J", "\U0001f600", '["json"]', "7"]
    users = [User(f"id {name[:3]!a} \U0001f600 {n}", name=n) for n in names for name in [n]]
    users = [User(u.id.replace("\x00", ""), name=u.name) for u in users]
    await acme.page(USERS, *users, next="n")
    counts = await acme.page(USERS, *users)
    assert counts == {"user": {"read": len(users)}}, "each is found again"
    assert {row["id"]: row["name"] for row in acme.rows("users")} == {u.id: u.name for u in users}
