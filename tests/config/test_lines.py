"""The line finder agrees with the text, whatever stands in it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.config.lines import DEEPEST, KeyPath, find_lines, line_of


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", {}),
        ("# a = 1\n\na = 1", {("a",): 3}),
        ("a.b . c = 1", {("a",): 1, ("a", "b"): 1, ("a", "b", "c"): 1}),
        ("a.b = 1\na.c = 2", {("a",): 1, ("a", "b"): 1, ("a", "c"): 2}),
        ('"a.b"."c\\u0064" = 1', {("a.b",): 1, ("a.b", "cd"): 1}),
        ("'a\\b' = 1", {("a\\b",): 1}),
        ('"\\t\\"\\\\" = 1', {('\t"\\',): 1}),
        ("\n[ a . 'b' ] # x\nc = 1", {("a",): 2, ("a", "b"): 2, ("a", "b", "c"): 3}),
        ('a = """\n[b]\nc = 1\n\\""" "" """\nd = 1', {("a",): 1, ("d",): 5}),
        ("a = '''\n[b]\n'' ''''\nd = 1", {("a",): 1, ("d",): 4}),
        ('a = """x"""""\nd = 1', {("a",): 1, ("d",): 2}),
        ('a = "x # \\" ]"\nd = 1', {("a",): 1, ("d",): 2}),
        ("a = '\\' # '\nd = 1", {("a",): 1, ("d",): 2}),
        ("a = 1979-05-27 07:32:00\nb = -1.5e3 # x", {("a",): 1, ("b",): 2}),
        (
            "a = [ # ]\n'],',\n{ b = 1 },\n]\nd = 1",
            {
                ("a",): 1,
                ("a", 0): 2,
                ("a", 1): 3,
                ("a", 1, "b"): 3,
                ("d",): 5,
            },
        ),
        (
            "a = [[1], [2,\n3]]",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, 0): 1,
                ("a", 1): 1,
                ("a", 1, 0): 1,
                ("a", 1, 1): 2,
            },
        ),
        (
            "a = { b.c = 1, d = [] }",
            {
                ("a",): 1,
                ("a", "b"): 1,
                ("a", "b", "c"): 1,
                ("a", "d"): 1,
            },
        ),
        (
            "[[a]]\nb = 1\n[a.c]\nd = 1\n[[a]]\nb = 2\n[[a.e]]\nf = 1",
            {
                ("a",): 1,
                ("a", 0): 1,
                ("a", 0, "b"): 2,
                ("a", 0, "c"): 3,
                ("a", 0, "c", "d"): 4,
                ("a", 1): 5,
                ("a", 1, "b"): 6,
                ("a", 1, "e"): 7,
                ("a", 1, "e", 0): 7,
                ("a", 1, "e", 0, "f"): 8,
            },
        ),
        ("a = 1\r\n\r\nb = 2", {("a",): 1, ("b",): 3}),
    ],
)
def test_keys_are_found_where_they_stand(text: str, lines: dict[KeyPath, int]) -> None:
    assert find_lines(text) == lines
    assert set(lines) == set(paths_of(tomllib.loads(text)))


def test_something_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    lines = find_lines("\n[[a]]\nb = 1")
    assert line_of(lines, ("a", 0, "b")) == 3
    assert line_of(lines, ("a", 0, "missing", "c")) == 2
    assert line_of(lines, ("x",)) is None
    assert line_of(lines, ()) is None


def test_very_deep_keys_have_the_line_of_their_beginning() -> None:
    deep = ".".join("a" * 90)
    for text in (f"\n{deep} = 1", f"\n[{deep}]\nb = 1", f"\na = {'[' * 50}1{']' * 50}"):
        lines = find_lines(text)
        assert len(lines) <= DEEPEST
        assert line_of(lines, ("a",) * 20) == 2


def paths_of(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Every path of a parsed document, as deep as the finder goes."""
    if path and len(path) <= DEEPEST:
        yield path
    if isinstance(value, dict):
        items: Iterable[tuple[str | int, Any]] = value.items()
    else:
        items = enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from paths_of(inner, (*path, name))


TOKENS = st.sampled_from(
    [
        *("a", "b", "c", "a.b", '"a b"', "'c'", "1", "true", '"x"', "'y'", '"""', "'''", "\\"),
        *(
            " = ",
            "= 1\n",
            " = [",
            "]",
            "[",
            "[[",
            "]]\n",
            "]\n",
            ",",
            "{",
            "}",
            "\n",
            "#",
            " ",
            ".",
        ),
        *('a = """\n', '"""\n', "b = '''", "'''\n", "[a]\n", "[[a]]\n", "[a.b]\n", "[[b.c]]\n"),
        *(
            "a = [ # [\n",
            "b = {a = 1}",
            "c = 'x'\n",
            "[[a.b]]",
            "[c.b]",
            "d = {",
            "e = 1",
            "e = [\n",
            "'",
            '"',
            "\\u0041",
            "1979-05-27 07:32:00",
            "-1.5",
        ),
    ]
)


def accepted(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True


@given(st.lists(st.lists(TOKENS, max_size=8).map("".join), max_size=12))
@example(['a = """"x"""\n', "[[b.c]]\n"])
def test_the_finder_sees_the_same_keys_as_the_parser(parts: list[str]) -> None:
    text = ""
    for part in parts:
        text = f"{text}{part}\n" if accepted(f"{text}{part}\n") else text
    assert set(find_lines(text)) == set(paths_of(tomllib.loads(text)))


NAMES = st.text("abcz019_-", min_size=1, max_size=6)
ENDS = st.sampled_from(["\n", " # [x]\n", "\t\n"])
NOISE = st.sampled_from(["", "# [no] = 'table'\n", "\n\n", "   # x = 1\n", '#"""\n'])
SCALARS = st.sampled_from(
    [
        *("1", "-0.5", "true", "1979-05-27T07:32:00Z", '"#[x]"', "'\"'", '"\\"#"', '""', "''"),
        *('"""\n[x]\ny = 1\n"""', "'''\n# z = 1\n[[w]]\n'''", '"""a\\\n  b"" """', "[]", "{}"),
        *("[ 1, # ]\n 2,\n\n]", "{ k = '}' }", '[\n"]",\n[3],\n]', "[{ k = ']' }, {}]"),
    ]
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A document written line by line, and where each of its keys was written."""
    text = ""
    truth: dict[KeyPath, int] = {}
    for name in draw(st.lists(NAMES, max_size=6)):
        text += draw(NOISE)
        # Names with a digit first are plain tables, which a document has only once.
        plain = name[0].isdigit()
        if plain and (name,) in truth:
            continue
        path: KeyPath = (name,)
        truth.setdefault(path, text.count("\n") + 1)
        if not plain:
            path = (name, sum(p[0] == name and isinstance(p[-1], int) for p in truth))
            truth[path] = text.count("\n") + 1
        text += (f"[ {name} ]" if plain else f'[["{name}"]]') + draw(ENDS)
        for key in draw(st.lists(NAMES, max_size=4, unique=True)):
            text += draw(NOISE)
            truth[(*path, key)] = text.count("\n") + 1
            text += f"{draw(st.sampled_from([key, repr(key)]))} = {draw(SCALARS)}\n"
    return text, truth


@given(documents())
def test_each_key_is_found_on_the_line_where_it_was_written(
    document: tuple[str, dict[KeyPath, int]],
) -> None:
    text, truth = document
    tomllib.loads(text)
    for ends in (text, text.replace("\n", "\r\n")):
        lines = find_lines(ends)
        assert {path: lines[path] for path in truth} == truth
