from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import ContactDetails, NumberRegistration
from schemas.rule_settings.contacts import RepeatCalls as Settings
from schemas.suppression import Suppression
from schemas.times import DAY, HOUR, MINUTE, from_iso, to_iso
from streams.detectors.finding import Lifted
from streams.detectors.repeat_calls import ATTEMPTS_KEPT, RepeatCalls
from tests.streams import facts

CONTACT = "+12125550123"
START = from_iso("2026-11-02T15:00:00Z")
PERIODS = {"per_day": DAY, "per_7_days": 7 * DAY, "per_month": 30 * DAY}


def placed(at: int, purpose: str | None = None, number: str = "+12025550100", **fields: Any) -> CallFact:
    """A call to the contact, as it is placed."""
    registration = None if purpose is None else NumberRegistration(registered=True, purpose=purpose)
    return facts.placed(at, number=number, contact=CONTACT, registration=registration, **fields)


def watch(contact: str = CONTACT, **given_settings: Any) -> RepeatCalls:
    """The rule on a contact."""
    return RepeatCalls(Settings(**given_settings), Subject(SubjectKind.CONTACT, contact))


def fires(repeat: RepeatCalls, times: list[int], purpose: str | None = None) -> list[int]:
    """Which of the calls fire, counted from 0."""
    found = [(place, repeat.update(placed(at, purpose))) for place, at in enumerate(times)]
    return [
        place
        for place, findings in found
        for one in findings
        if isinstance(one, Alert) and one.state is AlertState.FIRING
    ]


def test_the_third_call_of_a_day_is_too_many() -> None:
    """Two within 24 hours are allowed, the third fires; a day is any 24 hours, and no date."""
    assert fires(watch(), [START, START + HOUR, START + DAY - 1]) == [2]
    assert fires(watch(), [START, START + HOUR, START + DAY]) == []


def test_the_sixth_call_of_a_month_is_too_many() -> None:
    """Five within 30 days are allowed, however they are spread."""
    weekly = [START + 5 * DAY * place for place in range(6)]
    assert fires(watch(), weekly) == [5]
    assert fires(watch(per_month=None), weekly) == []
    assert fires(watch(), [START + 6 * DAY * place for place in range(6)]) == []


def test_a_debt_may_be_spoken_of_seven_times_in_seven_days() -> None:
    """Debt collection has its own limit, 7 in 7 days, whatever its purpose's spelling; the eighth call fires."""
    daily = [START + 20 * HOUR * place for place in range(8)]
    assert fires(watch(), daily, "Debt-Collection") == [7]
    assert fires(watch(), daily[:7], "debt collection") == []
    assert fires(watch(), [START + HOUR * place for place in range(7)], "debt_collection") == []


def test_purposes_are_counted_apart() -> None:
    """Two calls for a sale and two for a survey on one day are within the limits of both."""
    repeat = watch()
    assert [repeat.update(placed(START + place * MINUTE, ("sale", "survey")[place % 2])) for place in range(4)] == [
        []
    ] * 4
    assert repeat.update(placed(START + HOUR, "survey")) != []
    described = repeat.describe(START + HOUR)
    assert described["by_purpose"] == {
        "sale": {"per_day": 2, "per_7_days": 2, "per_month": 2},
        "survey": {"per_day": 3, "per_7_days": 3, "per_month": 3},
    }


def test_it_is_suppressed_until_the_window_moves_on() -> None:
    """The suppression ends when one more call is within the limits; that call resolves the alert."""
    repeat = watch()
    for place in range(2):
        repeat.update(placed(START + place * HOUR))
    alert, suppression = repeat.update(placed(START + 2 * HOUR))
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert suppression.until == START + HOUR + DAY
    assert alert.evidence["next_allowed"] == to_iso(suppression.until)
    assert alert.evidence["passed"] == ["3 within 24 hours, 2 allowed"]
    [resolved] = repeat.update(placed(suppression.until))
    assert isinstance(resolved, Alert)
    assert (resolved.state, resolved.alert_id) == (AlertState.RESOLVED, alert.alert_id)


def test_calling_on_prolongs_the_suppression_under_one_alert() -> None:
    """Calls in spite of the suppression push its end back, and tell no new alert."""
    repeat = watch(per_month=None)
    for place in range(3):
        repeat.update(placed(START + place * HOUR))
    [prolonged] = repeat.update(placed(START + 3 * HOUR))
    assert isinstance(prolonged, Suppression)
    assert prolonged.until == START + 2 * HOUR + DAY
    assert repeat.runs == 1


def test_a_call_for_another_purpose_does_not_resolve() -> None:
    """What is about one purpose lasts while a call for another is within its limits, until its own window ends."""
    repeat = watch()
    for place in range(3):
        repeat.update(placed(START + place * HOUR, "sale"))
    assert repeat.update(placed(START + 4 * HOUR, "survey")) == []
    assert repeat.describe(START + 4 * HOUR)["state"] == "firing"
    [resolved] = repeat.update(placed(START + 2 * DAY, "survey"))
    assert isinstance(resolved, Alert)


def test_looser_settings_lift_the_suppression() -> None:
    """A call that is within the limits before the suppression has run out lifts it."""
    repeat = watch()
    for place in range(3):
        repeat.update(placed(START + place * HOUR))
    repeat.settings = Settings(per_day=10)
    resolved, lifted = repeat.update(placed(START + 3 * HOUR))
    assert isinstance(resolved, Alert)
    assert lifted == Lifted(repeat.subject, "repeat_calls")


def test_the_states_limits_hold_for_solicitation() -> None:
    """Florida allows 3 calls in 24 hours for a sale, whatever the company allows itself, and says nothing of a debt."""
    times = [START + place * HOUR for place in range(5)]
    loose: dict[str, Any] = {"per_day": None, "per_7_days": None, "per_month": None, "purposes": {}}
    miami = "+13055550123"
    assert fires(watch(miami, **loose), times) == [3]
    assert fires(watch(miami, **loose), times, "debt collection") == []
    assert fires(watch(**loose), times) == []
    repeat = watch(**loose)
    found = [repeat.update(placed(at, contact_details=ContactDetails(state="FL"))) for at in times[:4]]
    assert isinstance(found[3][0], Alert)
    assert found[3][0].evidence["passed"] == ["4 within 24 hours, 3 allowed (FL: Fla. Stat. 501.616(6))"]


def test_off_says_nothing_and_numbers_are_told() -> None:
    """Off, it counts nothing; on, it tells from which numbers the person was called."""
    off = watch(enabled=False)
    assert fires(off, [START] * 5) == []
    assert off.describe(START)["state"] == "off"
    assert watch().describe(START)["state"] == "no_data"
    repeat = watch()
    repeat.update(placed(START, number="+12025550101"))
    repeat.update(placed(START + 1, number="+12025550100"))
    assert repeat.describe(START + 1)["by_number"] == {"+12025550100": 1, "+12025550101": 1}
    assert repeat.describe(START + 31 * DAY)["attempts_per_month"] == 0


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.tuples(st.integers(0, 40 * 24), st.sampled_from([None, "sale", "debt collection"])), max_size=45),
    st.lists(st.integers(-2, 0), min_size=45, max_size=45),
    st.tuples(*[st.one_of(st.none(), st.integers(1, 8))] * 3),
    st.integers(0, 45),
)
def test_it_counts_as_one_would_by_hand(
    calls: list[tuple[int, str | None]], lags: list[int], limits: tuple[int | None, ...], cut: int
) -> None:
    """Against the list of all calls so far: over a limit fires or holds, within all of them resolves or is silent."""
    own: dict[str, Any] = dict(zip(PERIODS, limits, strict=True))
    repeat = watch(**own)
    told: list[tuple[int, str | None]] = []
    firing = False
    for place, (hour, purpose) in enumerate(sorted(calls, key=lambda call: call[0])):
        if place == cut:
            repeat = RepeatCalls.from_bytes(repeat.to_bytes(), repeat.settings, repeat.subject)
        at = START + hour * HOUR + lags[place] * MINUTE
        told.append((at, purpose))
        newest = max(before for before, _ in told)
        over = {}
        for kind in {kind for _, kind in told}:
            of_kind: dict[str, int | None] = {"per_7_days": 7} if kind == "debt collection" else own
            counts = {
                period: sum(newest - PERIODS[period] < before and other == kind for before, other in told)
                for period in of_kind
            }
            over[kind] = any(limit is not None and counts[period] > limit for period, limit in of_kind.items())
        found = repeat.update(placed(at, purpose))
        alerts = [one.state for one in found if isinstance(one, Alert)]
        if over[purpose]:
            assert alerts == ([] if firing else [AlertState.FIRING])
            firing = True
        elif firing and not any(over.values()):
            assert alerts == [AlertState.RESOLVED]
            firing = False
        else:
            assert found == []
        for one in found:
            if isinstance(one, Suppression):
                assert one.until is not None
                assert one.until > newest
    assert len(repeat.state.attempts) <= ATTEMPTS_KEPT


def test_what_is_kept_is_bounded() -> None:
    """However often a person is called, only so many calls are kept; the largest limit is still seen to be passed."""
    repeat = watch(per_day=50, per_7_days=None, per_month=None)
    assert fires(repeat, [START + place * MINUTE for place in range(200)]) == [50]
    assert len(repeat.state.attempts) == ATTEMPTS_KEPT
    assert len(repeat.to_bytes()) < 2_500
