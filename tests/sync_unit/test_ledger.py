"""No removal without proof: each rule of what proves, and of what the guard lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.model import (
    BadRecord,
    Collection,
    CollectionKind,
    CompleteListing,
    Gone,
    Key,
    Kind,
    Page,
)
from syncd.store.base import Hold, Missing, Staged
from syncd.sync.ledger import (
    PASSES_TO_RELEASE,
    PASSES_TO_REMOVE,
    RELEASE_AFTER,
    Guard,
    Judgement,
    gone_listing,
    needs_asking,
    settle,
    whole_listing,
)

TOKENS = Collection(CollectionKind.TOKENS, "1")
DAY = 24 * 3600.0


def missing(key: int, *, passes: int = 1, tombstone: bool = False) -> Missing:
    return Missing(Key(key), f"id {key}", "", passes, tombstone)


def settled(*rows: Missing, **answers: bool) -> tuple[dict[int, str], list[Key]]:
    """Witness by key of what is gone, and what is there; answers by ``k`` and the key."""
    said = {Key(int(name[1:])): gone for name, gone in answers.items()}
    gone, present = settle(Kind.USER, rows, said)
    assert all(proof.kind is Kind.USER for proof in gone)
    assert len({proof.witness for proof in gone}) == len(gone)
    return {key: proof.witness for proof in gone for key in proof.keys}, present


def test_one_marked_response_is_proof_even_when_it_is_empty() -> None:
    assert whole_listing(TOKENS, Page()) == CompleteListing(TOKENS)


def test_a_bad_record_with_an_id_leaves_the_rest_proven() -> None:
    page = Page(bad=(BadRecord("a", "scopes"),))
    assert whole_listing(TOKENS, page) == CompleteListing(TOKENS)


@pytest.mark.parametrize(
    "page",
    [
        Page(marked=False),
        Page(next="more"),
        Page(next=""),
        Page(bad=(BadRecord("", "no id"),)),
        Page(bad=(BadRecord("a", "scopes"), BadRecord("", "no id"))),
    ],
    ids=["without the mark", "with another page", "with an odd cursor", "no id", "one no id"],
)
def test_a_response_that_may_not_be_all_proves_nothing(page: Page) -> None:
    assert whole_listing(TOKENS, page) is None


def test_a_parent_that_is_gone_proves_its_listing_empty() -> None:
    assert gone_listing(TOKENS) == CompleteListing(TOKENS)


def test_a_row_that_is_missing_for_the_first_time_is_asked_for_and_stays() -> None:
    assert needs_asking(missing(1))
    assert settled(missing(1)) == ({}, [])


def test_a_tombstone_is_a_witness() -> None:
    assert not needs_asking(missing(1, tombstone=True))
    assert settled(missing(1, tombstone=True)) == ({1: "tombstone"}, [])


def test_the_word_of_the_provider_is_a_witness() -> None:
    assert settled(missing(1), missing(2), k1=True) == ({1: "own_get"}, [])


def test_two_passes_in_a_row_are_a_witness() -> None:
    assert PASSES_TO_REMOVE == 2
    # And yet who can be asked is asked: the provider's own word is the better witness.
    assert needs_asking(missing(1, passes=2))
    assert settled(missing(1, passes=2), k1=False) == ({}, [1])
    assert settled(missing(1, passes=2), missing(2, passes=3)) == (
        {1: "two_passes", 2: "two_passes"},
        [],
    )


@pytest.mark.parametrize(
    "row", [missing(1), missing(1, passes=9), missing(1, tombstone=True)], ids=str
)
def test_what_the_provider_says_is_there_is_never_removed(row: Missing) -> None:
    assert settled(row, k1=False) == ({}, [1])


@given(
    rows=st.lists(
        st.tuples(st.integers(1, 3), st.booleans(), st.sampled_from([None, True, False])),
        max_size=20,
    )
)
def test_each_row_that_goes_has_a_witness_and_goes_once(
    rows: list[tuple[int, bool, bool | None]],
) -> None:
    found = [missing(n, passes=p, tombstone=t) for n, (p, t, _) in enumerate(rows)]
    answers = {Key(n): a for n, (_, _, a) in enumerate(rows) if a is not None}
    gone, present = settle(Kind.USER, found, answers)
    keys = [key for proof in gone for key in proof.keys]
    assert len(keys) == len(set(keys))
    for number, (passes, tombstone, answer) in enumerate(rows):
        witnessed = answer is not False and (answer or tombstone or passes >= 2)
        assert (number in keys) == bool(witnessed)
        assert (number in present) == (answer is False)


def test_a_proof_names_what_it_proves() -> None:
    gone, _ = settle(Kind.GROUP, [missing(1, tombstone=True), missing(2, tombstone=True)], {})
    assert gone == [Gone(Kind.GROUP, (Key(1), Key(2)), "tombstone")]


def staged(rows: int, live: int, hold: Hold | None = None) -> Staged:
    return Staged(rows, live, "digest", hold)


def held(passes: int, first_at: float = 0.0, digest: str = "digest") -> Hold:
    return Hold(digest, 50, passes, first_at)


GUARD = Guard(max_percent=20, above_rows=10)


@pytest.mark.parametrize(
    ("rows", "live", "judgement"),
    [
        (0, 0, Judgement.PASS),
        (10, 10, Judgement.PASS),
        (11, 54, Judgement.HOLD),
        (11, 55, Judgement.PASS),
        (20, 100, Judgement.PASS),
        (21, 100, Judgement.HOLD),
        (11, 11, Judgement.HOLD),
        (200_000, 200_000, Judgement.HOLD),
    ],
)
def test_more_than_the_share_and_more_than_the_rows_are_held(
    rows: int, live: int, judgement: Judgement
) -> None:
    for full in (True, False):
        assert GUARD.judge(staged(rows, live), 0.0, full=full) is judgement


def test_the_user_can_let_them_through() -> None:
    guard = Guard(20, 10, allow=True)
    assert guard.judge(staged(50, 100), 0.0, full=False) is Judgement.RELEASE
    assert guard.judge(staged(5, 100), 0.0, full=False) is Judgement.PASS


def test_three_complete_passes_over_a_day_let_them_through() -> None:
    assert PASSES_TO_RELEASE == 3
    assert RELEASE_AFTER == DAY
    sum_ = staged(50, 100, held(2))
    assert GUARD.judge(sum_, DAY, full=True) is Judgement.RELEASE


@pytest.mark.parametrize(
    ("hold", "now", "full"),
    [
        (None, 10 * DAY, True),
        (held(1), 10 * DAY, True),
        (held(2), DAY - 1, True),
        (held(2), 10 * DAY, False),
        (held(2, digest="other"), 10 * DAY, True),
        (held(9, first_at=DAY), DAY, True),
    ],
    ids=["first", "too few", "too soon", "not complete", "another result", "in no time"],
)
def test_less_than_that_does_not(hold: Hold | None, now: float, full: bool) -> None:
    assert GUARD.judge(staged(50, 100, hold), now, full=full) is Judgement.HOLD
