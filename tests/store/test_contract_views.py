"""What every store shows of applications, and of collections that could not be read."""

from __future__ import annotations

from datetime import UTC, datetime

from syncd.model import CollectionKind, CollectionState, Group, Kind, RunState, User
from tests.store.driver import GROUPS, USERS, Driver, member, members_of, token, tokens_of
from tests.support.feed import changes, walk_back


def events(acme: Driver) -> list[tuple[str, object, object]]:
    return [
        (c["kind"], c["before"], c["after"])
        for c in changes(acme.path, "acme")
        if c["entity"] == "application"
    ]


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def give(acme: Driver, user: str, name: str | None) -> None:
    tokens = [token(user, "app", application_name=name)] if name is not None else []
    await acme.whole(tokens_of(user), *tokens)


async def test_an_application_is_called_what_most_of_its_tokens_call_it(acme: Driver) -> None:
    for user, name in (("1", "Zoom"), ("2", "Evil"), ("3", "Zoom")):
        await give(acme, user, name)
    await acme.settle_applications()
    assert [(r["id"], r["name"], r["tokens"]) for r in acme.rows("applications")] == [
        ("app", "Zoom", 3)
    ]
    assert events(acme) == [("added", None, None)]
    await give(acme, "1", "Evil")
    await acme.settle_applications()
    assert acme.rows("applications")[0]["name"] == "Evil"
    assert events(acme)[-1] == ("changed", {"name": "Zoom"}, {"name": "Evil"})


async def test_of_names_that_are_as_frequent_the_first_in_order_is_taken(acme: Driver) -> None:
    await give(acme, "1", "B")
    await give(acme, "2", "A")
    await acme.settle_applications()
    assert acme.rows("applications")[0]["name"] == "A"


async def test_an_application_goes_with_its_last_token_and_comes_back(acme: Driver) -> None:
    await give(acme, "1", "Zoom")
    await acme.settle_applications()
    await give(acme, "1", None)
    await acme.settle_applications()
    assert len(events(acme)) == 1, "staged is not removed"
    await acme.sweep(Kind.TOKEN)
    await acme.settle_applications()
    await acme.settle_applications()
    assert acme.rows("applications") == []
    assert events(acme)[1:] == [("removed", {"name": "Zoom"}, None)]
    await give(acme, "1", "Zoom 2")
    await acme.settle_applications()
    assert acme.rows("applications")[0]["name"] == "Zoom 2"
    assert [kind for kind, _, _ in events(acme)] == ["added", "removed", "added"]
    assert not any(walk_back(acme.path, "acme").values())


async def test_an_application_that_went_before_it_was_settled_came_and_went(
    acme: Driver,
) -> None:
    await give(acme, "1", "Zoom")
    assert events(acme) == [("added", None, None)]
    await give(acme, "1", None)
    await acme.sweep(Kind.TOKEN)
    await acme.settle_applications()
    assert acme.rows("applications") == []
    assert [kind for kind, _, _ in events(acme)] == ["added", "removed"]
    await give(acme, "1", "Zoom")
    await acme.settle_applications()
    assert [kind for kind, _, _ in events(acme)] == ["added", "removed", "added"]
    assert not any(walk_back(acme.path, "acme").values())


async def test_applications_are_settled_until_that_is_done_even_in_a_later_run(
    acme: Driver,
) -> None:
    await give(acme, "1", "Zoom 1")
    await give(acme, "2", "Zoom 2")
    await give(acme, "3", "Zoom 2")
    await acme.finish()
    await acme.begin()
    await acme.settle_applications()
    assert acme.rows("applications")[0]["name"] == "Zoom 2"
    assert [kind for kind, _, _ in events(acme)] == ["added"]


async def test_applications_are_settled_in_chunks_and_counted(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), *(token("1", str(n)) for n in range(5)))
    await acme.settle_applications(limit=2)
    assert len(acme.rows("applications")) == 5
    assert len(events(acme)) == 5
    assert (await acme.finish())["application"] == {"added": 5}


async def test_an_application_that_is_not_settled_yet_has_changed_when_it_came(
    acme: Driver,
) -> None:
    await give(acme, "1", "Zoom")
    row = acme.rows("applications")[0]
    assert row["changed_at"] == row["first_seen_at"] == iso(acme.now)


async def test_a_collection_that_was_read_has_no_row(acme: Driver) -> None:
    await acme.whole(tokens_of("1"), token("1", "a"))
    assert acme.rows("collections") == []
    assert await acme.store.exceptions(acme.organization, CollectionKind.TOKENS) == {}


async def test_an_unreadable_collection_is_stale_since_it_was_read_last(acme: Driver) -> None:
    await acme.page(USERS, User("1"), User("2"))
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.whole(tokens_of("2"), token("2", "a"))
    await acme.finish()
    started = acme.rows("runs")[0]["started_at"]
    await acme.begin()
    first_seen = acme.rows("users")[0]["first_seen_at"]
    await acme.unreadable(tokens_of("1"), "server_error")
    since = iso(acme.now)
    row = acme.rows("collections")[0]
    assert (row["kind"], row["parent_id"], row["state"]) == ("tokens", "1", "unreadable")
    assert (row["reason"], row["since"]) == ("server_error", since)
    assert row["last_good_at"] == max(started, first_seen)
    stale = {r["user_id"]: r["stale_since"] for r in acme.rows("tokens")}
    assert stale == {"1": row["last_good_at"], "2": None}
    exceptions = await acme.store.exceptions(acme.organization, CollectionKind.TOKENS)
    assert exceptions == {"1": "server_error"}
    assert acme.rows("runs", f"id = {acme.run}")[0]["unreadable"] == 1


async def test_a_failure_that_lasts_keeps_its_beginning(acme: Driver) -> None:
    await acme.unreadable(tokens_of("1"), "server_error")
    first = acme.rows("collections")[0]
    await acme.unreadable(tokens_of("1"), "server_error")
    assert acme.rows("collections")[0] == first
    await acme.unreadable(tokens_of("1"), "forbidden")
    second = acme.rows("collections")[0]
    assert second["reason"] == "forbidden"
    assert second["since"] == iso(acme.now)
    assert second["last_good_at"] == first["last_good_at"]


async def test_a_collection_that_is_read_again_is_no_exception_any_more(acme: Driver) -> None:
    for collection in (tokens_of("1"), members_of("g"), USERS):
        await acme.unreadable(collection)
    assert len(acme.rows("collections")) == 3
    await acme.whole(tokens_of("1"))
    await acme.page(members_of("g"))
    await acme.page(USERS, User("1"), next="n")
    assert [row["kind"] for row in acme.rows("collections")] == ["users"], "half read is not read"
    await acme.page(USERS)
    assert acme.rows("collections") == []


async def test_rows_of_a_collection_that_was_never_known_to_be_read_are_stale_too(
    acme: Driver,
) -> None:
    await acme.page(USERS, User("1"))
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.finish(RunState.FAILED)
    await acme.begin()
    await acme.unreadable(tokens_of("1"))
    assert acme.rows("collections")[0]["last_good_at"] is None
    assert acme.rows("tokens")[0]["stale_since"] == iso(acme.now)


async def test_a_user_who_came_after_the_last_run_was_never_read(acme: Driver) -> None:
    await acme.finish()
    await acme.begin()
    await acme.page(USERS, User("1"))
    await acme.unreadable(tokens_of("1"))
    await acme.unreadable(tokens_of("nobody"))
    assert {row["last_good_at"] for row in acme.rows("collections")} == {None}


async def test_listings_of_the_organization_are_stale_as_a_whole(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.page(GROUPS, Group("g"))
    await acme.page(members_of("g"), member("g", "1"))
    started = {"users": iso(acme.now)}
    await acme.finish()
    await acme.begin()
    for collection in (USERS, GROUPS, members_of("g")):
        await acme.unreadable(collection)
    for view in ("users", "groups", "relations"):
        assert acme.rows(view)[0]["stale_since"] is not None
        assert acme.rows(view)[0]["stale_since"] <= started["users"]


async def test_what_has_nothing_to_read_by_design_is_no_failure(acme: Driver) -> None:
    await acme.page(USERS, User("1", status="suspended"))
    await acme.whole(tokens_of("1"), token("1", "a"))
    await acme.unreadable(tokens_of("1"), "suspended", CollectionState.NOT_APPLICABLE)
    assert acme.rows("collections")[0]["state"] == "not_applicable"
    assert await acme.store.exceptions(acme.organization, CollectionKind.TOKENS) == {}
    assert acme.rows("runs")[0]["unreadable"] == 0
    assert acme.rows("tokens")[0]["stale_since"] is not None


async def test_a_failure_that_comes_after_its_user_was_removed_is_not_kept(acme: Driver) -> None:
    await acme.page(USERS, User("1"))
    await acme.finish()
    await acme.begin()
    await acme.page(USERS)
    await acme.mark_missing(USERS)
    await acme.settle(Kind.USER, gone=["1"])
    await acme.sweep(Kind.USER)
    await acme.unreadable(tokens_of("1"))
    assert acme.rows("collections") == []
