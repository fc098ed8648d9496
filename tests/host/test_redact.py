"""What looks like a secret does not get into the log."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ExitCode
from syncd.host.redact import LONGEST_TEXT, is_secret_name, redact, redact_mapping, redact_text
from syncd.host.secrets import Secret

PEM = "-----BEGIN PRIVATE KEY-----\nMIIhunter2\nabc\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    "name",
    [
        *("authorization", "Authorization", "proxy-authorization", "token", "access_token"),
        *("refreshToken", "id-token", "secret", "client_secret", "secret_key", "password"),
        *("passwd", "assertion", "client_assertion", "private_key", "privateKey", "credentials"),
        *("credential", "api_key", "cookie", "jwt", "X-Api-Key"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert redact_mapping({name: "hunter2"}) == {name: "***"}
    assert redact({"a": [{name: {"b": "hunter2"}}]}) == {"a": [{name: "***"}]}


@pytest.mark.parametrize(
    "name", ["tokens", "token_count", "tokens_read", "users", "key", "path", "author", "token_uri"]
)
def test_names_that_are_none(name: str) -> None:
    assert not is_secret_name(name)


def test_a_very_long_name_is_looked_at_too() -> None:
    assert is_secret_name("x" * 1000 + "_token")
    assert not is_secret_name("x" * 1000)


def test_a_figure_is_no_secret_whatever_its_name() -> None:
    values = {"token": 5, "password": None, "secret": True, "cookie": 0.5}
    assert redact_mapping(values) == values


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Authorization: Bearer abc.hunter2", "Authorization: *** ***"),
        ("sent bearer hunter2==, got 401", "sent bearer ***, got 401"),
        ("Basic aHVudGVyMg==", "Basic ***"),
        ("token ya29.a0hunter2-_x was refused", "token *** was refused"),
        ("got 1//0ghunter2hunter2", "got ***"),
        ("jwt eyJhbGciOi.eyJodW50ZXIy.c2ln!", "jwt ***!"),
        (f"key {PEM} end", "key *** end"),
        (f"key {PEM[:50]}", "key ***"),
        (PEM.replace("PRIVATE", "RSA PRIVATE").replace("\n", "\\n"), "***"),
        ('{"private_key": "hunter2", "a": 1}', '{"private_key": ***, "a": 1}'),
        ("{'client_secret': 'hunter2 x', 'a': 1}", "{'client_secret': ***, 'a': 1}"),
        ('{\\"password\\": \\"hunter2\\"}', '{\\"password\\": ***}'),
        ("POST /token?assertion=hunter2&x=1", "POST /token?assertion=***&x=1"),
        ("password=hunter2; user=bob", "password=***; user=bob"),
        ("https://bob:hunter2@host/x", "https://***@host/x"),
        ("mail bob@host.example now", "mail bob@host.example now"),
        ("read 5 tokens of acme", "read 5 tokens of acme"),
        ("lone \ud800", "lone \\ud800"),
    ],
)
def test_texts_of_secrets(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted
    assert redact_text(redacted) == redacted


def test_long_texts_are_cut_off() -> None:
    text = redact_text("x" * 10_000_000)
    assert len(text) < LONGEST_TEXT + 50
    assert text.endswith("... (10000000 characters)")


class Colour(enum.StrEnum):
    RED = "red"


class Mute:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Silent(Exception):
    def __str__(self) -> str:
        return ""


@dataclass
class Login:
    user: str = "bob"
    key: Secret = field(default_factory=lambda: Secret("hunter2"))


def cyclic() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (1 << 80, "an integer of 81 bits"),
        (ExitCode.BRAKE, 75),
        (1.5, 1.5),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (Colour.RED, "red"),
        (b"a\xff", "a\\xff"),
        (bytearray(b"Bearer hunter2"), "Bearer ***"),
        ((1, "a"), [1, "a"]),
        ({5}, [5]),
        (Secret("x"), "***"),
        ({1: Secret("x"), None: b"y"}, {"1": "***", "None": "y"}),
        (ValueError("Bearer hunter2"), "ValueError: Bearer ***"),
        (Silent(), "Silent"),
        (Mute(), "<Mute without text>"),
        (Login(), "Login(user='bob', key=***)"),
        (cyclic(), [[[[[["..."]]]]]]),
        (list(range(101)), [*range(100), "... 101 in all"]),
        ({str(n): n for n in range(101)}, {str(n): n for n in range(100)} | {"...": "101 in all"}),
    ],
)
def test_values_become_plain(value: object, plain: object) -> None:
    assert redact(value) == plain
    assert msgspec.json.encode(redact(value))


KEYS = st.text(st.characters(exclude_categories=()), max_size=10) | st.integers() | st.binary()
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.complex_numbers(),
    st.builds(Secret, st.text()),
    st.datetimes(),
    st.builds(ValueError, st.text()),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@given(ANYTHING)
def test_anything_can_be_logged(value: object) -> None:
    assert msgspec.json.decode(msgspec.json.encode(redact(value))) == redact(value)


@given(st.text("abcXYZ019-_.~+/", min_size=8), ANYTHING)
def test_a_token_gets_out_in_no_shape(token: str, other: object) -> None:
    hidden = f"ya29.{token}"
    shapes = [hidden, hidden.encode(), ValueError(hidden), [{hidden: hidden}], {"token": hidden}]
    told = msgspec.json.encode(redact([*shapes, other, f"Bearer {token}="]))
    assert hidden.encode() not in told
