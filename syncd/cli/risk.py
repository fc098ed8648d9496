"""How risky a scope is, by the rules of risk.toml.

A file's rules for exact scopes come before its patterns; patterns are tried in their order. The
rules of the administrator's own file come before the built-in ones.
"""

from __future__ import annotations

import enum
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncd.errors import ConfigError, Problem

BUILT_IN = Path(__file__).with_name("risk.toml")
OWN_RULES = Path("/etc/syncd/risk.toml")

_KEYS = frozenset({"scope", "scopes", "pattern", "patterns", "level", "reason"})
_SELECTORS = "one of scope, scopes, pattern, patterns"
_LARGEST = 1 << 20


class Level(enum.IntEnum):
    """How much harm a scope allows; higher is worse."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    @property
    def word(self) -> str:
        """``low``, ``medium`` or ``high``."""
        return self.name.lower()


LEVELS = {level.word: level for level in sorted(Level, reverse=True)}
"""Words of the levels, the worst first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What the rules say of a scope, or of the riskiest of several."""

    level: Level
    scope: str
    """The scope that decided; empty if there was none."""
    rule: str
    """The exact scope or the pattern that matched; empty if none did."""
    reason: str
    source: str
    """Where the rule stands: ``built-in`` or a path."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the rules: an exact scope or a pattern."""

    text: str
    level: Level
    reason: str
    source: str


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A pattern as an expression for a whole scope.

    ``*`` stands for any characters but ``/`` and white space, ``**`` for any
    characters; nothing else is special.
    """
    parts = re.split(r"(\*\*|\*)", pattern)
    words = {"**": ".*", "*": r"[^/\s]*"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts), re.DOTALL)


class RuleFile:
    """The rules of one file."""

    def __init__(self, exact: Mapping[str, Rule], patterns: Iterable[Rule]) -> None:
        self.exact = dict(exact)
        self.patterns = [(compile_pattern(rule.text), rule) for rule in patterns]

    def match(self, scope: str) -> Rule | None:
        """The rule for a scope, if there is one."""
        if (rule := self.exact.get(scope)) is not None:
            return rule
        return next((rule for regex, rule in self.patterns if regex.fullmatch(scope)), None)


class RiskRules:
    """All rules, in the order in which files come."""

    def __init__(self, files: Iterable[RuleFile]) -> None:
        self._files = tuple(files)
        self._known: dict[str, Finding] = {}

    def of_scope(self, scope: str) -> Finding:
        """What the rules say of one scope. A scope that no rule knows is medium."""
        if (finding := self._known.get(scope)) is None:
            finding = self._judge(scope)
            if len(self._known) < 10_000:
                self._known[scope] = finding
        return finding

    def _judge(self, scope: str) -> Finding:
        for file in self._files:
            if (rule := file.match(scope)) is not None:
                return Finding(rule.level, scope, rule.text, rule.reason, rule.source)
        return Finding(Level.MEDIUM, scope, "", "unknown scope", "built-in")

    def of_scopes(self, scopes: Iterable[str]) -> Finding:
        """The riskiest finding of a token or application; among equals the first in the alphabet.

        Scopes that a rule knows go before unknown ones of the same level.
        """
        findings = [self.of_scope(scope) for scope in scopes]
        if not findings:
            return Finding(
                Level.MEDIUM, "", "", "shows no scopes, so what it may do is unknown", "built-in"
            )
        return min(findings, key=lambda found: (-found.level, not found.rule, found.scope))

    def level_of(self, scopes: Iterable[str]) -> str:
        """The word for the level of a token or application."""
        return self.of_scopes(scopes).level.word


def load_rules(own: Path | None = None) -> RiskRules:
    """The built-in rules, with those of ``own`` before them if that file exists.

    ``own`` is :data:`OWN_RULES` unless given. Raises ConfigError with every problem of the file.
    """
    own = OWN_RULES if own is None else own
    files = [_load(BUILT_IN, "built-in")]
    if own.exists():
        files.insert(0, _load(own, str(own)))
    return RiskRules(files)


def _load(path: Path, source: str) -> RuleFile:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise _broken(path, "more than 1 MiB")
        document = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _broken(path, "is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _broken(path, f"is not TOML: {error}") from error
    return _Parser(path, source).parse(document)


def _broken(path: Path, found: str) -> ConfigError:
    return ConfigError(str(path), [Problem("", None, found, "")])


class _Parser:
    """Turns a TOML document into rules, and notes every problem."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self.exact: dict[str, Rule] = {}
        self.patterns: list[Rule] = []
        self.problems: list[Problem] = []

    def parse(self, document: dict[str, Any]) -> RuleFile:
        for key in document:
            if key != "rule":
                self._problem(key, "unknown key", "[[rule]] tables")
        rules = document.get("rule", [])
        if not isinstance(rules, list):
            self._problem("rule", "not a list of tables", "[[rule]] tables")
            rules = []
        for number, table in enumerate(rules):
            self._rule(f"rule[{number}]", table)
        if self.problems:
            raise ConfigError(str(self.path), self.problems)
        return RuleFile(self.exact, self.patterns)

    def _problem(self, path: str, found: str, allowed: str, hint: str = "") -> None:
        self.problems.append(Problem(path, None, found, allowed, hint))

    def _rule(self, path: str, table: Any) -> None:
        if not isinstance(table, dict):
            self._problem(path, "not a table", "a [[rule]] table")
            return
        for key in table.keys() - _KEYS:
            self._problem(f"{path}.{key}", "unknown key", ", ".join(sorted(_KEYS)))
        level, reason = self._level(path, table), self._reason(path, table)
        selectors = [key for key in ("scope", "scopes", "pattern", "patterns") if key in table]
        if len(selectors) != 1:
            found = " and ".join(selectors) or "nothing that selects scopes"
            self._problem(path, found, _SELECTORS)
            return
        key = selectors[0]
        for text in self._texts(f"{path}.{key}", table[key], many=key.endswith("s")):
            self._add(f"{path}.{key}", Rule(text, level, reason, self.source), key)

    def _add(self, path: str, rule: Rule, key: str) -> None:
        if key.startswith("pattern"):
            self.patterns.append(rule)
        elif "*" in rule.text:
            self._problem(path, f"{rule.text!r}", "an exact scope", "use pattern for a *")
        elif rule.text in self.exact:
            self._problem(path, f"{rule.text!r} has a rule already", "one rule for a scope")
        else:
            self.exact[rule.text] = rule

    def _level(self, path: str, table: dict[str, Any]) -> Level:
        word = table.get("level")
        if isinstance(word, str) and word in LEVELS:
            return LEVELS[word]
        found = "missing" if word is None else repr(word)[:60]
        self._problem(f"{path}.level", found, ", ".join(LEVELS))
        return Level.MEDIUM

    def _reason(self, path: str, table: dict[str, Any]) -> str:
        reason = table.get("reason")
        if isinstance(reason, str) and reason.strip():
            return reason.strip()
        found = "missing" if reason is None else repr(reason)[:60]
        self._problem(f"{path}.reason", found, "a text that says what could happen")
        return ""

    def _texts(self, path: str, value: Any, *, many: bool) -> list[str]:
        values = value if many and isinstance(value, list) else [value]
        good = [text for text in values if isinstance(text, str) and text.strip()]
        if len(good) < len(values) or not good or many is not isinstance(value, list):
            self._problem(path, repr(value)[:60], "a list of texts" if many else "a text")
            return []
        return good


def short_scope(scope: str) -> str:
    """A scope without the address that most of them begin with."""
    return scope.removeprefix("https://www.googleapis.com/auth/") or scope
