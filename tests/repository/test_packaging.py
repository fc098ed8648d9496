"""What is locked, what is shipped, and what keeps the tools strict."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

import syncd

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = {name: (ROOT / "requirements" / f"{name}.txt").read_text() for name in ("run", "dev")}


def locked(name: str) -> dict[str, str]:
    """Package -> locked version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCKS[name], re.MULTILINE))


def wanted(requirements: list[str]) -> set[str]:
    """The packages that requirements name."""
    return {re.split(r"[\[>=<~!]", each)[0].lower() for each in requirements}


def test_the_locks_hold_every_dependency() -> None:
    run = wanted(PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"])
    dev = wanted(PROJECT["project"]["optional-dependencies"]["dev"])
    assert run <= locked("run").keys()
    assert run | dev <= locked("dev").keys()


def test_both_locks_agree() -> None:
    assert locked("run").items() <= locked("dev").items()


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes_and_no_place_is_named(name: str) -> None:
    entries = re.findall(r"^(?=\S)(?!#).*(?:\n .*)*", LOCKS[name], re.MULTILINE)
    assert len(entries) == len(locked(name))
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"://|file:|--(extra-)?index|--find-links| /", LOCKS[name])


def test_each_rule_that_is_switched_off_says_why() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lint = text[text.index("[tool.ruff.lint]") : text.index("[tool.ruff.lint.flake8-builtins]")]
    rules = re.findall(r"^    \"[A-Z]+\d*\",.*$", lint, re.MULTILINE)
    configured = PROJECT["tool"]["ruff"]["lint"]
    ignored = list(chain(configured["ignore"], *configured["per-file-ignores"].values()))
    assert len(rules) == len(ignored)
    assert [rule for rule in rules if not re.search(r"  # [\w\"]", rule)] == []


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("check_*.py")), ids=str)
def test_scripts_can_be_run(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.findall(r"^  make (\w+)", shown, re.MULTILINE) == [
        *("help", "demo", "test", "check", "lock", "clean")
    ]


@pytest.mark.slow
def test_a_wheel_has_all_that_the_program_reads(tmp_path: Path) -> None:
    source = tmp_path / "source"
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "syncd", source / "syncd", ignore=leave_out)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source], check=True
    )
    wheel = tmp_path / f"syncd-{syncd.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if name.startswith("syncd/")}
    files = (path for path in (source / "syncd").rglob("*") if path.is_file())
    assert shipped == {path.relative_to(source).as_posix() for path in files}
