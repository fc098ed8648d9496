"""Hostile text is harmless on a terminal and in a spreadsheet."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.host.text import csv_safe, terminal_safe

ANY_TEXT = st.text(st.characters(exclude_categories=()))

FORBIDDEN = {
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
    *"\u200b\u200e\u200f\u061c\u2028\u2029\ufeff",
}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain text", "plain text"),
        ("Zoë Müller 日本 🎉", "Zoë Müller 日本 🎉"),
        ("", ""),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m\x7f\x00", "\\x9b31m\\x7f\\x00"),
        ("user\u202egpj.exe", "user\\u202egpj.exe"),
        ("a\u2066b\u2069c\u200ed\u200fe\u061cf", "a\\u2066b\\u2069c\\u200ed\\u200fe\\u061cf"),
        ("a\u2028b\u2029c\u0085d", "a\\u2028b\\u2029c\\x85d"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_a_terminal_would_act_on_is_escaped(text: str, safe: str) -> None:
    assert terminal_safe(text) == safe


@given(ANY_TEXT)
def test_nothing_that_moves_colours_hides_or_breaks_reaches_a_terminal(text: str) -> None:
    safe = terminal_safe(text)
    assert not FORBIDDEN & set(safe)
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & {unicodedata.category(char) for char in safe}
    assert safe.encode("utf-8").decode("utf-8") == safe
    assert terminal_safe(safe) == safe
    if not FORBIDDEN & set(text) and text.isprintable():
        assert safe == text


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("plain", "plain"),
        ("a=b", "a=b"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        ("  =1", "'  =1"),
        ("\u200b=1", "'=1"),
        ("\u202e\ufeff\x00=1", "'=1"),
        ("\u200d\u00a0=1", "'\u200d\u00a0=1"),
        (" \t=1", "' \t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a\u202eb\x1bc\u2028d", "abcd"),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),
        ("a\nb", "a\nb"),
        ("a\ud800b", "a\ufffdb"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        (2.5, "2.5"),
    ],
)
def test_a_csv_field_is_never_a_formula(value: str | float | None, field: str) -> None:
    assert csv_safe(value) == field


@given(ANY_TEXT, st.sampled_from("=+-@\t\r"), st.text("\u200b\u202e\ufeff\x00 \u00a0", max_size=4))
def test_whatever_hides_a_formula_it_is_quoted(text: str, start: str, hidden: str) -> None:
    field = csv_safe(f"{hidden}{start}{text}")
    assert field.startswith("'")
    assert field.encode("utf-8").decode("utf-8") == field
    assert not FORBIDDEN & set(field) - set("\t\r\n")
