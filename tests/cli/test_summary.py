from __future__ import annotations

import json

from syncd.cli.output import json_text
from syncd.cli.summary import result_json, summary
from syncd.model import RunState
from syncd.sync.progress import EndpointResult
from tests.cli.runs import result
from tests.cli.seed import HOSTILE


def test_a_summary_tells_all_that_matters() -> None:
    assert summary(result()) == (
        "acme: run 12 partial in 42.1s, resumed: 2 collections unreadable\n"
        "                  read  added  changed  removed\n"
        "  users          5,000     12        3        0\n"
        "  tokens        25,310    100        0        5\n"
        "  applications       -      3        0        0\n"
        "  relations        900      0        0        1\n"
        "  tokens partial: 2 users answered 403\n"
        "  2 collections could not be read; what was known of them is kept and marked: "
        "`syncd export collections --format csv`\n"
        "  2 records could not be understood; what was known of them is kept\n"
        "  removals held, as they are unusually many: 340 tokens\n"
        "    if that is right: `syncd sync acme --allow-removals`\n"
        "  5,123 requests took 1m54s in all: effective speed-up 2.7x"
    )


def test_a_summary_of_nothing_is_short() -> None:
    nothing = result(
        state=RunState.SUCCEEDED, reason="", resumed=False, endpoints=(), counts={}, requests=0,
        unreadable=0, wall_seconds=0.0,
    )  # fmt: skip
    assert summary(nothing) == "acme: run 12 succeeded in 0ms"


def test_a_stopped_run_says_how_to_go_on() -> None:
    for state in (RunState.INTERRUPTED, RunState.ABORTED):
        assert "`syncd sync acme` goes on where this one stopped" in summary(result(state=state))
        assert "goes on" not in summary(result(state=state), dry=True)


def test_a_dry_run_says_that_nothing_was_written() -> None:
    text = summary(result(), dry=True)
    assert text.startswith("acme: dry run partial in")
    assert text.endswith("nothing was written to the database")


def test_one_is_not_many() -> None:
    text = summary(result(unreadable=1, requests=1, counts={"user": {"bad": 1}}))
    assert "1 collection could" in text
    assert "1 record could" in text
    assert "1 request took" in text


def test_users_whose_tokens_cannot_be_asked_for_are_told() -> None:
    assert (
        "  29 users are suspended or archived: their tokens cannot be asked for; "
        "what was known of them is kept\n"
    ) in summary(result(not_applicable=29))
    assert "  1 user is suspended or archived: its tokens" in summary(result(not_applicable=1))
    assert "suspended" not in summary(result())


def test_a_summary_is_harmless() -> None:
    endpoint = EndpointResult("users", RunState.FAILED, HOSTILE, 0, 0.0)
    text = summary(result(organization=HOSTILE, reason=HOSTILE, endpoints=(endpoint,)))
    assert all(line.isprintable() for line in text.split("\n"))


def test_the_json_form_is_complete() -> None:
    document = json.loads(json_text(result_json(result(reason=""), dry=True)))
    assert document["counts"]["token"]["held"] == 340
    assert document["endpoints"][1] == {
        "endpoint": "tokens", "state": "partial", "reason": "2 users answered 403",
        "unreadable": 2, "seconds": 30.0,
    }  # fmt: skip
    assert {name: document[name] for name in document if name not in {"counts", "endpoints"}} == {
        "organization": "acme", "run": 12, "state": "partial", "reason": None, "dry_run": True,
        "resumed": True, "unreadable": 2, "not_applicable": 0, "held_removals": 340,
        "requests": 5123, "request_seconds": 113.6, "wall_seconds": 42.13, "speed_up": 2.7,
        "exit_code": 3,
    }  # fmt: skip
