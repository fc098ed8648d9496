"""Each rule of scripts/check_layers.py, broken once and seen; and what must not be taken for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.check_layers import MAY_IMPORT, check, layer_of, main

Plant = Callable[[dict[str, str]], Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Writes a small tree: ``{"store/a.py": source}``, with the packages that it needs."""

    def write(sources: dict[str, str]) -> Path:
        for name, source in {"__init__.py": "", **sources}.items():
            path = tmp_path / "syncd" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(source, encoding="utf-8")
        return tmp_path

    return write


def found(root: Path) -> list[str]:
    return [str(problem) for problem in check(root)]


BROKEN: dict[str, tuple[dict[str, str], str]] = {
    "an upward import": (
        {"host/log.py": "import syncd.store.base\n", "store/base.py": ""},
        "syncd/host/log.py:1: host may not import store (syncd.store.base)",
    ),
    "an upward import of a package": (
        {"host/log.py": "from syncd import store\n", "store/base.py": ""},
        "syncd/host/log.py:1: host may not import store (syncd.store)",
    ),
    "an upward import by a relative name": (
        {"host/log.py": "from ..store import base\n", "store/base.py": ""},
        "syncd/host/log.py:1: host may not import store (syncd.store.base)",
    ),
    "an upward import by a package's face": (
        {"host/__init__.py": "from ..store.base import X\n", "store/base.py": ""},
        "syncd/host/__init__.py:1: host may not import store (syncd.store.base.X)",
    ),
    "an import of a layer beside": (
        {"store/base.py": "from syncd.governor.laws import law\n", "governor/laws.py": ""},
        "syncd/store/base.py:1: store may not import governor (syncd.governor.laws.law)",
    ),
    "a word that imports more than words": (
        {"timing.py": "from syncd.config import load\n", "config/load.py": ""},
        "syncd/timing.py:1: words may not import config (syncd.config.load)",
    ),
    "a demo that knows its client": (
        {"demo/server.py": "import syncd.providers.base\n", "providers/base.py": ""},
        "syncd/demo/server.py:1: demo may not import providers (syncd.providers.base)",
    ),
    "an import in a function": (
        {"config/load.py": "def f():\n    from syncd.cli import render\n", "cli/render.py": ""},
        "syncd/config/load.py:2: config may not import cli (syncd.cli.render)",
    ),
    "an import by importlib": (
        {
            "config/load.py": "from importlib import import_module as i\ni('syncd.cli.render')\n",
            "cli/render.py": "",
        },
        "syncd/config/load.py:2: config may not import cli (syncd.cli.render)",
    ),
    "an import for type checkers": (
        {
            "config/load.py": "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from syncd.cli import render\n",
            "cli/render.py": "",
        },
        "syncd/config/load.py:3: config may not import cli (syncd.cli.render)",
    ),
    "a package that is in no layer": (
        {"extra/__init__.py": ""},
        "syncd/extra/__init__.py:1: extra is in no layer: add it to MAY_IMPORT",
    ),
    "a private name of another package": (
        {"store/base.py": "from syncd.timing import _UNIT\n", "timing.py": "_UNIT = 1\n"},
        "syncd/store/base.py:1: syncd.timing._UNIT is private to another package",
    ),
    "a private module of another package": (
        {"store/base.py": "import syncd.host._log\n", "host/_log.py": ""},
        "syncd/store/base.py:1: syncd.host._log is private to another package",
    ),
    "a private module of a library": (
        {"store/base.py": "from msgspec._core import X\n"},
        "syncd/store/base.py:1: msgspec._core.X is private to another package",
    ),
    "httpx2 outside the client": (
        {"upstream/auth.py": "import httpx2 as httpx\n"},
        "syncd/upstream/auth.py:1: httpx2 may be imported only in syncd.upstream.client",
    ),
    "httpx for httpx2": (
        {"providers/scim.py": "import httpx\n"},
        "syncd/providers/scim.py:1: httpx may be imported only in syncd.upstream.client",
    ),
    "rich outside the commands": (
        {"host/log.py": "from rich.console import Console\n"},
        "syncd/host/log.py:1: rich may be imported only in syncd.cli",
    ),
    "argparse outside the commands": (
        {"daemon/daemon.py": "import argparse\n"},
        "syncd/daemon/daemon.py:1: argparse may be imported only in syncd.cli",
    ),
    "sqlite3 outside the store": (
        {"sync/ledger.py": "from sqlite3 import connect\n"},
        "syncd/sync/ledger.py:1: sqlite3 may be imported only in syncd.store",
    ),
    "subprocess": (
        {"demo/server.py": "import subprocess\n"},
        "syncd/demo/server.py:1: subprocess may be imported nowhere",
    ),
    "pickle": (
        {"store/base.py": "def f():\n    import pickle\n"},
        "syncd/store/base.py:2: pickle may be imported nowhere",
    ),
    "os.system": (
        {"host/x.py": "import os as o\n\no.system('true')\n"},
        "syncd/host/x.py:3: os.system is forbidden",
    ),
    "os.system by its own name": (
        {"host/x.py": "from os import system\n"},
        "syncd/host/x.py:1: os.system is forbidden",
    ),
    "eval": ({"host/x.py": "eval('1')\n"}, "syncd/host/x.py:1: eval is forbidden"),
    "exec": ({"host/x.py": "run = exec\n"}, "syncd/host/x.py:1: exec is forbidden"),
    "a subprocess by asyncio": (
        {"host/x.py": "import asyncio\n\nx = asyncio.create_subprocess_exec\n"},
        "syncd/host/x.py:3: asyncio.create_subprocess_exec is forbidden",
    ),
    "a proof outside the ledger": (
        {"sync/worker.py": "from syncd.model import Gone\n\nx = Gone(1)\n", "model.py": ""},
        "syncd/sync/worker.py:3: Gone may be built in syncd.sync.ledger only",
    ),
    "a proof under another name": (
        {"store/a.py": "from syncd.model import Gone as G\n\nx = G(1)\n", "model.py": ""},
        "syncd/store/a.py:3: Gone may be built in syncd.sync.ledger only",
    ),
    "a proof by its module": (
        {"cli/a.py": "from syncd import model\n\nx = model.CompleteListing(1)\n", "model.py": ""},
        "syncd/cli/a.py:3: CompleteListing may be built in syncd.sync.ledger only",
    ),
    "a long module": (
        {"store/base.py": "x = 1\n" * 401},
        "syncd/store/base.py:401: module of 401 lines; 400 at most",
    ),
    "a long function": (
        {"store/base.py": "\n\nasync def f():\n" + "    x = 1\n" * 80},
        "syncd/store/base.py:3: f has 81 lines; 80 at most",
    ),
    "a file that is no Python": (
        {"store/base.py": "x = 1\ndef f(:\n"},
        "syncd/store/base.py:2: no Python: invalid syntax",
    ),
}


@pytest.mark.parametrize(("sources", "problem"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_rule_is_seen_once(plant: Plant, sources: dict[str, str], problem: str) -> None:
    assert found(plant(sources)) == [problem]


@pytest.mark.parametrize(
    "handler",
    [
        "except:",
        "except Exception:",
        "except BaseException as error:",
        "except (ValueError, Exception):",
        "except (\n    ValueError,\n    Exception,\n):",
        "except* Exception:",
        "except Exception:  # noqa: BLE001",
        "except Exception:  # type: ignore[misc]",
        "except Exception:  # pragma: no cover",
        "except Exception:\n    # too late",
    ],
)
def test_a_broad_handler_needs_its_reason(plant: Plant, handler: str) -> None:
    source = f"try:\n    x = 1  # says nothing of the next line\n{handler}\n    x = 2\n"
    assert found(plant({"store/a.py": source})) == [
        "syncd/store/a.py:3: every error is caught here, and no comment beside it says why"
    ]


def test_a_broad_suppression_needs_its_reason(plant: Plant) -> None:
    source = "import contextlib\n\nwith contextlib.suppress(KeyError, Exception):\n    x = 1\n"
    assert found(plant({"store/a.py": source})) == [
        "syncd/store/a.py:3: every error is caught here, and no comment beside it says why"
    ]


@pytest.mark.parametrize(
    "handler",
    [
        "except ValueError:",
        "except Exception:  # one bad plug-in must not end the rest",
        "except Exception:  # noqa: BLE001 - one bad plug-in must not end the rest",
        "# One bad plug-in must not end the rest.\nexcept Exception:",
        "except (\n    ValueError,\n    Exception,  # whatever a plug-in raises\n):",
    ],
)
def test_a_handler_that_is_narrow_or_has_its_reason_passes(plant: Plant, handler: str) -> None:
    source = f"try:\n    x = 1\n{handler}\n    x = 2\n"
    assert found(plant({"store/a.py": source})) == []


def test_an_import_cycle_is_reported_once_with_its_way(plant: Plant) -> None:
    root = plant(
        {
            "store/a.py": "\nimport syncd.store.b\n",
            "store/b.py": "def f():\n    from syncd.store import c\n",
            "store/c.py": "from syncd.store.a import x\n",
        }
    )
    way = "syncd.store.a -> syncd.store.b -> syncd.store.c -> syncd.store.a"
    assert found(root) == [f"syncd/store/a.py:2: import cycle: {way}"]


def test_a_module_that_imports_its_packages_face_is_a_cycle(plant: Plant) -> None:
    root = plant(
        {
            "store/__init__.py": "from syncd.store.a import x\n",
            "store/a.py": "from syncd.store import y\n",
        }
    )
    assert found(root) == [
        "syncd/store/__init__.py:1: import cycle: syncd.store -> syncd.store.a -> syncd.store"
    ]


def test_an_import_for_type_checkers_makes_no_cycle(plant: Plant) -> None:
    root = plant(
        {
            "store/a.py": "import syncd.store.b\n",
            "store/b.py": "import typing\nif typing.TYPE_CHECKING:\n    import syncd.store.a\n",
        }
    )
    assert found(root) == []


def test_what_runs_beside_type_checking_makes_a_cycle(plant: Plant) -> None:
    late = "import typing\nif typing.TYPE_CHECKING:\n    pass\nelse:\n    import syncd.store.a\n"
    root = plant({"store/a.py": "import syncd.store.b\n", "store/b.py": late})
    assert len(found(root)) == 1


def test_what_keeps_the_rules_passes(plant: Plant) -> None:
    root = plant(
        {
            "__init__.py": "__version__ = '1'\n",
            "__main__.py": "from syncd.cli.parser import entry\n",
            "model.py": "class Gone: ...\n",
            "errors.py": "from __future__ import annotations\nfrom syncd.model import _inside\n",
            "cli/parser.py": "import argparse\nimport rich.table\nfrom syncd import __version__\n"
            "from syncd.demo import server\n",
            "cli/__init__.py": "",
            "demo/server.py": "from syncd.timing import Clock\nfrom _typeshed import X\n",
            "timing.py": "class Clock: ...\n",
            "host/log.py": "import structlog\n",
            "upstream/client.py": "import httpx2 as httpx\n",
            "store/__init__.py": "from syncd.store.sqlite import Store\n",
            "store/base.py": "class Base:\n    def system(self): ...\n",
            "store/sqlite.py": "import sqlite3\nfrom syncd.store.base import _help\n"
            "class Store: ...\nStore().execute('x')\n",
            "sync/ledger.py": "from syncd.model import Gone\nimport syncd.store\nx = Gone(1)\n",
            "sync/worker.py": "from syncd.model import Gone\n"
            "def f(x):\n    match x:\n        case Gone(keys=k): return k\n",
            "daemon/daemon.py": "from syncd.sync import ledger\nfrom syncd.store import Store\n",
        }
    )
    assert found(root) == []


def test_layers_go_one_way() -> None:
    for layer, below in MAY_IMPORT.items():
        for other in below:
            assert layer not in MAY_IMPORT[other]


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        ("syncd", "words"),
        ("syncd.errors", "words"),
        ("syncd.__main__", "cli"),
        ("syncd.store", "store"),
        ("syncd.store.sqlite", "store"),
    ],
)
def test_layer_of(module: str, layer: str) -> None:
    assert layer_of(module) == layer


def test_main_prints_each_problem_and_fails(
    plant: Plant, capsys: pytest.CaptureFixture[str]
) -> None:
    root = plant({"store/a.py": "import pickle\nimport rich\n"})
    assert main([str(root)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "syncd/store/a.py:1: pickle may be imported nowhere",
        "syncd/store/a.py:2: rich may be imported only in syncd.cli",
    ]


def test_main_is_silent_when_all_is_well(plant: Plant, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(plant({"store/a.py": ""}))]) == 0
    assert capsys.readouterr().out == ""


def test_main_refuses_a_folder_without_the_package(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1


def test_it_runs_as_a_program(plant: Plant) -> None:
    script = Path(__file__).parents[2] / "scripts" / "check_layers.py"
    root = plant({"store/a.py": "import pickle\n"})
    done = subprocess.run(
        [sys.executable, script, root], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == "syncd/store/a.py:1: pickle may be imported nowhere\n"
