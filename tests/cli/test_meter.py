from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.cli.meter import WINDOW, EndpointView, Meter, RunMeter
from syncd.sync.progress import EndpointProgress
from tests.cli.runs import going_on


def test_nobody_knows_a_rate_at_the_start() -> None:
    meter = Meter()
    assert meter.rows_per_second is None
    meter.update(0.0, 5, 50)
    assert (meter.rows_per_second, meter.seconds_left(10)) == (None, None)


def test_rates_are_of_the_last_seconds() -> None:
    meter = Meter()
    for second in range(200):
        meter.update(float(second), second * 2, second * 20)
    assert meter.rows_per_second == pytest.approx(20)
    assert meter.seconds_left(398 + 10) == pytest.approx(5)
    for second in range(200, 300):
        meter.update(float(second), 398, 199 * 20)
    assert meter.rows_per_second == 0
    assert meter.seconds_left(400) is None


def test_what_was_done_before_a_resume_is_no_speed() -> None:
    meter = Meter()
    meter.update(0.0, 3000, 9000)
    meter.update(10.0, 3010, 9100)
    assert meter.rows_per_second == pytest.approx(10)


def test_a_listing_that_starts_again_is_measured_afresh() -> None:
    meter = Meter()
    meter.update(0.0, 0, 0)
    meter.update(10.0, 100, 1000)
    meter.update(11.0, 5, 1000)
    assert meter.rows_per_second is None
    meter.update(21.0, 15, 1100)
    assert meter.rows_per_second == pytest.approx(10)


def test_frequent_updates_cost_no_memory() -> None:
    meter = Meter()
    for step in range(100_000):
        meter.update(step * 0.01, step, step)
    assert len(meter._samples) <= 2 * WINDOW / 0.5 + 3  # noqa: SLF001
    assert meter.rows_per_second == pytest.approx(100, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50), st.integers(0, 50)), max_size=60))
def test_rates_are_never_negative(steps: list[tuple[float, int, int]]) -> None:
    meter = Meter()
    now = done = rows = 0.0
    for seconds, more_done, more_rows in steps:
        now, done, rows = now + seconds, done + more_done, rows + more_rows
        meter.update(now, int(done), int(rows))
        assert (meter.rows_per_second or 0) >= 0
        assert (meter.seconds_left(int(done) + 5) or 0) >= 0


def test_the_words_for_an_endpoint() -> None:
    progress = EndpointProgress(
        "tokens", state="running", phase="reading", done=1000, total=4000, unreadable=3,
        in_flight=2, limit=3,
    )  # fmt: skip
    view = EndpointView(progress, 123.4, 90.0)
    assert (view.count, view.share, view.speed) == ("1,000 of 4,000 so far", "25 %", "123 rows/s")
    assert (view.eta, view.parallel) == ("over 1m30s left", "2/3 parallel")
    assert (view.short_count, view.short_eta) == ("1,000/4,000+", "eta >1m30s")
    assert (view.unreadable, view.status) == ("3 unreadable", "reading")
    progress.total_final = True
    assert (view.count, view.eta) == ("1,000 of 4,000", "1m30s left")
    assert (view.short_count, view.short_eta) == ("1,000/4,000", "eta 1m30s")
    progress.state, progress.reason = "partial", "3 users answered 403"
    assert (view.speed, view.eta, view.parallel) == ("", "", "")
    assert view.status == "partial: 3 users answered 403"


def test_the_words_for_an_endpoint_that_knows_nothing_yet() -> None:
    view = EndpointView(EndpointProgress("users"), None, None)
    assert (view.count, view.share, view.speed, view.eta, view.parallel, view.unreadable) == (
        "", "", "", "", "", "",
    )  # fmt: skip
    assert view.status == "waiting"
    view.progress.done = 7
    assert (view.count, view.short_count) == ("7", "7")
    view.progress.total = 0
    assert (view.count, view.share) == ("7 of 0 so far", "")


def test_a_view_is_a_copy_that_the_engine_does_not_change() -> None:
    progress = going_on()
    meter = RunMeter(progress)
    view = meter.view(110.0)
    progress.endpoints["tokens"].done = 3999
    progress.waiting = ""
    assert view.endpoints[1].progress.done == 1000
    assert (view.progress.waiting, view.elapsed, view.title) == (
        "Retry-After", 10.0, "run 12, resumed",
    )  # fmt: skip
    assert meter.view(120.0).endpoints[1].left == pytest.approx(1 / 299.9, rel=0.01)


def test_what_was_left_running_is_shown_as_stopped() -> None:
    view = RunMeter(going_on()).view(110.0).left("stopped")
    assert view.outcome == "stopped"
    assert [each.progress.state for each in view.endpoints] == ["succeeded", "stopped", "waiting"]
    assert view.progress.waiting == ""


def test_a_run_has_finished_when_nothing_works_on_it() -> None:
    progress = going_on()
    assert not RunMeter(progress).view(0.0).finished
    for endpoint in progress.endpoints.values():
        endpoint.state = "failed"
    assert RunMeter(progress).view(0.0).finished
    progress.endpoints.clear()
    assert not RunMeter(progress).view(0.0).finished
