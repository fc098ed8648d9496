"""The quota, the wait that a server asks for, and the budget of retries, in virtual time."""

from __future__ import annotations

import itertools
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.upstream.limits import NotBefore, RateLimiter, RetryBudget
from tests.upstream.clocks import VirtualClock

# Gaps between arrivals in quota's own pace: crowds, pauses longer than a minute, and all between.
GAPS = st.lists(
    st.tuples(st.integers(1, 200), st.sampled_from([0.0, 0.001, 0.3, 1.0, 2.5, 20.0, 59.9, 61.0])),
    min_size=1,
    max_size=12,
)


def most_in_a_minute(moments: list[float]) -> int:
    """The most of these moments, which are in order, in any 60 s."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 60.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def departures(quota: int, pattern: list[tuple[int, float]]) -> list[float]:
    clock = VirtualClock()
    limiter = RateLimiter(quota, clock)
    moments = []
    for count, gap in pattern:
        clock.now += gap
        moments += [clock.now + limiter.reserve() for _ in range(count)]
    return moments


@given(st.integers(1, 500), GAPS)
def test_no_minute_has_more_than_the_quota(quota: int, pattern: list[tuple[int, float]]) -> None:
    moments = departures(quota, pattern)
    assert moments == sorted(moments)
    assert most_in_a_minute(moments) <= quota


@pytest.mark.parametrize("quota", [1, 2, 10, 33, 34, 60, 600, 2400, 12_000])
def test_the_quota_is_used_when_there_is_enough_to_do(quota: int) -> None:
    ten_minutes = [m for m in departures(quota, [(quota * 12, 0.0)]) if m < 1000.0 + 600.0]
    assert most_in_a_minute(ten_minutes) <= quota
    assert len(ten_minutes) >= 0.95 * quota * 10


@pytest.mark.parametrize("quota", [60, 2400])
def test_a_pause_allows_no_more_than_a_small_burst(quota: int) -> None:
    clock = VirtualClock()
    limiter = RateLimiter(quota, clock)
    clock.now += 3600.0
    at_once = sum(limiter.reserve() == 0 for _ in range(quota))
    assert 1 <= at_once <= max(1, 0.03 * quota)


async def test_waiting_takes_the_place_that_was_reserved() -> None:
    clock = VirtualClock()
    limiter = RateLimiter(60, clock)
    started = clock.now
    for _ in range(61):
        await limiter.wait()
    assert clock.now - started >= 60.0


async def test_not_before() -> None:
    clock = VirtualClock()
    gate = NotBefore(clock)
    await gate.wait()
    assert clock.slept == []
    gate.postpone(30.0)
    gate.postpone(10.0)
    assert gate.seconds == 30.0
    clock.now += 5.0
    gate.postpone(10.0)
    await gate.wait()
    assert clock.slept == [25.0]
    assert gate.seconds == 0.0


async def test_a_wait_that_grows_meanwhile_is_waited_for_to_its_end() -> None:
    class Growing(VirtualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            if len(self.slept) == 1:
                gate.postpone(7.0)

    clock = Growing()
    gate = NotBefore(clock)
    gate.postpone(3.0)
    await gate.wait()
    assert clock.slept == [3.0, 7.0]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["requests", "retries", "pause"]),
        st.integers(1, 300),
    ),
    max_size=40,
)


@given(EVENTS)
def test_retries_stay_a_share_of_the_requests(events: list[tuple[str, int]]) -> None:
    clock = VirtualClock()
    budget = RetryBudget(clock)
    retries: list[tuple[float, int]] = []
    requests = 0
    for what, count in events:
        if what == "pause":
            clock.now += count
        elif what == "requests":
            for _ in range(count):
                budget.earn()
            requests += count
        else:
            retries += [(clock.now + budget.reserve(), requests) for _ in range(count)]
    retries.sort()
    before = 0
    for number, (moment, requests) in enumerate(retries, start=1):
        before = max(before, requests)
        passed = moment - 1000.0
        allowed = RetryBudget.START + RetryBudget.SHARE * before + RetryBudget.PER_SECOND * passed
        assert number <= allowed + 1e-6


@given(st.integers(1, 100_000), st.integers(0, 100_000))
def test_a_long_calm_saves_up_no_storm(requests: int, seconds: int) -> None:
    clock = VirtualClock()
    budget = RetryBudget(clock)
    for _ in range(min(requests, 5000)):
        budget.earn()
    clock.now += seconds
    waits = (budget.reserve() for _ in range(1000))
    at_once = sum(1 for _ in itertools.takewhile(operator.not_, waits))
    assert at_once <= RetryBudget.MOST


async def test_waiting_for_the_budget() -> None:
    clock = VirtualClock()
    budget = RetryBudget(clock)
    for _ in range(20):
        await budget.wait()
    assert clock.slept == []
    await budget.wait()
    assert clock.slept == [pytest.approx(6.0)]
