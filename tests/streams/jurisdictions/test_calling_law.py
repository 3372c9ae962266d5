from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache
from zoneinfo import ZoneInfo

import holidays
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.registration import ContactDetails
from schemas.rule_settings.contacts import UnknownZone
from schemas.state_rules import PROVINCES, STATES, load_state_rules
from schemas.times import DAY, HOUR, MINUTE, from_iso, to_iso
from streams.jurisdictions.calling_law import SHIPPED, law_of
from streams.jurisdictions.numbering import states_of_number, zones_of_number, zones_of_state
from streams.jurisdictions.place import NATIONWIDE, KnownBy, place_of

START = from_iso("2026-01-01T00:00:00Z")
NUMBERS = [
    "+12125550123",  # New York
    "+13055550123",  # Miami
    "+18505550123",  # Florida's panhandle: two zones
    "+14015550123",  # Rhode Island: Saturdays, Sundays, holidays
    "+12155550123",  # Pennsylvania: holidays, and Sundays from a day in 2026 on
    "+18015550123",  # Utah: Pioneer Day
    "+19285550123",  # Arizona: summer time in the Navajo Nation only
    "+17095550123",  # Newfoundland: half an hour off
    "+19025550123",  # two provinces
    "+18085550123",  # Hawaii
    "+17875550123",  # Puerto Rico
    "+18095550123",  # Dominican Republic, of the plan and of no state
    "+919876543210",  # India: half an hour off, by the default hours
    "+6421234567",  # New Zealand with the Chatham Islands, 45 minutes off
]


@cache
def holiday(state: str, year: int) -> dict[date, str]:
    """The holidays of a state in a year, straight from the library."""
    return dict(holidays.country_holidays("CA" if state in PROVINCES else "US", subdiv=state, years=year))


def plainly_allowed(zones: tuple[str, ...], states: tuple[str, ...], at: int) -> bool:
    """The law once more, rule by rule and zone by zone, without anything kept."""
    rules = load_state_rules(SHIPPED)
    for zone in zones:
        local = datetime.fromtimestamp(at / 1_000, UTC).astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        spans: list[tuple[int, int] | None] = []
        replaced = False
        for rule in rules.rules:
            for state in set(rule.states) & set(states):
                if (rule.since and local.date() < rule.since) or (rule.until and local.date() >= rule.until):
                    continue
                replaced |= rule.replaces_default
                is_holiday = local.date() in holiday(state, local.year) or f"{local:%m-%d}" in rule.more_holidays
                if is_holiday and rule.holidays is not None:
                    spans.append(rule.holidays)
                else:
                    own = {5: rule.saturday, 6: rule.sunday}.get(local.weekday())
                    spans.append(rule.hours if own is None else own)
        if not replaced:
            spans.append(rules.default.hours)
        if any(span is not None and not span[0] <= minute < span[1] for span in spans):
            return False
    return True


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(NUMBERS), st.integers(0, 2 * 365 * DAY // 1_000))
def test_a_verdict_is_that_of_every_rule_in_every_zone(number: str, second: int) -> None:
    """For any second of two years the verdict is what the rules say one by one; the next hour is the first allowed."""
    at = START + second * 1_000
    zones, states = zones_of_number(number), states_of_number(number)
    law = law_of(None)
    verdict = law.allowed_at(None, number, at)
    assert verdict.allowed is plainly_allowed(zones, states, at)
    assert verdict.allowed is (not verdict.forbidden)
    after = law.next_allowed(None, number, at)
    assert after is not None
    assert (after == at) is verdict.allowed
    assert plainly_allowed(zones, states, after)
    for before in range(at, after, 15 * MINUTE):
        assert not plainly_allowed(zones, states, before)
    if after > at:
        assert not plainly_allowed(zones, states, after - 1)


@pytest.mark.parametrize(
    ("number", "iso", "allowed"),
    [
        ("+12125550123", "2026-03-08T12:59:59Z", True),  # New York, 8:59 on the day summer time begins
        ("+12125550123", "2026-03-08T11:59:59Z", False),  # 7:59
        ("+12125550123", "2026-03-07T12:59:59Z", False),  # the day before: 7:59
        ("+12125550123", "2026-11-01T12:59:59Z", False),  # summer time is over: 7:59
        ("+12125550123", "2026-11-01T13:00:00Z", True),
        ("+12125550123", "2026-11-02T01:59:59Z", True),  # 20:59
        ("+12125550123", "2026-11-02T02:00:00Z", False),  # 21:00 is past
        ("+18505550123", "2026-11-23T13:30:00Z", False),  # 8:30 in Tallahassee, 7:30 in Pensacola
        ("+18505550123", "2026-11-24T01:30:00Z", False),  # 20:30 in Tallahassee
        ("+12155550123", "2026-10-11T16:00:00Z", True),  # Pennsylvania's last Sunday
        ("+12155550123", "2026-10-18T16:00:00Z", False),
        ("+12155550123", "2026-11-26T16:00:00Z", False),  # Thanksgiving
        ("+12155550123", "2027-06-14T16:00:00Z", False),  # Flag Day
        ("+18015550123", "2026-07-24T18:00:00Z", False),  # Pioneer Day in Utah
        ("+13035550123", "2026-07-24T18:00:00Z", True),  # and in Colorado a day like others
        (
            "+14165550123",
            "2026-11-24T02:29:59Z",
            True,
        ),  # Toronto, Monday 21:29: the province's rule replaces the default
        ("+14165550123", "2026-11-24T02:30:00Z", False),
        ("+14165550123", "2026-11-21T23:00:00Z", False),  # Saturday 18:00
        ("+13055550123", "2021-06-30T23:30:00Z", True),
        ("+13055550123", "2021-07-02T00:30:00Z", False),  # Florida's rule since 2021-07-01: 20:30
        ("+13055550123", "2021-06-30T00:30:00Z", True),  # not in force yet
    ],
)
def test_days_and_dates_that_matter(number: str, iso: str, allowed: bool) -> None:
    """Summer time, holidays, Sundays, and the days on which rules come into force."""
    assert law_of(None).allowed_at(None, number, from_iso(iso)).allowed is allowed


def test_a_verdict_names_zone_state_rule_and_reason() -> None:
    """Who reads the verdict learns where it was too late, by whose rule, and that a holiday is why."""
    law = law_of(None)
    verdict = law.allowed_at(None, "+18505550123", from_iso("2026-11-24T01:30:00Z"))
    [found] = verdict.forbidden
    assert (found.zone, found.local, found.state) == ("America/New_York", "2026-11-23T20:30", "FL")
    assert found.rule is not None
    assert (found.why, found.rule.source) == ("20:30 is not within 08:00-20:00", "Fla. Stat. 501.616(6)")
    [found] = law.allowed_at(None, "+18015550123", from_iso("2026-07-24T18:00:00Z")).forbidden
    assert (found.state, found.why) == ("UT", "Pioneer Day: no calls on this day")


@pytest.mark.parametrize(
    ("details", "zones", "states", "known_by"),
    [
        (ContactDetails(), ("America/New_York",), ("NY",), KnownBy.NUMBER),
        (ContactDetails(state="AZ"), zones_of_state("AZ"), ("AZ",), KnownBy.STATE),
        (ContactDetails(state="AZ", zip="96813"), ("Pacific/Honolulu",), ("AZ", "HI"), KnownBy.ZIP),
        (
            ContactDetails(state="AZ", zip="96813", time_zone="America/Phoenix"),
            ("America/Phoenix",),
            ("AZ", "HI"),
            KnownBy.TIME_ZONE,
        ),
        (ContactDetails(time_zone="Europe/Berlin"), ("Europe/Berlin",), ("NY",), KnownBy.TIME_ZONE),
        (ContactDetails(zip="09012"), ("America/New_York",), ("NY",), KnownBy.NUMBER),
        (ContactDetails(state="XX", time_zone="Mars/Olympus"), ("America/New_York",), ("NY",), KnownBy.NUMBER),
    ],
)
def test_details_come_before_the_number(
    details: ContactDetails, zones: tuple[str, ...], states: tuple[str, ...], known_by: KnownBy
) -> None:
    """Zones are the person's own, else by ZIP, state, number; states are those of ZIP and state, else the number's."""
    place = place_of(details, "+12125550123")
    assert (place.zones, place.states, place.known_by) == (zones, states, known_by)


@pytest.mark.parametrize(
    "number", ["+18005550123", "+15005550123", "+19005550123", "+8701234567", "anonymous", "+1", ""]
)
def test_nothing_known_is_what_the_setting_says(number: str) -> None:
    """Toll-free, premium and personal numbers have no zone: strict by default, or allowed, or forbidden at any hour."""
    assert place_of(None, number).known_by is KnownBy.NOTHING
    strict = law_of(None)
    for hour in range(24):
        at = from_iso("2026-11-23T00:00:00Z") + hour * HOUR
        assert strict.allowed_at(None, number, at).allowed is plainly_allowed(NATIONWIDE, (), at)
        assert law_of(None, UnknownZone.ALLOW).allowed_at(None, number, at).allowed
        assert not law_of(None, UnknownZone.FORBID).allowed_at(None, number, at).allowed
    # From 8:00 in Honolulu to 21:00 in New York, in winter.
    at = from_iso("2026-11-23T02:00:00Z")
    assert to_iso(strict.next_allowed(None, number, at) or 0) == "2026-11-23T18:00:00.000Z"
    assert law_of(None, UnknownZone.FORBID).next_allowed(None, number, at) is None
    assert law_of(None, UnknownZone.ALLOW).next_allowed(None, number, at) == at


def test_states_rules_can_be_left_out() -> None:
    """Without the states' rules the default hours hold: for calls that are no solicitation."""
    at = from_iso("2026-11-24T01:30:00Z")
    law = law_of(None)
    assert not law.allowed_at(None, "+13055550123", at).allowed
    assert law.allowed_at(None, "+13055550123", at, by_states=False).allowed


def test_the_lowest_limit_on_attempts_holds_when_it_is_in_force() -> None:
    """The limit is that of the states the person may be in, from its first day on; most states have none."""
    law = law_of(None)
    at = from_iso("2026-11-24T01:30:00Z")
    found = law.attempt_limit(None, "+13055550123", at)
    assert found is not None
    assert (found.attempts, found.state) == (3, "FL")
    assert law.attempt_limit(None, "+13055550123", from_iso("2021-06-30T12:00:00Z")) is None
    assert law.attempt_limit(None, "+12125550123", at) is None
    assert law.attempt_limit(ContactDetails(state="MD"), "+12125550123", at) is not None


def test_hours_and_offsets_are_multiples_of_a_quarter_of_an_hour() -> None:
    """A verdict is kept for a quarter of an hour: no zone changes its offset, and no rule its mind, within one."""
    rules = load_state_rules(SHIPPED)
    spans = [rules.default.hours]
    spans += [span for rule in rules.rules for span in (rule.hours, rule.saturday, rule.sunday, rule.holidays) if span]
    assert all(minute % 15 == 0 for span in spans for minute in span)
    zones = {zone for state in STATES for zone in zones_of_state(state)} | {"Pacific/Chatham", "Asia/Kathmandu"}
    for zone in zones:
        days = [datetime.fromtimestamp((START + day * DAY) / 1_000, ZoneInfo(zone)) for day in range(365)]
        assert all(moment.utcoffset().total_seconds() % 900 == 0 for moment in days)  # type: ignore[union-attr]
        assert len({moment.utcoffset() for moment in days}) <= 2
