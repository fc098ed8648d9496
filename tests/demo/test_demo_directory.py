"""The made-up organization: repeatable, consistent, and moving on as promised."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from typing import Any

import pytest

from syncd.demo import Directory
from syncd.demo.directory import TokenRow, UserRow
from syncd.demo.pages import Cursor, Listing

SIZES = (1, 2, 3, 5, 20, 60, 250, 500, 2000)


def users_of(directory: Directory) -> dict[str, UserRow]:
    return {row.id: row for row in directory.iter_users()}


def tokens_of(directory: Directory) -> dict[tuple[str, str], TokenRow]:
    return {(row.user_id, row.client_id): row for row in directory.iter_tokens()}


def test_same_arguments_same_organization() -> None:
    one, two = Directory(seed=7, users=120).at(4), Directory(seed=7, users=120, epoch=4)
    assert list(one.iter_users()) == list(two.iter_users())
    assert list(one.iter_tokens()) == list(two.iter_tokens())
    assert list(one.iter_groups()) == list(two.iter_groups())
    assert list(one.iter_members()) == list(two.iter_members())
    assert list(one.iter_deleted_users()) == list(two.iter_deleted_users())


def test_the_organization_does_not_change_between_releases() -> None:
    """Stored databases of older demos must match: these rows are part of the contract."""
    directory = Directory(seed=1, users=500)
    last = list(directory.iter_users())[-1]
    assert (last.id, last.email) == ("118260485692980687853", "zoran.hernandez@acme.example")


def test_another_seed_another_organization() -> None:
    ids = set(users_of(Directory(seed=1, users=50)))
    assert not ids & set(users_of(Directory(seed=2, users=50)))


@pytest.mark.parametrize("users", SIZES)
@pytest.mark.parametrize("epoch", [0, 1, 7, 40])
def test_consistent_at_any_size_and_epoch(users: int, epoch: int) -> None:
    directory = Directory(users=users, epoch=epoch)
    rows = list(directory.iter_users())
    emails = [row.email for row in rows]
    assert len(rows) == users
    assert emails == sorted(set(emails))
    assert len({row.id for row in rows}) == users
    assert all(len(row.id) == 21 for row in rows)
    groups = list(directory.iter_groups())
    assert len({row.id for row in groups}) == len(groups) == directory.group_count
    members = list(directory.iter_members())
    assert len({row[:3] for row in members}) == len(members)
    living = {row.id for row in rows}
    known = {row.id for row in groups}
    for row in members:
        if row.subject_kind == "user":
            assert row.subject_id in living
        elif row.subject_kind == "group":
            assert row.subject_id in known
    deleted = {row.id for row in directory.iter_deleted_users()}
    assert not deleted & living
    assert bool(deleted) == (epoch > 0 and users > 1)


@pytest.mark.parametrize(("users", "epoch"), [(2, 3), (60, 0), (60, 9), (2000, 5)])
def test_every_user_and_group_is_found_by_id_and_email(users: int, epoch: int) -> None:
    directory = Directory(users=users, epoch=epoch)
    for row in directory.iter_users():
        for key in (row.id, row.email, row.email.upper()):
            person = directory.people.find(key)
            assert person is not None
            assert person.id == row.id
    for group in directory.iter_groups():
        for key in (group.id, group.email):
            team = directory.teams.find(key)
            assert team is not None
            assert team.id == group.id
    for gone in directory.iter_deleted_users():
        assert directory.people.find(gone.id) is None
        person = directory.people.find_deleted(gone.id)
        assert person is not None
        assert person.email == gone.email


@pytest.mark.parametrize(
    "key", ["", "1", "x" * 21, "9" * 21, "1" + "0" * 20, "no@acme.example", "@", "zzz@z", "0\u0661"]
)
def test_unknown_keys_are_not_found(key: str) -> None:
    directory = Directory(users=60, epoch=3)
    assert directory.people.find(key) is None
    assert directory.people.find_deleted(key) is None
    assert directory.teams.find(key) is None


def test_listing_is_not_in_the_order_of_ids_or_births() -> None:
    directory = Directory(users=300)
    ids = [row.id for row in directory.iter_users()]
    assert ids != sorted(ids)
    numbers = [person.number for person in directory.walk_users()]
    assert numbers != sorted(numbers)


def test_shape_of_the_data() -> None:
    directory = Directory(users=2000)
    rows = list(directory.iter_users())
    count = Counter(row.status for row in rows)
    assert count["suspended"] == 100
    assert 0 < count["archived"] < 50
    assert 2 <= sum(row.is_admin for row in rows) < 40
    tokens = list(directory.iter_tokens())
    assert 10 < len(tokens) / 2000 < 13
    with_tokens = {row.user_id for row in tokens}
    assert 0 < 2000 - len(with_tokens) < 120
    used = Counter(row.client_id for row in tokens).most_common()
    assert len(used) > 140
    assert used[0][1] > 20 * used[-1][1]
    scopes = {scope for row in tokens for scope in row.scopes}
    assert {"openid", "https://mail.google.com/"} <= scopes
    assert "https://www.googleapis.com/auth/admin.directory.user" in scopes
    kinds = Counter(row.subject_kind for row in directory.iter_members())
    assert set(kinds) == {"user", "group", "external", "everyone"}
    assert {row.role for row in directory.iter_members()} == {"member", "manager", "owner"}


@pytest.mark.parametrize("mean", [0.0, 1.0, 12.0, 40.0, 500.0])
def test_any_number_of_tokens(mean: float) -> None:
    directory = Directory(users=40, tokens_per_user=mean)
    rows = list(directory.iter_tokens())
    assert len({(row.user_id, row.client_id) for row in rows}) == len(rows)
    assert bool(rows) == (mean > 0)


@pytest.mark.parametrize("epoch", [0, 1, 25])
def test_one_group_has_more_members_than_a_page(epoch: int) -> None:
    directory = Directory(users=250, epoch=epoch)
    count = Counter(row.group_id for row in directory.iter_members())
    assert max(count.values()) > 200
    teams = {team.id: team.member_count for team in directory.teams.walk(0)}
    assert all(teams[key] == value for key, value in count.items())


def test_no_group_contains_itself() -> None:
    directory = Directory(users=1000, epoch=3)
    inner: dict[str, set[str]] = {}
    for row in directory.iter_members():
        if row.subject_kind == "group":
            inner.setdefault(row.group_id, set()).add(row.subject_id)

    def reach(group: str, path: tuple[str, ...]) -> None:
        assert group not in path
        for below in inner.get(group, ()):
            reach(below, (*path, group))

    for group in inner:
        reach(group, ())


def test_readable_tokens_are_those_of_active_users() -> None:
    directory = Directory(users=300)
    active = {row.id for row in directory.iter_users() if row.status == "active"}
    readable = set(directory.iter_tokens(readable_only=True))
    every = set(directory.iter_tokens())
    assert readable == {row for row in every if row.user_id in active} != every


@pytest.mark.parametrize("users", [60, 500])
@pytest.mark.parametrize("step", [1, 2, 13, 60])
def test_each_step_brings_every_kind_of_change_to_users(users: int, step: int) -> None:
    before, after = Directory(users=users, epoch=step - 1), Directory(users=users, epoch=step)
    old, new = users_of(before), users_of(after)
    both = old.keys() & new.keys()
    assert old.keys() - new.keys()
    assert new.keys() - old.keys()
    assert any(old[key].name != new[key].name for key in both)
    assert any(old[key].email != new[key].email for key in both)
    statuses = {(old[key].status, new[key].status) for key in both}
    assert {("active", "suspended"), ("suspended", "active")} <= statuses
    gone = {row.id: row.email for row in after.iter_deleted_users()}
    assert old.keys() - new.keys() <= gone.keys()
    reborn = {old[key].email for key in old.keys() - new.keys()}
    assert reborn & {new[key].email for key in new.keys() - old.keys()}


@pytest.mark.parametrize("users", [60, 500])
@pytest.mark.parametrize("step", [1, 2, 13])
def test_each_step_brings_every_kind_of_change_to_tokens(users: int, step: int) -> None:
    before, after = Directory(users=users, epoch=step - 1), Directory(users=users, epoch=step)
    staying = users_of(before).keys() & users_of(after).keys()
    old, new = tokens_of(before), tokens_of(after)
    assert any(key[0] in staying for key in old.keys() - new.keys())
    assert any(key[0] in staying for key in new.keys() - old.keys())
    both = old.keys() & new.keys()
    assert any(set(old[key].scopes) < set(new[key].scopes) for key in both)
    assert len(both) > 0.8 * len(old)
    names = dict(before.iter_applications()), dict(after.iter_applications())
    renamed = [key for key in names[0] if names[0][key] != names[1][key]]
    assert len(renamed) == 1
    assert any(row.client_id == renamed[0] for row in new.values())


@pytest.mark.parametrize("step", [1, 2, 13])
def test_each_step_brings_every_kind_of_change_to_groups(step: int) -> None:
    before, after = Directory(users=500, epoch=step - 1), Directory(users=500, epoch=step)
    old = {row.id: row for row in before.iter_groups()}
    new = {row.id: row for row in after.iter_groups()}
    both = old.keys() & new.keys()
    assert old.keys() - new.keys()
    assert new.keys() - old.keys()
    assert any(old[key].name != new[key].name for key in both)
    one = {row[:3]: row.role for row in before.iter_members() if row.group_id in both}
    two = {row[:3]: row.role for row in after.iter_members() if row.group_id in both}
    assert one.keys() - two.keys()
    assert two.keys() - one.keys()
    assert any(one[key] != two[key] for key in one.keys() & two.keys())


def test_an_entity_tag_changes_exactly_when_the_user_does() -> None:
    before = {p.id: p for p in Directory(users=500, epoch=4).walk_users()}
    after = {p.id: p for p in Directory(users=500, epoch=5).walk_users()}
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        same = (old.email, old.full_name, old.status) == (new.email, new.full_name, new.status)
        assert (old.etag == new.etag) == same


def test_last_login_moves_with_the_epoch() -> None:
    before = {p.id: p.last_login for p in Directory(users=50).walk_users()}
    after = {p.id: p.last_login for p in Directory(users=50, epoch=1).walk_users()}
    moved = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    assert len(moved) > 40


@pytest.mark.parametrize(
    "options",
    [{"users": 0}, {"epoch": -1}, {"groups": -1}, {"suspended_percent": 101.0}],
)
def test_impossible_organizations_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Directory(**options)


@pytest.mark.parametrize("percent", [0.0, 50.0, 100.0])
def test_any_share_of_suspended_users(percent: float) -> None:
    directory = Directory(users=201, suspended_percent=percent)
    count = Counter(row.status for row in directory.iter_users())
    assert count["suspended"] == 2 * percent


def peak_of_reading(directory: Directory, places: list[int]) -> int:
    """Return the most bytes in use while pages of 500 users are read from `places` on."""
    gc.collect()
    tracemalloc.start()
    try:
        listing = Listing("users", directory)
        for place in places:
            page = listing.page(Cursor(place), 500)
            person = directory.people.find(page["users"][0]["id"])
            assert person is not None
            assert directory.people.find(person.email) == person
            assert len(directory.grants.of(person.number, person.life)) < 30
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_organization() -> None:
    small, large = Directory(users=2000), Directory(users=200_000)
    places = [-1, 500, 1000]
    first = peak_of_reading(small, places)
    far = [100, 50_000, 123_456, 199_000]
    assert peak_of_reading(large, places + far) < 1.5 * first


@pytest.mark.slow
def test_all_pages_of_a_large_organization() -> None:
    directory = Directory(users=200_000, epoch=3)
    listing = Listing("users", directory)
    ids: set[int] = set()
    last = ""
    start: int | None = -1
    while start is not None:
        users, start = listing.slice(start, 500)
        for user in users:
            assert last < user["primaryEmail"]
            last = user["primaryEmail"]
        ids.update(int(user["id"]) for user in users)
    assert len(ids) == 200_000
