#!/usr/bin/env python3
"""Check the rules of the code that no linter knows: who may import whom, and who may do what.

Reads ``syncd/`` without running it and prints each problem as ``file:line: what``. The rules are
the tables below; ``make check`` runs them all.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PACKAGE = "syncd"

WORDS = ("errors", "model", "timing")
"""Top-level modules that every layer may import; together they are the layer ``words``."""

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "words": (),
    "config": ("words",),
    "host": ("words", "config"),
    "governor": ("words", "config", "host"),
    "upstream": ("words", "config", "host", "governor"),
    "providers": ("words", "config", "host", "governor", "upstream"),
    "store": ("words", "config", "host"),
    "sync": ("words", "config", "host", "governor", "upstream", "providers", "store"),
    "daemon": ("words", "config", "host", "governor", "upstream", "providers", "store", "sync"),
    # A server that stands for somebody else's: it knows nothing of who asks it.
    "demo": ("words", "config", "host"),
}
"""Which other layers the modules of a layer may import."""
MAY_IMPORT["cli"] = tuple(MAY_IMPORT)

HOME_OF: dict[str, str | None] = {
    "argparse": "syncd.cli",
    "httpx": "syncd.upstream.client",
    "httpx2": "syncd.upstream.client",
    "rich": "syncd.cli",
    "sqlite3": "syncd.store",
    "pickle": None,
    "subprocess": None,
}
"""The only module or package that may import a library; None: nobody."""

FORBIDDEN = frozenset(
    """eval exec builtins.eval builtins.exec os.system os.popen
    asyncio.create_subprocess_exec asyncio.create_subprocess_shell""".split()
)
"""What is not even named in the code."""

PROOFS = frozenset({"CompleteListing", "Gone"})
"""Types whose values prove that rows are gone."""

LEDGER = "syncd.sync.ledger"
"""The only module that builds a proof."""

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 80

BROAD = frozenset({"Exception", "BaseException", "builtins.Exception", "builtins.BaseException"})

_DIRECTIVE = re.compile(r"noqa(:[\s,A-Z\d]+\d)?|type:\s*ignore(\[.*?\])?|pragma:.*")


class Problem(NamedTuple):
    """One breach of one rule."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module takes from elsewhere."""

    module: str
    """Dotted name of the module."""
    name: str
    """What is taken from it; empty for the module itself."""
    line: int
    typing_only: bool

    @property
    def full(self) -> str:
        """Dotted name of the thing itself."""
        return f"{self.module}.{self.name}" if self.name else self.module


@dataclass(slots=True)
class Module:
    """A module's source and what it imports."""

    name: str
    path: str
    source: str
    tree: ast.Module
    is_package: bool
    imports: list[Import] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    """Local name of something imported -> its dotted name."""

    @property
    def layer(self) -> str:
        """The layer that the module belongs to."""
        return layer_of(self.name)

    def dotted(self, node: ast.AST | None) -> str:
        """The dotted name that an expression stands for, imports resolved; empty if none."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""

    def problem(self, line: int, what: str) -> Problem:
        """A problem in this module."""
        return Problem(self.path, line, what)


Tree = dict[str, Module]


def layer_of(module: str) -> str:
    """The layer of one of our modules, such as ``store`` for ``syncd.store.sqlite``."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in WORDS:
        return "words"
    return "cli" if parts[1] == "__main__" else parts[1]


def check(root: Path) -> list[Problem]:
    """Every problem of the package under ``root``, in order."""
    tree, problems = load(root)
    for module in tree.values():
        for rule in (_layers, _private, _libraries, _forbidden, _proofs, _sizes, _broad_handlers):
            problems += rule(module)
    problems += _cycles(tree)
    return sorted(problems)


def load(root: Path) -> tuple[Tree, list[Problem]]:
    """The modules under ``root``, and those that cannot be read."""
    tree: Tree = {}
    problems = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        relative = path.relative_to(root)
        parts = relative.with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        source = path.read_text(encoding="utf-8")
        try:
            parsed = ast.parse(source)
        except SyntaxError as error:
            problems.append(Problem(str(relative), error.lineno or 1, f"no Python: {error.msg}"))
            continue
        tree[name] = Module(name, str(relative), source, parsed, is_package)
    for module in tree.values():
        _Imports(module, tree).visit(module.tree)
    return tree, problems


class _Imports(ast.NodeVisitor):
    """Collects what a module imports, in functions too."""

    def __init__(self, module: Module, tree: Tree) -> None:
        self.module = module
        self.tree = tree
        self.typing_only = False

    def visit_If(self, node: ast.If) -> None:
        outer = self.typing_only
        self.typing_only = outer or self.module.dotted(node.test).endswith("TYPE_CHECKING")
        for child in node.body:
            self.visit(child)
        self.typing_only = outer
        for child in node.orelse:
            self.visit(child)
        self.visit(node.test)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, "", node.lineno)
            if alias.asname:
                self.module.aliases[alias.asname] = alias.name

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        source = self._absolute(node)
        for alias in node.names:
            full = f"{source}.{alias.name}"
            if full in self.tree:
                self._add(full, "", node.lineno)
            else:
                self._add(source, alias.name, node.lineno)
            self.module.aliases[alias.asname or alias.name] = full

    def visit_Call(self, node: ast.Call) -> None:
        called = self.module.dotted(node.func)
        if called in {"importlib.import_module", "__import__"} and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                self._add(target.value, "", node.lineno)
        self.generic_visit(node)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.module.name.split(".")
        up = node.level - 1 if self.module.is_package else node.level
        base = parts[: len(parts) - up]
        return ".".join([*base, node.module] if node.module else base)

    def _add(self, module: str, name: str, line: int) -> None:
        self.module.imports.append(Import(module, name, line, self.typing_only))


def _is_ours(module: str) -> bool:
    return f"{module}.".startswith(f"{PACKAGE}.")


def _layers(module: Module) -> Iterator[Problem]:
    if module.layer not in MAY_IMPORT:
        yield module.problem(1, f"{module.layer} is in no layer: add it to MAY_IMPORT")
        return
    allowed = {module.layer, *MAY_IMPORT[module.layer]}
    for used in module.imports:
        if _is_ours(used.module) and layer_of(used.module) not in allowed:
            what = f"{module.layer} may not import {layer_of(used.module)} ({used.full})"
            yield module.problem(used.line, what)


def _private(module: Module) -> Iterator[Problem]:
    for used in module.imports:
        if _is_ours(used.module) and layer_of(used.module) == module.layer:
            continue
        if re.search(r"(^|\.)_(?!_|typeshed\b)", used.full):
            yield module.problem(used.line, f"{used.full} is private to another package")


def _libraries(module: Module) -> Iterator[Problem]:
    for used in module.imports:
        library = used.module.split(".")[0]
        if library not in HOME_OF:
            continue
        home = HOME_OF[library]
        if home is None or not f"{module.name}.".startswith(f"{home}."):
            where = f"only in {home}" if home else "nowhere"
            yield module.problem(used.line, f"{library} may be imported {where}")


def _forbidden(module: Module) -> Iterator[Problem]:
    for used in module.imports:
        if used.full in FORBIDDEN:
            yield module.problem(used.line, f"{used.full} is forbidden")
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            name = module.dotted(node)
            if name in FORBIDDEN:
                yield module.problem(node.lineno, f"{name} is forbidden")


def _proofs(module: Module) -> Iterator[Problem]:
    if module.name == LEDGER:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            name = module.dotted(node.func).split(".")[-1]
            if name in PROOFS:
                yield module.problem(node.lineno, f"{name} may be built in {LEDGER} only")


def _sizes(module: Module) -> Iterator[Problem]:
    lines = len(module.source.splitlines())
    if lines > MAX_MODULE_LINES:
        what = f"module of {lines} lines; {MAX_MODULE_LINES} at most"
        yield module.problem(MAX_MODULE_LINES + 1, what)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                what = f"{node.name} has {length} lines; {MAX_FUNCTION_LINES} at most"
                yield module.problem(node.lineno, what)


def _broad_handlers(module: Module) -> Iterator[Problem]:
    reasons = _reasons(module.source)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = [node.type] if node.type else []
            broad = not kinds or _names_all(module, kinds)
        elif isinstance(node, ast.Call) and module.dotted(node.func) == "contextlib.suppress":
            kinds = node.args
            broad = _names_all(module, kinds)
        else:
            continue
        end = max((kind.end_lineno or 0 for kind in kinds), default=node.lineno)
        if broad and reasons.isdisjoint(range(node.lineno, end + 1)):
            what = "every error is caught here, and no comment beside it says why"
            yield module.problem(node.lineno, what)


def _names_all(module: Module, kinds: list[ast.expr]) -> bool:
    flat = [e for kind in kinds for e in (kind.elts if isinstance(kind, ast.Tuple) else [kind])]
    return any(module.dotted(kind) in BROAD for kind in flat)


def _reasons(source: str) -> set[int]:
    """Lines that a comment speaks of: its own, and the next when it stands alone.

    A directive such as ``noqa`` says nothing by itself.
    """
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and re.search(r"\w", _DIRECTIVE.sub("", token.string)):
            line, column = token.start
            found.add(line)
            if not token.line[:column].strip():
                found.add(line + 1)
    return found


def _cycles(tree: Tree) -> Iterator[Problem]:
    """Each shortest cycle once. Imports for type checkers only do not run, so they make none."""
    edges = {name: _edges(module, tree) for name, module in tree.items()}
    for name in sorted(edges):
        cycle = _way_back(name, edges)
        if cycle and name == min(cycle):
            what = "import cycle: " + " -> ".join([*cycle, name])
            yield tree[name].problem(edges[name][(*cycle, name)[1]], what)


def _edges(module: Module, tree: Tree) -> dict[str, int]:
    """Modules that run when this one is imported -> the line that does it.

    To import ``a.b.c`` runs ``a`` and ``a.b`` too, but for those that hold the importer: they are
    running already.
    """
    edges: dict[str, int] = {}
    for used in module.imports:
        parts = used.module.split(".")
        for length in range(1, len(parts) + 1):
            target = ".".join(parts[:length])
            running = length < len(parts) and f"{module.name}.".startswith(f"{target}.")
            if target in tree and not used.typing_only and not running:
                edges.setdefault(target, used.line)
    return edges


def _way_back(start: str, edges: dict[str, dict[str, int]]) -> list[str]:
    """The modules of the shortest cycle through ``start``, which comes first; empty if none."""
    before: dict[str, str] = {}
    queue = deque([start])
    while queue:
        name = queue.popleft()
        for target in edges[name]:
            if target == start:
                way = [name]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if target not in before:
                before[target] = name
                queue.append(target)
    return []


def main(argv: list[str] | None = None) -> int:
    """Print the problems; 1 when there are any."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent
    parser.add_argument("root", type=Path, nargs="?", default=default, help="folder of syncd/")
    root = parser.parse_args(argv).root
    if not (root / PACKAGE).is_dir():
        print(f"{root / PACKAGE}: no such folder")
        return 1
    problems = check(root)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
