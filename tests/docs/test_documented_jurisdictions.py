from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from schemas.state_rules import StateRule, load_state_rules
from streams.jurisdictions.calling_law import SHIPPED

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_of_state_rules_is_what_the_script_writes() -> None:
    """Running docs/generate_jurisdictions.py would change nothing."""
    spec = importlib.util.spec_from_file_location("generate_jurisdictions", DOCS / "generate_jurisdictions.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    text = (DOCS / "jurisdictions.md").read_text(encoding="utf-8")
    assert generator.page(text) == text


def test_every_rule_is_in_the_table(page: Callable[[str], Any]) -> None:
    """The page has a row for the default and for each rule, with its source."""
    head = ("state", "hours", "Saturday", "Sunday", "holidays", "in 24 hours", "since", "until", "source", "checked")
    rows = page("docs/jurisdictions.md").table(*head)
    rules = load_state_rules(SHIPPED)
    sources = [rules.default.source, *(rule.source for rule in rules.rules)]
    assert len(rows) == len(sources)
    assert all(f"[{source}](" in " ".join(row) for row, source in zip(rows, sources, strict=True))


def test_the_keys_of_a_rule_are_documented(page: Callable[[str], Any]) -> None:
    """The page lists every key of a rule in order, and no others."""
    rows = page("docs/jurisdictions.md").table("key", "meaning")
    assert [row[0].strip("`") for row in rows] == list(StateRule.model_fields)


def test_the_file_shown_is_taken(page: Callable[[str], Any], tmp_path: Path) -> None:
    """The TOML of docs/jurisdictions.md loads."""
    [block] = page("docs/jurisdictions.md").fenced("toml")
    path = tmp_path / "own.toml"
    path.write_text(block, encoding="utf-8")
    assert load_state_rules(path).rules[0].attempts_per_24_hours == 3
