"""``syncd apps``: applications by their riskiest scope and by how many users gave it."""

from __future__ import annotations

import argparse
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.cli import output
from syncd.cli.render import Column, Row, show_table, styled
from syncd.cli.risk import LEVELS, Finding, RiskRules, load_rules, short_scope
from syncd.cli.settings import open_database
from syncd.store.reader import ReadOnlyDatabase
from syncd.store.usage import ApplicationUse

STYLES = {"high": "bold red", "medium": "yellow", "low": "green"}


@dataclass(frozen=True, slots=True)
class Judged:
    """An application and what the rules say of it."""

    use: ApplicationUse
    finding: Finding

    @property
    def at_risk(self) -> int:
        """Users whose own grant reaches the application's level."""
        return sum(
            count for word, count in self.use.classes.items() if LEVELS[word] >= self.finding.level
        )

    def order(self, by: str) -> tuple[int, int, int, str, str]:
        """A key that sorts the most interesting application first."""
        level, at_risk, users = -int(self.finding.level), -self.at_risk, -self.use.users
        keys = (users, level, at_risk) if by == "users" else (level, at_risk, users)
        return *keys, self.use.name.casefold(), self.use.id


def run(args: argparse.Namespace) -> int:
    """Show the applications, the riskiest first."""
    rules = load_rules()
    limit = args.limit if args.limit is not None else (0 if args.json else 50)
    with open_database(args) as database:
        found, levels = judge(
            database, rules, organization=args.org, risk=args.risk, by=args.sort, limit=limit
        )
    if args.json:
        output.write_json_lines(as_json(each, rules) for each in found)
    else:
        show(found, levels, limit=limit)
    return 0


def judge(
    database: ReadOnlyDatabase,
    rules: RiskRules,
    *,
    organization: str | None = None,
    risk: Sequence[str] = (),
    by: str = "risk",
    limit: int = 0,
) -> tuple[list[Judged], Counter[str]]:
    """Applications in order, and how many there are of each level, shown or not."""
    levels: Counter[str] = Counter()
    found = _judged(database.applications(organization, rules.level_of), rules, levels)
    wanted = (each for each in found if not risk or each.finding.level.word in risk)
    return _sorted(wanted, by, limit), levels


def show(found: Sequence[Judged], levels: Counter[str], *, limit: int = 0) -> None:
    """Print applications as a table; ``limit`` is how many were asked for at most."""
    show_table(_columns(found), (_row(each) for each in found))
    _summarize(levels, shown=len(found), limit=limit)


def _judged(
    uses: Iterable[ApplicationUse], rules: RiskRules, levels: Counter[str]
) -> Iterator[Judged]:
    for use in uses:
        judged = Judged(use, rules.of_scopes(use.scopes))
        levels[judged.finding.level.word] += 1
        yield judged


def _sorted(found: Iterable[Judged], by: str, limit: int) -> list[Judged]:
    def order(judged: Judged) -> tuple[int, int, int, str, str]:
        return judged.order(by)

    return heapq.nsmallest(limit, found, key=order) if limit else sorted(found, key=order)


def as_json(judged: Judged, rules: RiskRules) -> dict[str, Any]:
    """One application as ``syncd apps --json`` shows it."""
    use, finding = judged.use, judged.finding
    return {
        "organization": use.organization,
        "id": use.id,
        "name": use.name,
        "users": use.users,
        "users_at_risk": judged.at_risk,
        "organization_wide": use.organization_wide,
        "other_grants": use.others,
        "risk": finding.level.word,
        "riskiest_scope": finding.scope or None,
        "rule": finding.rule or None,
        "rule_source": finding.source,
        "reason": finding.reason,
        "grants_by_risk": {word: use.classes[word] for word in LEVELS},
        "scopes": [
            {"scope": scope, "users": users, "risk": rules.of_scope(scope).level.word}
            for scope, users in sorted(use.scopes.items())
        ],
    }


def _row(judged: Judged) -> Row:
    use, finding = judged.use, judged.finding
    return {
        "organization": use.organization,
        "risk": finding.level.word,
        "users": use.users,
        "at_risk": judged.at_risk,
        "name": use.name or use.id,
        "wide": "yes" if use.organization_wide else "",
        "scope": short_scope(finding.scope),
        "scopes": len(use.scopes),
        "rule": short_scope(finding.rule),
        "source": "" if finding.source == "built-in" else finding.source,
        "reason": finding.reason,
        "id": use.id,
    }


def _columns(found: Sequence[Judged]) -> list[Column]:
    def plain(title: str, name: str, drop: int, least: int, *, right: bool = False) -> Column:
        return Column(title, lambda row: row[name], drop=drop, least=least, right=right)

    several = len({each.use.organization for each in found}) > 1
    wide = any(each.use.organization_wide for each in found)
    own = any(each.finding.source != "built-in" for each in found)
    return [
        Column("risk", lambda row: row["risk"], style=lambda row: STYLES[row["risk"]]),
        plain("users at risk", "at_risk", 0, 5, right=True),
        plain("all users", "users", 15, 5, right=True),
        plain("application", "name", 0, 22),
        *([plain("organization", "organization", 45, 12)] if several else []),
        *([plain("for everybody", "wide", 40, 3)] if wide else []),
        plain("riskiest scope", "scope", 10, 22),
        plain("scopes", "scopes", 60, 6, right=True),
        plain("reason", "reason", 20, 36),
        plain("rule", "rule", 70, 24),
        *([plain("rule from", "source", 80, 12)] if own else []),
        plain("id", "id", 90, 24),
    ]


def _summarize(levels: Counter[str], *, shown: int, limit: int) -> None:
    total = levels.total()
    if not total:
        output.note("no applications; `syncd sync` reads them")
        return
    parts = ", ".join(styled(f"{levels[word]:,} {word}", STYLES[word]) for word in LEVELS)
    noun = "application" if total == 1 else "applications"
    first = "the first one is" if shown == 1 else f"the first {shown:,} are"
    more = f"; {first} shown, --limit 0 shows all" if shown == limit else ""
    output.note(f"{total:,} {noun}: {parts}{more}")
