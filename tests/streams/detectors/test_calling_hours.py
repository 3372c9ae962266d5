from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import Consent, ContactDetails, NumberRegistration
from schemas.rule_settings.contacts import CallingHours as Settings
from schemas.rule_settings.contacts import UnknownZone
from schemas.suppression import Suppression
from schemas.times import HOUR, MINUTE, from_iso, to_iso
from streams.detectors.calling_hours import CallingHours
from streams.detectors.finding import Lifted
from streams.jurisdictions.calling_law import law_of
from tests.streams import facts

MIAMI = "+13055550123"
NOON = from_iso("2026-11-23T17:00:00Z")


def placed(at: int, contact: str = MIAMI, purpose: str | None = None, **fields: Any) -> CallFact:
    """A call to a contact, as it is placed."""
    registration = None if purpose is None else NumberRegistration(registered=True, purpose=purpose)
    return facts.placed(at, contact=contact, registration=registration, **fields)


def watch(contact: str = MIAMI, **given_settings: Any) -> CallingHours:
    """The rule on a contact."""
    return CallingHours(Settings(**given_settings), Subject(SubjectKind.CONTACT, contact))


def test_a_call_too_late_fires_and_says_why() -> None:
    """One call after 20:00 in Miami fires, tells times, state, law and dates, and suppresses until 8:00."""
    alert, suppression = watch().update(
        placed(from_iso("2026-11-24T01:05:00Z"), contact_details=ContactDetails(consent=Consent.WRITTEN))
    )
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    evidence = alert.evidence
    assert evidence["local_times"] == {"America/New_York": "2026-11-23T20:05"}
    assert evidence["forbidden"] == ["FL America/New_York: 20:05 is not within 08:00-20:00"]
    assert (evidence["states"], evidence["laws"], evidence["laws_since"]) == (
        ["FL"],
        ["Fla. Stat. 501.616(6)"],
        ["2021-07-01"],
    )
    assert (evidence["zones_known_by"], evidence["consent"], evidence["call_sid"]) == (
        "number",
        "written",
        f"CA{alert.at}",
    )
    assert suppression.until == from_iso("2026-11-24T13:00:00Z")
    assert evidence["next_allowed"] == to_iso(suppression.until)


def test_it_resolves_at_the_next_call_within_the_hours() -> None:
    """Calls outside are counted while it fires; the next one inside resolves it, and a later one fires anew."""
    hours = watch()
    fired = hours.update(placed(from_iso("2026-11-24T01:05:00Z")))[0]
    assert hours.update(placed(from_iso("2026-11-24T01:06:00Z"))) == []
    assert hours.describe(from_iso("2026-11-24T01:06:00Z")) == {
        "state": "firing",
        "calls": 2,
        "outside": 2,
        "since": "2026-11-24T01:05:00.000Z",
        "next_allowed": "2026-11-24T13:00:00.000Z",
    }
    [resolved] = hours.update(placed(from_iso("2026-11-24T15:00:00Z")))
    assert isinstance(fired, Alert)
    assert isinstance(resolved, Alert)
    assert (resolved.state, resolved.alert_id, resolved.sequence) == (AlertState.RESOLVED, fired.alert_id, 2)
    again = hours.update(placed(from_iso("2026-11-25T01:05:00Z")))[0]
    assert isinstance(again, Alert)
    assert again.alert_id != fired.alert_id


def test_the_next_night_prolongs_the_suppression() -> None:
    """A call in the following night, with none by day in between, suppresses again under the same alert."""
    hours = watch()
    fired, _ = hours.update(placed(from_iso("2026-11-24T01:05:00Z")))
    [prolonged] = hours.update(placed(from_iso("2026-11-25T01:05:00Z")))
    assert isinstance(fired, Alert)
    assert isinstance(prolonged, Suppression)
    assert (prolonged.alert_id, prolonged.until) == (fired.alert_id, from_iso("2026-11-25T13:00:00Z"))
    assert hours.runs == 1


def test_a_call_told_late_does_not_resolve() -> None:
    """A call inside the hours, placed before the last one outside and told after it, leaves the suppression alone."""
    hours = watch()
    hours.update(placed(from_iso("2026-11-24T01:00:30Z")))
    assert hours.update(placed(from_iso("2026-11-24T00:59:30Z"))) == []
    assert hours.describe(NOON)["state"] == "firing"


def test_what_is_no_solicitation_has_the_default_hours() -> None:
    """A debt may be spoken of until 21:00 in Florida; a sale may not, nor what nobody knows the purpose of."""
    at = from_iso("2026-11-24T01:30:00Z")
    assert watch().update(placed(at, purpose="Debt collection")) == []
    assert watch().update(placed(at, purpose="telemarketing")) != []
    assert watch(not_solicitation=["reminders"]).update(placed(at, purpose="debt collection")) != []


def test_a_number_without_a_zone_is_what_the_setting_says() -> None:
    """Toll-free: strict fires in the morning of New York, allow never, forbid at noon and without an end."""
    toll_free = "+18005550123"
    morning = from_iso("2026-11-23T15:00:00Z")
    assert watch(toll_free).update(placed(morning, toll_free)) != []
    assert watch(toll_free, unknown_zone=UnknownZone.ALLOW).update(placed(morning, toll_free)) == []
    forbidding = watch(toll_free, unknown_zone=UnknownZone.FORBID)
    _, suppression = forbidding.update(placed(from_iso("2026-11-23T19:00:00Z"), toll_free))
    assert isinstance(suppression, Suppression)
    assert suppression.until is None
    # The register learns where the person is.
    at = from_iso("2026-11-23T19:30:00Z")
    resolved, lifted = forbidding.update(placed(at, toll_free, contact_details=ContactDetails(state="NY")))
    assert isinstance(resolved, Alert)
    assert lifted == Lifted(Subject(SubjectKind.CONTACT, toll_free), "calling_hours")


def test_it_can_be_off_and_can_leave_people_alone() -> None:
    """Off, it says nothing and counts nothing; without `suppress` it fires and suppresses nobody."""
    night = from_iso("2026-11-24T06:00:00Z")
    off = watch(enabled=False)
    assert off.update(placed(night)) == []
    assert off.describe(night)["state"] == "off"
    [alert] = watch(suppress=False).update(placed(night))
    assert isinstance(alert, Alert)
    assert watch().describe(night)["state"] == "no_data"


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 72 * 4), min_size=1, max_size=40), st.integers(0, 40))
def test_it_fires_and_resolves_as_the_law_says(quarters: list[int], cut: int) -> None:
    """Whatever the calls, it fires at the first outside and resolves at the first inside after it, by way of bytes."""
    law = law_of(None)
    hours = watch()
    firing = False
    until: int | None = None
    for place, quarter in enumerate(sorted(quarters)):
        if place == cut:
            hours = CallingHours.from_bytes(hours.to_bytes(), hours.settings, hours.subject)
        at = NOON + quarter * 15 * MINUTE + place
        allowed = law.allowed_at(None, MIAMI, at).allowed
        found = [type(one).__name__ for one in hours.update(placed(at))]
        if allowed:
            assert found == (["Alert"] if firing else [])
        elif not firing:
            assert found == ["Alert", "Suppression"]
        else:
            assert until is not None
            assert found == (["Suppression"] if at >= until else [])
        firing = not allowed
        until = None if allowed else law.next_allowed(None, MIAMI, at)
        assert len(hours.to_bytes()) < 80


@pytest.mark.parametrize("hour", range(24))
def test_hours_are_those_of_the_place_and_not_of_the_caller(hour: int) -> None:
    """In Honolulu a call is allowed from 8:00 to 21:00 there, whatever the time elsewhere."""
    at = from_iso("2026-11-23T10:00:00Z") + hour * HOUR
    assert (watch("+18085550123").update(placed(at, "+18085550123")) == []) is (8 <= hour < 21)


def test_a_call_that_the_states_law_does_not_hold_for_lifts_nothing() -> None:
    """Debt collection at 20:40 in Miami is lawful, and does not allow sales calls that were forbidden at 20:30."""
    hours = watch()
    assert len(hours.update(placed(from_iso("2026-11-24T01:30:00Z"), purpose="telemarketing"))) == 2
    assert hours.update(placed(from_iso("2026-11-24T01:40:00Z"), purpose="debt_collection")) == []
    assert hours.describe(from_iso("2026-11-24T01:41:00Z"))["state"] == "firing"
    assert len(hours.update(placed(from_iso("2026-11-24T15:00:00Z"), purpose="debt_collection"))) >= 1
