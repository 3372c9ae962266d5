from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import NumberRegistration
from schemas.rule_settings.numbers import RampStage
from schemas.rule_settings.numbers import RampUp as Settings
from schemas.times import DAY, HOUR, MINUTE, SECOND, from_iso, to_iso
from streams.detectors.finding import Finding
from streams.detectors.ramp_up import RampUp
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
CAMPAIGN = Subject(SubjectKind.CAMPAIGN, "spring-sale")
NEW_SINCE = from_iso("2026-11-02T00:00:00Z")
# Noon in New York on the first day.
NOON = from_iso("2026-11-02T17:00:00Z")
SMALL = Settings(number_stages=[RampStage(2, 3), RampStage(3, 5)], campaign_stages=[RampStage(1, 4)])


def placed(
    at: int, since: int | None = NEW_SINCE, campaign_since: int | None = None, *, registered: bool = True
) -> CallFact:
    """One placed call of the number."""
    registration = NumberRegistration(registered=True, since=since, campaign_since=campaign_since)
    return facts.placed(
        at, number=NUMBER.value, campaign=CAMPAIGN.value, registration=registration if registered else None
    )


def run(rule: RampUp, facts: list[CallFact]) -> list[Alert]:
    """Show the facts in order; all findings are alerts, as the rule suppresses nothing."""
    found: list[Alert] = []
    for fact in facts:
        for finding in rule.update(fact):
            assert isinstance(finding, Alert)
            found.append(finding)
    return found


def calls(day: int, amount: int) -> list[CallFact]:
    """So many calls from noon of a day, the first being day 1."""
    return [placed(NOON + (day - 1) * DAY + index * SECOND) for index in range(amount)]


def test_the_call_past_the_limit_fires_and_says_why() -> None:
    """The first call beyond the first stage's limit fires, with the counts, the age and where the age is from."""
    rule = RampUp(SMALL, NUMBER)
    (alert,) = run(rule, calls(1, 4))
    assert (alert.state, alert.at, alert.rule) == (AlertState.FIRING, NOON + 3 * SECOND, "ramp_up")
    assert alert.since == from_iso("2026-11-02T10:00:00Z")
    assert {name: alert.evidence[name] for name in ("calls", "limit", "day", "new_since_from", "call_sid")} == {
        "calls": 4,
        "limit": 3,
        "day": 1,
        "new_since_from": "register",
        "call_sid": f"CA{NOON + 3 * SECOND}",
    }
    assert rule.describe(NOON) == {
        "state": "firing",
        "day": 1,
        "calls": 4,
        "limit": 3,
        "since": "2026-11-02T10:00:00.000Z",
    }


def test_a_number_that_keeps_to_its_schedule_is_left_alone() -> None:
    """As many calls as each stage allows fire nothing, and after the last stage there is no limit."""
    rule = RampUp(SMALL, NUMBER)
    facts = [fact for day, amount in enumerate((3, 3, 5, 5, 5, 400), 1) for fact in calls(day, amount)]
    assert run(rule, facts) == []
    assert rule.describe(NOON + 5 * DAY)["limit"] is None
    assert rule.describe(NOON + 5 * DAY)["state"] == "ok"


def test_several_days_of_excess_are_one_alert_that_a_calm_day_ends() -> None:
    """Each day past its limit prolongs the run; the first call after a whole day within the schedule resolves it."""
    rule = RampUp(SMALL, NUMBER)
    fired, resolved = run(rule, [*calls(1, 5), *calls(2, 9), *calls(3, 5), *calls(4, 1)])
    assert (fired.state, resolved.state) == (AlertState.FIRING, AlertState.RESOLVED)
    assert fired.alert_id == resolved.alert_id
    assert resolved.at == NOON + 3 * DAY
    assert (resolved.evidence["days_over"], resolved.evidence["peak"]) == (2, 9)


def test_a_day_without_calls_is_within_the_schedule() -> None:
    """A number that was stopped for a day resolves with its next call, and may fire anew on that day."""
    rule = RampUp(SMALL, NUMBER)
    assert [alert.state for alert in run(rule, [*calls(1, 4), *calls(3, 6)])] == [
        AlertState.FIRING,
        AlertState.RESOLVED,
        AlertState.FIRING,
    ]
    assert rule.runs == 2


def test_an_evening_belongs_to_its_own_day() -> None:
    """A day's count goes on past midnight UTC, so that a calling day of the United States is never cut in two."""
    rule = RampUp(SMALL, NUMBER)
    # 20:30 in Honolulu on the first day, and 8:00 in New York on the second.
    evening, morning = from_iso("2026-11-03T06:30:00Z"), from_iso("2026-11-03T13:00:00Z")
    assert run(rule, [placed(NOON), placed(NOON), placed(evening), placed(morning), placed(morning)]) == []
    assert rule.describe(morning)["calls"] == 2


def test_a_late_call_counts_for_its_own_day() -> None:
    """A call of the day before that comes after the next day's first one is counted where it belongs."""
    rule = RampUp(SMALL, NUMBER)
    meet = from_iso("2026-11-03T10:00:00Z")
    (alert,) = run(rule, [placed(meet - MINUTE + index) for index in range(3)] + [placed(meet), placed(meet - SECOND)])
    assert (alert.since, alert.evidence["calls"], alert.evidence["day"]) == (meet - DAY, 4, 1)
    assert rule.describe(meet)["calls"] == 1


def test_calls_up_to_the_first_whole_day_count_as_day_one() -> None:
    """A date with a time of day starts its schedule at once, with the first whole day as day 1 too."""
    rule = RampUp(SMALL, NUMBER)
    since = NOON - HOUR
    (alert,) = run(rule, [placed(NOON + index, since) for index in range(4)])
    assert alert.evidence["day"] == 1
    assert rule.describe(NOON + DAY)["day"] == 1


def test_calls_of_an_earlier_use_say_nothing() -> None:
    """Calls before the register's date are not held against the new use."""
    assert run(RampUp(SMALL, NUMBER), [placed(NEW_SINCE - HOUR + index) for index in range(50)]) == []


@pytest.mark.parametrize("registered", [True, False])
def test_without_a_date_nothing_is_known(registered: bool) -> None:
    """A subject without a date in the register is never held to a schedule: it may be old."""
    rule = RampUp(SMALL, NUMBER)
    assert run(rule, [placed(NOON + index, None, registered=registered) for index in range(50)]) == []
    assert rule.describe(NOON)["state"] == "no_data"
    assert rule.describe(NOON)["calls"] is None


def test_subjects_without_a_date_can_be_taken_for_new() -> None:
    """Told to, the rule counts a subject's age from the first call it has seen of it."""
    rule = RampUp(SMALL.model_copy(update={"assume_new": True}), NUMBER)
    (alert,) = run(rule, [placed(NOON + 2 * DAY + index, None) for index in range(4)])
    assert (alert.evidence["day"], alert.evidence["new_since_from"]) == (1, "first call seen")
    assert alert.evidence["new_since"] == to_iso(from_iso("2026-11-04T10:00:00Z"))


def test_a_campaign_has_its_own_date_and_schedule() -> None:
    """A campaign is held to its own stages, by the date of the campaign and not of the number."""
    facts = [placed(NOON + index, since=0, campaign_since=NEW_SINCE) for index in range(5)]
    (alert,) = run(RampUp(SMALL, CAMPAIGN), facts)
    assert (alert.evidence["calls"], alert.evidence["limit"]) == (5, 4)
    assert run(RampUp(SMALL, CAMPAIGN), calls(1, 50)) == []


def test_the_defaults_fire_first_at_the_fifty_first_call() -> None:
    """At the default settings a new number may place 50 calls in a day, which is the rule's stated minimum."""
    facts = [placed(NOON + index) for index in range(RampUp.LEAST)]
    assert run(RampUp(Settings(), NUMBER), facts[:-1]) == []
    assert len(run(RampUp(Settings(), NUMBER), facts)) == 1


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, the rule neither counts nor fires."""
    rule = RampUp(SMALL.model_copy(update={"enabled": False}), NUMBER)
    assert run(rule, calls(1, 9)) == []
    assert rule.describe(NOON)["state"] == "off"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"number_stages": [[7, 50], [7, 40]]}, "rising order"),
        ({"campaign_stages": []}, "at least 1 item"),
        ({"number_stages": [{"days": 0, "calls_per_day": 5}]}, "greater than or equal to 1"),
        ({"campaigns": {"renewals": {"day_starts_at": 4}}}, "one for all"),
    ],
)
def test_wrong_schedules_are_refused(wrong: dict[str, object], says: str) -> None:
    """A schedule that falls, is empty or has a stage of no days is refused with what to do."""
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate(wrong)


def expected_states(times: list[int]) -> list[AlertState]:
    """What the rule must say, computed anew from all calls so far at each of them."""
    said: list[AlertState] = []
    over: int | None = None
    days: list[int] = []
    for at in times:
        day = (at - 10 * HOUR) // DAY
        days.append(day)
        if over is not None and day >= over + 2:
            said.append(AlertState.RESOLVED)
            over = None
        age = day - (NEW_SINCE - 10 * HOUR) // DAY - 1
        limit = 3 if age < 2 else 5 if age < 5 else None
        if limit is None or day < max(days) - 1 or days.count(day) <= limit:
            continue
        if over is None:
            said.append(AlertState.FIRING)
            over = day
        over = max(over, day)
    return said


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(-100, 100)), max_size=60),
    st.integers(0, 60),
)
def test_it_says_what_a_plain_count_of_all_calls_says(drawn: list[tuple[int, int]], cut: int) -> None:
    """Against a recount of all calls so far: the same transitions, out of order and through bytes in mid-stream."""
    # Around the hour at which the days meet, where order within the lateness matters.
    times = [NEW_SINCE + 10 * HOUR + half * DAY // 2 + seconds * SECOND for half, seconds in drawn]
    times = sorted(times, key=lambda at: (at + MINUTE) // (2 * MINUTE))
    times = [at for at in times if at >= NEW_SINCE]
    rule = RampUp(SMALL, NUMBER)
    found: list[Finding] = []
    for index, at in enumerate(times):
        if index == cut:
            stored = rule.to_bytes()
            rule = RampUp.from_bytes(stored, SMALL, NUMBER)
            assert rule.to_bytes() == stored
        found += rule.update(placed(at))
    assert [alert.state for alert in found if isinstance(alert, Alert)] == expected_states(times)
