"""Write the table of state rules in docs/jurisdictions.md from the rules that come with ringwatch.

Run it after they change: `.venv/bin/python docs/generate_jurisdictions.py`. A test compares what it would write with
what is there.
"""  # noqa: INP001 - a script beside the page it writes, imported by nobody

from __future__ import annotations

import re
from pathlib import Path

from schemas.state_rules import PROVINCES, STATES, StateRule, load_state_rules
from streams.jurisdictions.calling_law import SHIPPED, span_text

PAGE = Path(__file__).resolve().parent / "jurisdictions.md"

_TABLE = re.compile(r"(?<=<!-- state rules -->\n)(.*?)(?=<!-- /state rules -->)", re.DOTALL)


def row(rule: StateRule) -> str:
    """One rule as a row of the table."""
    states = "Canada" if set(rule.states) == set(PROVINCES) else ", ".join(STATES[state] for state in rule.states)
    days = (rule.hours, rule.saturday, rule.sunday, rule.holidays)
    hours = ["" if span is None else span_text(span) for span in days]
    if rule.replaces_default:
        hours[0] += ", instead of the default"
    attempts = "" if rule.attempts_per_24_hours is None else str(rule.attempts_per_24_hours)
    since = "" if rule.since is None else str(rule.since)
    until = "" if rule.until is None else str(rule.until)
    source = f"[{rule.source}]({rule.link})"
    cells = [states, *hours, attempts, since, until, source, "yes" if rule.checked else "no"]
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """All rules, the default first."""
    rules = load_state_rules(SHIPPED)
    head = ["state", "hours", "Saturday", "Sunday", "holidays", "in 24 hours", "since", "until", "source", "checked"]
    default = rules.default
    cells = ["everywhere", span_text(default.hours), *[""] * 6, f"[{default.source}]({default.link})"]
    cells.append("yes" if default.checked else "no")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|", "| " + " | ".join(cells) + " |"]
    lines += [re.sub(r" {2,}", " ", row(rule)) for rule in rules.rules]
    lines[2] = re.sub(r" {2,}", " ", lines[2])
    return f"\nSources last looked at on {rules.read_on}.\n\n" + "\n".join(lines) + "\n\n"


def page(text: str) -> str:
    """The page with its table as the data has it."""
    return _TABLE.sub(lambda _: table(), text)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
