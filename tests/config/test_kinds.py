"""What values each kind of key takes, and what it says of the others."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.config import EMAIL, Bool, Choice, Choices, Duration, Int, Kind, Number, Refused, Size
from syncd.config.keys import FrozenMap, Key, described_kind, quoted, toml_text
from syncd.config.kinds import Text, duration_text, size_text
from syncd.config.places import CredentialSpec, HttpsUrl, StoreUrl, is_loopback, parse_credential
from syncd.timing import parse_duration

INTERVAL = Duration("50ms", "7d")
SIZE = Size("64KiB", "1GiB")
LETTERS = Choices(("a", "b", "c"))


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (Bool(), True, True),
        (Int(1, 9), 9, 9),
        (Number(0, 100), 20, 20.0),
        (Number(0, 100), 0.5, 0.5),
        (INTERVAL, "1h30m", 5400.0),
        (INTERVAL, "50ms", 0.05),
        (INTERVAL, "7d", 604_800.0),
        (SIZE, "64MiB", 67_108_864),
        (SIZE, "65536B", 65_536),
        (SIZE, 65_536, 65_536),
        (Choice(("a", "b")), "b", "b"),
        (LETTERS, ["c", "a"], ("a", "c")),
        (Text(), "Zoë", "Zoë"),
        (EMAIL, "a@b.c", "a@b.c"),
        (HttpsUrl(), "https://admin.googleapis.com/", "https://admin.googleapis.com"),
        (HttpsUrl(), "https://host.example:8443/scim/v2", "https://host.example:8443/scim/v2"),
        (HttpsUrl(), "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (HttpsUrl(), "http://127.200.3.4", "http://127.200.3.4"),
        (HttpsUrl(), "http://[::1]:8080/", "http://[::1]:8080"),
        (HttpsUrl(), "http://localhost", "http://localhost"),
        (HttpsUrl(), "HTTP://LOCALHOST", "HTTP://LOCALHOST"),
        (StoreUrl(), "sqlite:///var/x.db", "sqlite:///var/x.db"),
        (StoreUrl(), "sqlite:////var/x.db", "sqlite:///var/x.db"),
        (StoreUrl(), "sqlite:/var/x.db", "sqlite:///var/x.db"),
        (StoreUrl(), "sqlite:data/x.db", "sqlite:data/x.db"),
        (CredentialSpec(), "credential:acme.json", "credential:acme.json"),
        (CredentialSpec(), "file:/run/secrets/acme", "file:/run/secrets/acme"),
        (CredentialSpec(), "env:ACME_KEY", "env:ACME_KEY"),
    ],
)
def test_a_value_that_fits_is_read_and_written_back(
    kind: Kind[Any], value: object, read: object
) -> None:
    assert kind.read(value) == read
    assert type(kind.read(value)) is type(read)
    assert kind.read(kind.show(kind.read(value))) == read


@pytest.mark.parametrize(
    ("kind", "value", "found", "hint"),
    [
        (Bool(), "true", '"true"', "write it without quotes"),
        (Bool(), 1, "1", ""),
        (Int(1, 9), True, "true", ""),
        (Int(1, 9), 3.0, "3.0", "write it without a fraction"),
        (Int(1, 9), "3", '"3"', "write it without quotes and unit"),
        (Int(1, 9), "three", '"three"', ""),
        (Int(1, 9), 10, "10", ""),
        (Int(1, 9), 1 << 9_000, "a very large integer", ""),
        (Int(1, 9), [], "a list", ""),
        (Number(0, 100), True, "true", ""),
        (Number(0, 100), "20%", '"20%"', "write it without quotes and unit"),
        (Number(0, 100), math.nan, "nan", ""),
        (Number(0, 100), math.inf, "inf", ""),
        (Number(0, 100), 100.5, "100.5", ""),
        (Number(0, 100), 1 << 9_000, "a very large integer", ""),
        (INTERVAL, 15, "15", 'write a text with a unit, such as "50ms"'),
        (INTERVAL, False, "false", ""),
        (INTERVAL, "15", '"15"', 'such as "15s"'),
        (INTERVAL, "15 minutes", '"15 minutes"', 'such as "15m"'),
        (Number(0, 100), "many", '"many"', ""),
        (INTERVAL, "soon", '"soon"', ""),
        (INTERVAL, "8d", '"8d"', ""),
        (INTERVAL, "9" * 400 + "d", f'"{"9" * 57}..."', ""),
        (SIZE, "64MB", '"64MB"', 'such as "1GiB"'),
        (SIZE, True, "true", 'such as "1GiB"'),
        (SIZE, "1KiB", '"1KiB"', ""),
        (SIZE, 2 << 40, "2199023255552", ""),
        (Choice(("info", "error")), "Info", '"Info"', 'did you mean "info"?'),
        (Choice(("info", "error")), "xyz", '"xyz"', ""),
        (Choice(("info", "error")), {}, "a table", ""),
        (LETTERS, "a", '"a"', 'write it as a list: ["a"]'),
        (LETTERS, 1, "1", ""),
        (LETTERS, [], "an empty list", ""),
        (LETTERS, ["a", "b", "a"], '"a" twice', "each at most once"),
        (LETTERS, ["d"], '"d"', ""),
        (LETTERS, [["a"]], "a list", ""),
        (Text(), 5, "5", ""),
        (Text(), "", '""', ""),
        (Text(), "a\nb", '"a\\u000ab"', "it holds an invisible or control character"),
        (Text(), "x" * 1001, "a text of 1001 characters", "at most 1000"),
        (EMAIL, "a@b", '"a@b"', ""),
        (EMAIL, "a@b.c\n", '"a@b.c\\u000a"', "it holds an invisible or control character"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    kind: Kind[Any], value: object, found: str, hint: str
) -> None:
    with pytest.raises(Refused) as caught:
        kind.read(value)
    assert (caught.value.found, caught.value.hint) == (found, hint)
    assert kind.allowed


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://admin.googleapis.com", "use https"),
        ("http://127.0.0.1.evil.example", "use https"),
        ("http://128.0.0.1", "use https"),
        ("http://0.0.0.0", "use https"),
        ("http://[::]", "use https"),
        ("http://[::ffff:127.0.0.1]", "use https"),
        ("http://[::1%25eth0]", "use https"),
        ("http://127.1", "use https"),
        ("http://localhost.evil.example", "use https"),
        ("https://user:hunter2@host", "remove what is before the @"),
        ("http://localhost@evil.example", "remove what is before the @"),
        ("https://host/?a=1", "remove what is from the ? or # on"),
        ("https://host/?", "remove what is from the ? or # on"),
        ("https://host#", "remove what is from the ? or # on"),
        ("https://", "it names no host"),
        ("https:///path", "it names no host"),
        ("https://:443", "it names no host"),
        ("https://host:0", "port 0 cannot be connected to"),
        ("https://host:99999", "its host or port is malformed"),
        ("https://host:x", "its host or port is malformed"),
        ("https://[::1", "its host or port is malformed"),
        ("https://ho st", "it holds a character that no URL has"),
        ("https://host\n.evil.example", "it holds a character that no URL has"),
        ("https://host\\@evil.example", "it holds a character that no URL has"),
        ("https://höst", "it holds a character that no URL has"),
        ("https://" + "a" * 3000, "it holds a character that no URL has"),
        ("ftp://host", ""),
        ("host.example", "such as https://admin.googleapis.com"),
        ("", "such as https://admin.googleapis.com"),
        (5, ""),
    ],
)
def test_a_url_that_credentials_must_not_be_sent_to_is_refused(url: object, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        HttpsUrl().read(url)
    assert caught.value.hint.startswith(hint)
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_a_url_is_read_or_refused(text: str) -> None:
    for candidate in (text, f"https://{text}", f"http://{text}"):
        try:
            url = HttpsUrl().read(candidate)
        except Refused:
            continue
        assert HttpsUrl().read(url) == url


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("/var/lib/x.db", "such as sqlite:///var/lib/x.db"),
        ("C/x:y", "such as sqlite:///var/lib/syncd/syncd.db"),
        ("x.db", "such as sqlite:///var/lib/syncd/syncd.db"),
        ("postgresql://u:hunter2@host/db", "SQLite is the only database so far"),
        ("sqlite3:///x.db", 'did you mean "sqlite"?'),
        ("sqlite://host/x.db", "three slashes come before an absolute path"),
        ("sqlite::memory:", "the database has to outlive the process"),
        ("sqlite:~/x.db", "write the whole path: ~ is not expanded"),
        ("sqlite:", "it names no file"),
        ("sqlite:///", "it names no file"),
        ("sqlite:///var/", "it names no file"),
        ("sqlite:///x.db?mode=ro", "options after ? or # are not supported"),
        ("sqlite:///x\n.db", "the path is too long or has a control character"),
        ("sqlite:///" + "x" * 5000, "the path is too long or has a control character"),
        (5, ""),
    ],
)
def test_a_database_that_cannot_be_is_refused(url: object, hint: str) -> None:
    with pytest.raises(Refused) as caught:
        StoreUrl().read(url)
    assert caught.value.hint == hint
    assert "hunter2" not in str(caught.value)


def test_a_credential_spec_is_taken_apart() -> None:
    assert parse_credential("credential:acme.json") == ("credential", "acme.json")
    assert parse_credential("file:/a:b") == ("file", "/a:b")
    assert parse_credential("env:KEY") == ("env", "KEY")
    for spec in ("credential:../x", "credential:", "credential:.x", "file:x", "env:1", "env:A\n"):
        with pytest.raises(Refused, match="with a name that does not fit"):
            parse_credential(spec)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.255.255", "::1"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@given(st.floats(min_value=0.001, max_value=1e9))
def test_a_duration_is_written_so_that_it_reads_back_the_same(seconds: float) -> None:
    assert parse_duration(duration_text(seconds)) == seconds


@given(st.integers(min_value=64 * 1024, max_value=1 << 30))
def test_a_size_is_written_so_that_it_reads_back_the_same(size: int) -> None:
    assert SIZE.read(size_text(size)) == size


def test_a_declaration_with_a_wrong_bound_is_found_out() -> None:
    with pytest.raises(ValueError, match="not a size"):
        Size("64k", "1GiB").read(70_000)


def test_a_kind_of_its_own_has_to_say_what_it_takes() -> None:
    kind: Kind[str] = Kind()
    with pytest.raises(NotImplementedError):
        kind.read("x")
    with pytest.raises(NotImplementedError):
        print(kind.allowed)  # noqa: T201  only to read it
    assert kind.show("x") == "x"


def test_a_frozen_map_is_a_value() -> None:
    some = FrozenMap({"a": 1})
    assert some == FrozenMap({"a": 1}) == {"a": 1}
    assert some != FrozenMap()
    assert len(some) == 1
    assert repr(some) == "FrozenMap({'a': 1})"
    assert not hasattr(some, "__setitem__")


def test_a_key_without_default_has_none() -> None:
    assert Key("x", Bool(), "").default_value() is None
    assert Key("x", Bool(), "", default=False).default_value() is False


def test_texts_are_quoted_short_and_visible() -> None:
    assert quoted("a\u202eb") == '"a\\u202eb"'
    assert len(quoted("x" * 1000)) == 62
    assert toml_text(["a", 1, True]) == '["a", 1, true]'
    assert described_kind([1]) == "a list"
    assert described_kind([{}]) == "an array of tables"
