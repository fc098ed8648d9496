from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from syncd.cli import output
from syncd.cli.output import json_text
from tests.cli.seed import HOSTILE, Seed

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_JSON)
def test_json_is_one_harmless_line_of_valid_utf8(value: Any) -> None:
    text = json_text(value)
    assert "\n" not in text
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text)
    assert not set(text) & set("\u202e\u2066\u200b\ufeff\u2028\U000e0041")
    assert json.loads(text.encode("utf-8")) == value


def test_json_keeps_the_letters_of_all_languages_readable() -> None:
    assert json_text(["Müller", "日程助手", "😀"]) == '["Müller","日程助手","😀"]'


def test_json_has_a_replacement_for_half_a_character() -> None:
    assert json_text("a\ud800b") == '"a\\ufffdb"'
    assert json.loads(json_text("\U000e0041")) == "\U000e0041"


def test_hostile_text_survives_json_unchanged() -> None:
    assert json.loads(json_text(HOSTILE)) == HOSTILE


class _Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, _: str) -> int:
        raise BrokenPipeError

    flush = write  # type: ignore[assignment]


def test_a_closed_output_is_told_apart_from_other_broken_pipes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", _Closed())
    monkeypatch.setattr(sys, "stderr", _Closed())
    with pytest.raises(output.OutputClosed):
        output.write("x")
    output.say("nobody hears it")
    output.note("nor this")
    output.abandon()


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _told(monkeypatch: pytest.MonkeyPatch, text: str, stream: io.StringIO, columns: int) -> str:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    output.note(text)
    noted = stream.getvalue()
    output.say(text)
    assert stream.getvalue() == noted * 2
    return noted


def test_lines_are_wrapped_at_words_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "  one two, see `syncd sync x` there\nshort"
    assert _told(monkeypatch, text, _Terminal(), 20) == (
        "  one two, see\n    `syncd sync x`\n    there\nshort\n"
    )
    assert _told(monkeypatch, text, io.StringIO(), 20) == text + "\n"
    long = "a " + "b" * 40
    assert _told(monkeypatch, long, _Terminal(), 20) == "a\n" + "b" * 40 + "\n"
    coloured = "\x1b[31m" + "c" * 18 + "\x1b[0m"
    assert _told(monkeypatch, coloured, _Terminal(), 20) == coloured + "\n"


def test_a_json_document_is_never_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys, "stdout", stream := _Terminal())
    document = json_text({"a": "one two three four five six"})
    output.say(document)
    assert stream.getvalue() == document + "\n"


@given(st.text(st.sampled_from("ab `\n日"), max_size=80), st.integers(20, 60))
def test_wrapping_loses_nothing_but_spaces(text: str, columns: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        found = output.wrapped(text, _Terminal())
    assert "".join(found.split()) == "".join(text.split())
    for line in found.split("\n"):
        if "`" not in line and " " in line.strip():
            assert cell_len(line) <= columns


def test_streams_without_a_terminal_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    assert not output.is_terminal(closed)
    assert not output.is_terminal(io.StringIO())


@pytest.mark.system
@pytest.mark.parametrize(
    "line",
    [
        "export users --format csv",
        "export users --format jsonl",
        "changes --limit 0",
        "apps --json",
    ],
)
def test_head_ends_a_command_quietly(tmp_path: Path, line: str) -> None:
    seed = Seed(tmp_path / "syncd.db")
    organization = seed.organization()
    run = seed.run(organization)
    seed.db.execute("BEGIN")
    for number in range(5000):
        key = seed.user(organization, f"u{number}", name="x" * 100)
        seed.change(run, 1, key, 1)
        seed.application(organization, f"a{number}", "x" * 100)
    seed.db.execute("COMMIT")
    seed.close()
    command = f"{sys.executable} -m syncd.cli.parser {line} --database {seed.path}"
    script = f"set -o pipefail; {command} | head -n 1; echo $?"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0"
