"""What the help of a command explains besides its options."""

from __future__ import annotations

import textwrap

SYNC = """\
what it shows:
  39 of 500 so far    done, of those that are known by now; more may come.
                      On a narrow terminal: 39/500+
  over 3s left        at the present speed, for those that are known by now.
                      On a narrow terminal: eta >3s
  2/3 parallel        requests under way, of those that may be at once
  effective speed-up  time spent in requests, all of them added up, divided by
                      wall time: 1.0x is one request after the other
"""

APPS = """\
columns:
  risk            high, medium or low: that of its riskiest scope
  users at risk   users whose own grant reaches that level
  all users       users who granted it anything
  riskiest scope  the scope that decides, out of so many (scopes)
  for everybody   an administrator granted it for the whole organization
  reason, rule    what the rule that matched says, and what it matches
  rule from       the file of a rule that is not built in
A narrow terminal shows the first of them; a pipe and --json show all.

risk rules:
  Rules are built in; those in /etc/syncd/risk.toml come before them, such as

    [[rule]]
    scope = "https://www.googleapis.com/auth/calendar.readonly"
    level = "high"
    reason = "our calendars name our customers"

  docs/risk.md describes the file.
"""


def faults() -> str:
    """The names of all faults that the demo directory knows."""
    from syncd.demo import FAULT_NAMES

    names = textwrap.fill(", ".join(FAULT_NAMES), 78, initial_indent="  ", subsequent_indent="  ")
    return f"faults:\n{names}\n"
