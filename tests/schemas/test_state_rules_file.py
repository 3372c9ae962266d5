from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.rules import Rules
from schemas.settings import ConfigurationError, load_settings
from schemas.state_rules import CLOSED, STATES, StateRule, load_state_rules
from streams.jurisdictions.calling_law import SHIPPED

_HEAD = """\
read_on = 2026-11-23
[default]
hours = "08:00-21:00"
source = "the federal rule"
link = "https://example.com/federal"
checked = true
"""
_RULE = """\
[[rules]]
states = ["FL"]
hours = "08:00-20:00"
source = "a law"
link = "https://example.com/law"
checked = false
"""


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (_HEAD + _RULE.replace("FL", "XX"), "rules.1.states.1: write two capitals"),
        (_HEAD + _RULE + _RULE.replace("08:00-20:00", "8-20"), 'rules.2.hours: write hours as "08:00-21:00"'),
        (_HEAD + _RULE.replace("20:00", "20:10"), "by the quarter of an hour"),
        (_HEAD + _RULE.replace("08:00-20:00", "20:00-08:00"), "rules.1.hours: write hours"),
        (_HEAD + _RULE.replace("08:00-20:00", "08:00-24:30"), "rules.1.hours: write hours"),
        (_HEAD + _RULE.replace("source", "sauce"), "rules.1.sauce: no such key; docs/jurisdictions.md lists them all"),
        (_HEAD + _RULE + "since = 2026-02-01\nuntil = 2026-01-01\n", "rules.1: until must be later than since"),
        (_HEAD + _RULE + "attempts_per_24_hours = 0\n", "rules.1.attempts_per_24_hours"),
        (_HEAD + _RULE.replace('hours = "08:00-20:00"', "replaces_default = true"), "replaces_default: give hours"),
        (_HEAD + _RULE.replace("https://example.com/law", "a book"), "rules.1.link"),
        (_RULE, "default: Field required"),
        ("rules = [", "write TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_what_to_write(tmp_path: Path, given: str, problem: str) -> None:
    """An error names the file, the rule (counted from 1) and the key, and says what would be right."""
    path = tmp_path / "rules.toml"
    path.write_text(given, encoding="utf-8")
    with pytest.raises(ValueError, match=r"rules\.toml") as caught:
        load_state_rules(path)
    assert problem in str(caught.value)


def test_a_file_that_is_not_there_is_refused_by_the_setting(tmp_path: Path) -> None:
    """`rules.calling_hours.state_rules_file` is read when settings are checked, and the error names the key."""
    path = tmp_path / "ringwatch.toml"
    path.write_text('[rules.calling_hours]\nstate_rules_file = "no-such.toml"\n', encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"rules\.calling_hours\.state_rules_file: no-such\.toml: no such file"
    ):
        load_settings(path)


def test_a_file_of_ones_own_is_taken_once(tmp_path: Path) -> None:
    """A right file is taken, and not read again: what decides is what was checked."""
    rules = tmp_path / "rules.toml"
    rules.write_text(_HEAD + _RULE + 'saturday = "10:00-12:30"\nsunday = "closed"\n', encoding="utf-8")
    settings = Rules.model_validate({"repeat_calls": {"state_rules_file": str(rules)}})
    rules.unlink()
    assert settings.repeat_calls.state_rules_file == rules
    [rule] = load_state_rules(rules).rules
    assert (rule.hours, rule.saturday, rule.sunday, rule.holidays) == ((480, 1_200), (600, 750), CLOSED, None)


def test_the_shipped_rules_are_dated_and_sourced() -> None:
    """Each shipped rule says something, names a law, and none that is checked was read where only accounts are."""
    found = load_state_rules(SHIPPED)
    assert len(found.rules) > 15
    for rule in found.rules:
        said = (rule.hours, rule.saturday, rule.sunday, rule.holidays, rule.attempts_per_24_hours)
        assert any(value is not None for value in said), rule.source
        assert set(rule.states) <= set(STATES)
        assert not (rule.checked and any(vendor in rule.link for vendor in ("dropcowboy", "clickpoint", "glama")))
    assert any(rule.checked for rule in found.rules)


def test_a_rule_is_in_force_from_its_first_day_to_the_day_before_its_end() -> None:
    """`since` is a day in force, `until` is not."""
    rule = StateRule.model_validate(
        {
            "states": ["FL"],
            "source": "a",
            "link": "https://a.b",
            "checked": True,
            "since": "2026-01-02",
            "until": "2026-01-04",
        }
    )
    assert [rule.in_force(date(2026, 1, day)) for day in range(1, 6)] == [False, True, True, False, False]
