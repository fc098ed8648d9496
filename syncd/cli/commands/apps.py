"""``syncd apps``: applications by their riskiest scope and by number of users."""

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

    def order(self, by: str) -> tuple[int, int, str, str]:
        """A key that sorts the most interesting application first."""
        level, users = -int(self.finding.level), -self.use.users
        first, second = (users, level) if by == "users" else (level, users)
        return first, second, self.use.name.casefold(), self.use.id


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
    several = len({each.use.organization for each in found}) > 1
    show_table(_columns(several=several), (_row(each) for each in found))
    _summarize(levels, shown=len(found), limit=limit)


def _judged(
    uses: Iterable[ApplicationUse], rules: RiskRules, levels: Counter[str]
) -> Iterator[Judged]:
    for use in uses:
        judged = Judged(use, rules.of_scopes(use.scopes))
        levels[judged.finding.level.word] += 1
        yield judged


def _sorted(found: Iterable[Judged], by: str, limit: int) -> list[Judged]:
    def order(judged: Judged) -> tuple[int, int, str, str]:
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
        "risky": use.classes[finding.level.word],
        "name": use.name or use.id,
        "wide": "yes" if use.organization_wide else "",
        "scope": short_scope(finding.scope),
        "scopes": len(use.scopes),
        "rule": short_scope(finding.rule),
        "source": "" if finding.source == "built-in" else finding.source,
        "reason": finding.reason,
        "id": use.id,
    }


def _columns(*, several: bool) -> list[Column]:
    def plain(name: str, drop: int, least: int = 6, *, optional: bool = False) -> Column:
        return Column(name, lambda row: row[name], drop=drop, least=least, optional=optional)

    return [
        Column("risk", lambda row: row["risk"], style=lambda row: STYLES[row["risk"]]),
        Column("users", lambda row: row["users"], right=True, least=5),
        Column("at risk", lambda row: row["risky"], drop=50, right=True),
        Column("application", lambda row: row["name"], least=22),
        *(
            [Column("organization", lambda row: row["organization"], drop=45, least=12)]
            if several
            else []
        ),
        Column("for all", lambda row: row["wide"], drop=40, optional=True),
        plain("scope", 10, 24),
        Column("scopes", lambda row: row["scopes"], drop=60, right=True),
        plain("reason", 20, 36),
        plain("rule", 70, 24),
        plain("source", 80, 12, optional=True),
        plain("id", 90, 24),
    ]


def _summarize(levels: Counter[str], *, shown: int, limit: int) -> None:
    total = levels.total()
    if not total:
        output.note("no applications; `syncd sync` reads them")
        return
    parts = ", ".join(styled(f"{levels[word]:,} {word}", STYLES[word]) for word in LEVELS)
    noun = "application" if total == 1 else "applications"
    more = f"; the first {shown} are shown, --limit 0 shows all" if shown == limit else ""
    output.note(f"{total:,} {noun}: {parts}{more}")
