from __future__ import annotations

from pathlib import Path

import pytest

from syncd.store.reader import ReadOnlyDatabase
from syncd.store.usage import ApplicationUse
from tests.cli.seed import Seed


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    seed = Seed(tmp_path / "syncd.db")
    assert seed.organization() == 1
    for name in ("a", "b", "c"):
        seed.user(1, name)
    assert seed.application(1, "app", "App") == 1
    return seed


def _use(seed: Seed) -> ApplicationUse:
    seed.close()
    with ReadOnlyDatabase(seed.path) as reader:
        (use,) = reader.applications(classify=lambda scopes: "+".join(scopes) or "none")
    return use


def test_scopes_are_merged_and_users_counted_for_each(seed: Seed) -> None:
    seed.token(1, "a", 1, ["x", "y"])
    seed.token(1, "b", 1, ["x"])
    seed.token(1, "c", 1, ["z"], removed=True)
    use = _use(seed)
    assert (use.id, use.users, use.organization_wide) == ("app", 2, False)
    assert dict(use.scopes) == {"x": 2, "y": 1}
    assert dict(use.classes) == {"x+y": 1, "x": 1}


def test_several_grants_of_one_user_count_once(seed: Seed) -> None:
    seed.token(1, "a", 1, ["x", "y"], id="1")
    seed.token(1, "a", 1, ["x", "z"], id="2")
    seed.token(1, "b", 1, ["x"], id="1")
    use = _use(seed)
    assert use.users == 2
    assert dict(use.scopes) == {"x": 2, "y": 1, "z": 1}
    assert dict(use.classes) == {"x+y+z": 1, "x": 1}


def test_a_grant_for_the_organization_is_everybodys(seed: Seed) -> None:
    seed.token(1, "", 1, ["all"], principal_kind="organization")
    seed.token(1, "a", 1, ["x"])
    use = _use(seed)
    assert (use.users, use.organization_wide) == (3, True)
    assert dict(use.scopes) == {"all": 3, "x": 1}
    assert dict(use.classes) == {"all+x": 1, "all": 2}


def test_a_grant_for_the_organization_that_everybody_also_gave(seed: Seed) -> None:
    seed.token(1, "", 1, ["all"], principal_kind="organization")
    for name in ("a", "b", "c"):
        seed.token(1, name, 1, ["x"])
    use = _use(seed)
    assert (use.users, dict(use.scopes)) == (3, {"all": 3, "x": 3})


def test_grants_of_groups_and_services_are_no_users(seed: Seed) -> None:
    seed.token(1, "g", 1, ["x"], principal_kind="group")
    seed.token(1, "s", 1, ["x"], principal_kind="service")
    use = _use(seed)
    assert (use.users, use.others) == (0, 2)
    assert dict(use.scopes) == {"x": 0}
    assert dict(use.classes) == {"x": 2}


def test_an_application_without_grants_and_scopes_that_are_no_list(seed: Seed) -> None:
    assert seed.application(1, "b", "B") == 2
    seed.token(1, "a", 2, [])
    seed.db.execute("UPDATE t_token SET scopes = '{broken'")
    seed.close()
    with ReadOnlyDatabase(seed.path) as reader:
        first, second = reader.applications()
    assert (first.users, dict(first.scopes), dict(first.classes)) == (0, {}, {})
    assert (second.users, dict(second.scopes)) == (1, {})


def test_only_the_named_organization(seed: Seed) -> None:
    other = seed.organization("other")
    seed.application(other, "app", "Other App")
    seed.close()
    with ReadOnlyDatabase(seed.path) as reader:
        assert [use.name for use in reader.applications("other")] == ["Other App"]
        assert [use.name for use in reader.applications()] == ["App", "Other App"]
