"""Sets of places and of keys behave as sets do."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from syncd.store.seen import KeySet
from syncd.sync.done import DoneSet

PLACES = st.lists(st.integers(0, 12), max_size=30) | st.permutations(range(10))


@given(places=PLACES)
def test_what_is_done_is_a_set_of_places(places: list[int]) -> None:
    done, model = DoneSet(), set[int]()
    for place in places:
        done.add(place)
        model.add(place)
        assert len(done) == len(model)
        assert done.watermark == next(n for n in range(100) if n not in model)
    assert {n for n in range(-1, 100) if n in done} == model


@given(places=PLACES)
def test_what_is_done_is_kept_as_ranges_that_do_not_touch(places: list[int]) -> None:
    done = DoneSet()
    for place in places:
        done.add(place)
    ranges = json.loads(done.to_json())
    assert all(start < end for start, end in ranges)
    assert all(one[1] < two[0] for one, two in itertools.pairwise(ranges))
    again = DoneSet.from_json(done.to_json())
    assert again.to_json() == done.to_json()
    assert len(again) == len(done)


def test_nothing_is_done_at_first() -> None:
    for done in (DoneSet(), DoneSet.from_json(""), DoneSet.from_json("[]")):
        assert len(done) == 0
        assert done.watermark == 0
        assert 0 not in done


def test_the_text_is_short_when_places_are_done_in_order() -> None:
    done = DoneSet()
    for place in range(100_000):
        done.add(place)
    assert done.to_json() == "[[0,100000]]"


@given(keys=st.lists(st.integers(0, 5000)), first=st.lists(st.integers(0, 5000)))
def test_a_key_set_is_a_set(keys: list[int], first: list[int]) -> None:
    found, model = KeySet(first), set(first)
    for key in keys:
        assert found.add(key) == (key not in model)
        model.add(key)
    assert len(found) == len(model)
    assert {key for key in range(5100) if key in found} == model
    assert 10**9 not in found
    assert "7" not in found


def test_a_key_set_of_an_organization_is_small() -> None:
    found = KeySet(range(200_000))
    assert found.__sizeof__() + len(found._bits) < 40_000  # noqa: SLF001  what it costs
