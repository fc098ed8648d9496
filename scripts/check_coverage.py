#!/usr/bin/env python3
"""Fail unless every line and branch of the parts that must never be wrong is tested.

Reads the report of ``coverage json``; ``make test`` runs it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path, PurePosixPath
from typing import Any

GATED = ("syncd/governor", "syncd/sync/ledger.py", "syncd/store", "syncd/config")
"""Folders and modules of which nothing may be untested."""


def gaps(report: dict[str, Any], gated: tuple[str, ...] = GATED) -> list[str]:
    """What is not covered in the gated parts: ``file:line: what``, in order."""
    files = {PurePosixPath(name): figures for name, figures in report["files"].items()}
    found = []
    for part in map(PurePosixPath, gated):
        inside = sorted(name for name in files if name == part or part in name.parents)
        if not inside:
            found.append(f"{part}: not in the coverage report")
        for name in inside:
            found += _gaps_of(name, files[name])
    return found


def _gaps_of(name: PurePosixPath, figures: dict[str, Any]) -> list[str]:
    missing = [(line, "never run") for line in figures["missing_lines"]]
    for start, end in figures["missing_branches"]:
        # coverage writes a function's end as a negative line.
        where = f"to line {end}" if end > 0 else "to the end of the function"
        if start not in figures["missing_lines"]:
            missing.append((start, f"never went {where}"))
    return [f"{name}:{line}: {what}" for line, what in sorted(missing)]


def main(argv: list[str] | None = None) -> int:
    """Print the gaps; 1 when there are any. Silent otherwise: the tests have the last word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="the file that `coverage json` wrote")
    report = json.loads(parser.parse_args(argv).report.read_text())
    if not report["meta"]["branch_coverage"]:
        print("the report knows no branches: run coverage with branch = true")
        return 1
    found = gaps(report)
    for gap in found:
        print(gap)
    if found:
        total = report["totals"]["percent_covered"]
        print(f"coverage gaps: {len(found)}; in all {total:.1f} % of syncd is covered")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
