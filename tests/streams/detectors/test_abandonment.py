from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, Subject, SubjectKind
from schemas.call import CallFact, Contribution, Disposition, FactKind
from schemas.registration import NumberRegistration
from schemas.rule_settings.conduct import Abandonment as Settings
from schemas.times import DAY, HOUR, MINUTE, from_iso, to_iso
from streams.detectors.abandonment import Abandonment
from streams.detectors.finding import Finding
from tests.streams import facts

CAMPAIGN = Subject(SubjectKind.CAMPAIGN, "spring-sale")
START = from_iso("2026-11-02T00:00:00Z")


def told(at: int, reached: bool | None, disposition: Disposition = Disposition.HUMAN) -> Contribution:
    """What a call came to."""
    return Contribution(attempted_at=at, ended_at=at + MINUTE, disposition=disposition, reached_agent=reached)


def fact(
    before: Contribution | None,
    after: Contribution,
    registration: NumberRegistration | None = None,
) -> CallFact:
    """A call that has ended, or of which more became known."""
    ended = before is None or before.ended_at is None
    at = after.attempted_at if after.ended_at is None else after.ended_at
    return facts.make_fact(
        FactKind.ENDED if ended else FactKind.REVISED,
        at,
        after,
        campaign=CAMPAIGN.value,
        before=before,
        registration=registration,
    )


def rule_of(**chosen: object) -> Abandonment:
    """The rule on one campaign."""
    return Abandonment(Settings.model_validate(chosen), CAMPAIGN)


def call(rule: Abandonment, at: int, reached: bool | None) -> list[Finding]:
    """One call that a person answered."""
    return list(rule.update(fact(Contribution(attempted_at=at), told(at, reached))))


def feed(rule: Abandonment, start: int, days: int, a_day: int, every: int) -> list[Alert]:
    """So many calls a day from 15:00, of which every so-manieth is abandoned; 0 is none."""
    said: list[Finding] = []
    for number in range(1, days * a_day + 1):
        day, place = divmod(number - 1, a_day)
        at = start + day * DAY + 15 * HOUR + place * MINUTE
        said += call(rule, at, reached=not (every and number % every == 0))
    return [found for found in said if isinstance(found, Alert)]


def shown(alerts: list[Alert]) -> list[tuple[str, object, str]]:
    """State, what decided, and severity."""
    return [(alert.state.value, alert.evidence["decided_by"], alert.severity.value) for alert in alerts]


def test_a_share_beyond_doubt_fires_early() -> None:
    """At 10 % it fires at the least number of calls, with the block's borders and the interval."""
    rule = rule_of()
    (alert,) = feed(rule, START, 1, 300, 10)
    assert shown([alert]) == [("firing", "block so far", "critical")]
    evidence = alert.evidence
    assert (evidence["answered"], evidence["abandoned"], evidence["share"]) == (100, 10, 0.1)
    assert (evidence["block_from"], evidence["block_until"]) == (to_iso(START), to_iso(START + 30 * DAY))
    assert alert.since == START
    assert rule.describe(START + DAY)["state"] == "firing"


def test_a_share_hardly_over_the_limit_fires_at_the_blocks_end() -> None:
    """3.2 % is in doubt all along; the law counts the bare share when the 30 days are over."""
    rule = rule_of()
    assert feed(rule, START, 30, 31, 31) == []
    assert call(rule, START + 30 * DAY, reached=True) == []
    (alert,) = call(rule, START + 30 * DAY + HOUR, reached=True)
    assert isinstance(alert, Alert)
    assert shown([alert]) == [("firing", "block at its end", "critical")]
    assert (alert.evidence["block"], alert.evidence["answered"], alert.evidence["abandoned"]) == (0, 930, 30)


def test_exactly_the_limit_is_lawful() -> None:
    """3 of 100, 30 of 1,000 and so on are not over 3 %."""
    rule = rule_of()
    assert feed(rule, START, 30, 50, 0) == []
    rule = rule_of()
    for number in range(1_000):
        assert call(rule, START + number * MINUTE, reached=number % 100 > 2) == []
    assert call(rule, START + 31 * DAY, reached=True) == []


def test_it_resolves_with_the_next_block_that_stays_within() -> None:
    """A second block over the limit is told in the same run, the third resolves it at its end."""
    rule = rule_of()
    first = feed(rule, START, 30, 20, 10)
    second = feed(rule, START + 30 * DAY, 30, 20, 10)
    third = feed(rule, START + 60 * DAY, 30, 20, 100)
    fourth = feed(rule, START + 90 * DAY, 5, 20, 100)
    assert shown(first) == [("firing", "block so far", "critical")]
    assert shown(second) == [("firing", "block at its end", "critical")]
    assert shown(third) == [("firing", "block at its end", "critical")]
    assert shown(fourth) == [("resolved", "block at its end", "critical")]
    assert (third[0].evidence["block"], fourth[0].evidence["block"]) == (1, 2)
    assert {alert.alert_id for alert in [*first, *second, *third, *fourth]} == {first[0].alert_id}


def test_a_block_that_ends_within_after_all_resolves_its_early_alert() -> None:
    """A bad first day that the rest of the 30 days outweighs."""
    rule = rule_of()
    assert len(feed(rule, START, 1, 200, 10)) == 1
    assert feed(rule, START + DAY, 29, 100, 0) == []
    assert shown(feed(rule, START + 30 * DAY, 1, 100, 0)) == [("resolved", "block at its end", "critical")]


def bad_end_of_a_good_block() -> Abandonment:
    """Five days of many calls without fault, then 25 with one call in 14 abandoned; the whole block is within."""
    rule = rule_of()
    assert feed(rule, START, 5, 200, 0) == []
    assert feed(rule, START + 5 * DAY, 25, 10, 14) == []
    return rule


def test_the_rolling_days_warn_across_the_border_of_two_blocks() -> None:
    """Bad days at the end of a good block and at the beginning of the next add up; good days resolve the warning."""
    rule = bad_end_of_a_good_block()
    warned = feed(rule, START + 30 * DAY, 6, 10, 14)
    assert shown(warned) == [("firing", "rolling 30 days", "warning")]
    assert warned[0].evidence["block"] == 1
    resolved = feed(rule, START + 36 * DAY, 20, 40, 0)
    assert shown(resolved) == [("resolved", "rolling 30 days", "warning")]


def test_a_warning_becomes_grave_when_the_block_itself_is_over() -> None:
    """The run goes on with the block's figures and the rule's own severity."""
    rule = bad_end_of_a_good_block()
    said = feed(rule, START + 30 * DAY, 25, 10, 14)
    assert shown(said) == [("firing", "rolling 30 days", "warning"), ("firing", "block so far", "critical")]
    assert said[0].alert_id == said[1].alert_id


def test_calls_without_word_of_an_agent_count_nothing() -> None:
    """No data is not abandonment, and machines are no people."""
    rule = rule_of()
    for number in range(500):
        at = START + number * MINUTE
        assert call(rule, at, reached=None) == []
        assert list(rule.update(fact(None, told(at, False, Disposition.MACHINE)))) == []
        assert list(rule.update(fact(None, told(at, False, Disposition.NO_ANSWER)))) == []
    assert rule.describe(START)["state"] == "no_data"
    assert rule.describe(START)["share"] is None


def test_what_becomes_known_later_counts_then_and_once() -> None:
    """Word of the agent after the end counts; a machine's verdict after that takes the call back."""
    rule = rule_of()
    plain = told(START, None, Disposition.ANSWERED)
    lost = told(START, False, Disposition.ANSWERED)
    machine = told(START, False, Disposition.MACHINE)
    rule.update(fact(Contribution(attempted_at=START), plain))
    rule.update(fact(plain, lost))
    assert (rule.describe(START)["answered"], rule.describe(START)["abandoned"]) == (1, 1)
    rule.update(fact(lost, told(START, True, Disposition.ANSWERED)))
    assert (rule.describe(START)["answered"], rule.describe(START)["abandoned"]) == (1, 0)
    rule.update(fact(told(START, True, Disposition.ANSWERED), machine))
    assert (rule.describe(START)["answered"], rule.describe(START)["abandoned"]) == (0, 0)


@pytest.mark.parametrize(
    ("chosen", "campaign_since", "begins"),
    [
        ({}, None, "2026-11-02T00:00:00.000Z"),
        ({}, from_iso("2026-10-20T12:00:00Z"), "2026-10-20T00:00:00.000Z"),
        ({"blocks_from": "2026-10-15"}, from_iso("2026-10-20T12:00:00Z"), "2026-10-15T00:00:00.000Z"),
        ({"blocks_from": "2026-09-01"}, None, "2026-10-31T00:00:00.000Z"),
    ],
)
def test_where_blocks_begin(chosen: dict[str, object], campaign_since: int | None, begins: str) -> None:
    """By the setting, else by the campaign's first day in the register, else by its first call."""
    rule = rule_of(**chosen)
    at = START + 9 * HOUR
    rule.update(fact(None, told(at, True), NumberRegistration(True, campaign_since=campaign_since)))
    assert rule.describe(at)["block_from"] == begins


def test_a_few_calls_are_never_judged() -> None:
    """Below the least number neither the block so far nor its end says anything."""
    rule = rule_of()
    assert feed(rule, START, 30, 3, 2) == []
    assert feed(rule, START + 30 * DAY, 30, 3, 0) == []


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.02, 0.05, 0.2]))
def test_counts_are_those_of_the_list_of_all_calls(seed: int, share: float) -> None:
    """Blocks and rolling days equal a plain count, facts come a little out of order, and bytes carry all of it."""
    stream = Random(seed)
    rule = rule_of(least_answered=20)
    calls: list[tuple[int, bool]] = []
    at = START + 5 * HOUR
    for _ in range(120):
        at += stream.randrange(20 * HOUR)
        late = at - stream.randrange(2 * MINUTE)
        lost = stream.random() < share
        calls.append((late, lost))
        call(rule, late, reached=not lost)
        rule = Abandonment.from_bytes(rule.to_bytes(), rule.settings, CAMPAIGN)
    start = min(when for when, _ in calls[:1]) // DAY * DAY
    newest = max(when for when, _ in calls) + MINUTE  # when the latest call ended
    block = (newest - start) // (30 * DAY)
    inside = [lost for when, lost in calls if (when - start) // (30 * DAY) == block]
    rolling = [lost for when, lost in calls if when // DAY > newest // DAY - 30]
    shown = rule.describe(newest)
    assert (shown["answered"], shown["abandoned"]) == (len(inside), sum(inside))
    assert (shown["rolling_answered"], shown["rolling_abandoned"]) == (len(rolling), sum(rolling))
    assert len(rule.state.days) <= 30
    assert len(rule.state.blocks) <= 2


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, nothing is counted."""
    rule = rule_of(enabled=False)
    assert feed(rule, START, 2, 200, 2) == []
    assert rule.describe(START)["state"] == "off"
