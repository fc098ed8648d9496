"""The semaphore whose limit changes while it is held."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from syncd.governor.governor import MAIN, Governor
from syncd.governor.semaphore import AdaptiveSemaphore


class SemaphoreMachine(RuleBasedStateMachine):
    """Tasks come, are granted, are cancelled and go while the limit changes."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.limit = 2
        self.semaphore = AdaptiveSemaphore(self.limit)
        self.count = 0
        self.waiting: dict[int, asyncio.Task[None]] = {}
        """Tasks that have not got as far as holding a permit, in the order in which they came."""
        self.held: list[int] = []
        self.last_served = 0
        self.before = 0

    def teardown(self) -> None:
        while self.held or self.waiting:
            self.run_loop()
            if self.held:
                self.release()
        assert self.semaphore.in_use == 0
        assert self.semaphore.waiting == 0
        self.loop.close()

    def step(self) -> None:
        """Let the tasks that are ready run once."""
        self.loop.run_until_complete(asyncio.sleep(0))

    def run_loop(self) -> None:
        for _ in range(4):
            self.step()

    async def worker(self, number: int) -> None:
        await self.semaphore.acquire()
        self.last_served = max(self.last_served, number)
        self.held.append(number)

    @rule(let_run=st.booleans())
    def come(self, let_run: bool) -> None:
        self.count += 1
        number = self.count
        task = self.waiting[number] = self.loop.create_task(self.worker(number))
        task.add_done_callback(lambda _: self.waiting.pop(number))
        if let_run:
            self.step()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), let_run=st.booleans())
    def cancel(self, data: st.DataObject, let_run: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        self.waiting[number].cancel()
        if let_run:
            self.step()

    @precondition(lambda self: self.held)
    @rule()
    def release(self) -> None:
        self.held.pop()
        self.semaphore.release()

    @rule(limit=st.integers(1, 5))
    def resize(self, limit: int) -> None:
        self.limit = limit
        self.semaphore.resize(limit)

    @rule()
    def let_run(self) -> None:
        self.step()

    @precondition(lambda self: self.semaphore.in_use == 0)
    @rule()
    def release_too_much(self) -> None:
        with pytest.raises(RuntimeError, match="not acquired"):
            self.semaphore.release()

    @rule()
    def settle(self) -> None:
        """Once everybody ran, the permits out are those that somebody holds."""
        self.run_loop()
        assert self.semaphore.in_use == len(self.held)
        assert self.semaphore.waiting == len(self.waiting)
        if self.waiting:
            assert self.last_served < min(self.waiting), "nobody overtakes who came before"

    @invariant()
    def nobody_waits_for_a_free_permit(self) -> None:
        if self.semaphore.in_use < self.limit:
            assert self.semaphore.waiting == 0

    @invariant()
    def permits_stay_within_the_limit_or_only_fall(self) -> None:
        assert self.semaphore.in_use <= max(self.limit, self.before)
        self.before = self.semaphore.in_use
        assert self.semaphore.limit == self.limit


SemaphoreMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestSemaphore = SemaphoreMachine.TestCase


async def test_a_waiter_cancelled_after_it_was_granted_passes_the_permit_on() -> None:
    semaphore = AdaptiveSemaphore(1)
    await semaphore.acquire()
    first, second = (asyncio.create_task(semaphore.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    semaphore.release()
    first.cancel()
    await asyncio.wait([first, second], timeout=5)
    assert first.cancelled()
    assert second.done()
    assert not second.cancelled()
    assert semaphore.in_use == 1


async def test_a_waiter_cancelled_before_a_grant_passed_it_over_is_just_cancelled() -> None:
    semaphore = AdaptiveSemaphore(1)
    await semaphore.acquire()
    first, second = (asyncio.create_task(semaphore.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    semaphore.release()
    await asyncio.wait([first, second], timeout=5)
    assert first.cancelled()
    assert second.exception() is None
    assert semaphore.in_use == 1


async def test_a_waiter_cancelled_while_it_waits_is_forgotten() -> None:
    semaphore = AdaptiveSemaphore(1)
    await semaphore.acquire()
    waiter = asyncio.create_task(semaphore.acquire())
    await asyncio.sleep(0)
    assert semaphore.waiting == 1
    waiter.cancel()
    await asyncio.wait([waiter], timeout=5)
    assert semaphore.waiting == 0
    semaphore.release()
    assert semaphore.in_use == 0


async def test_a_lowered_limit_takes_no_permit_back_and_grants_none() -> None:
    semaphore = AdaptiveSemaphore(3)
    for _ in range(3):
        await semaphore.acquire()
    semaphore.resize(1)
    waiter = asyncio.create_task(semaphore.acquire())
    await asyncio.sleep(0)
    assert semaphore.in_use == 3
    semaphore.release()
    semaphore.release()
    await asyncio.sleep(0)
    assert semaphore.in_use == 1
    assert not waiter.done()
    semaphore.release()
    await waiter
    assert semaphore.in_use == 1


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_at_least_one(limit: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        AdaptiveSemaphore(limit)
    semaphore = AdaptiveSemaphore(1)
    with pytest.raises(ValueError, match="at least 1"):
        semaphore.resize(limit)
    assert semaphore.limit == 1


async def test_a_permit_comes_back_when_its_block_fails() -> None:
    semaphore = AdaptiveSemaphore(1)

    async def fail() -> None:
        async with semaphore.permit():
            assert semaphore.in_use == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert semaphore.in_use == 0


async def test_each_route_has_its_own_gate() -> None:
    governor = Governor({"users": 2, MAIN: 1})
    users, main = governor.route("users"), governor.route(MAIN)
    assert users is governor.route("users")
    assert (users.route, users.limit, main.limit) == ("users", 2, 1)
    async with users.request():
        assert (users.in_flight, main.in_flight) == (1, 0)
    users.resize(5)
    assert (users.limit, main.limit, users.in_flight) == (5, 1, 0)
    with pytest.raises(KeyError):
        governor.route("nowhere")
