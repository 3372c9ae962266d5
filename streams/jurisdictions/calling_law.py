"""Whether a person may be called at a moment, and when next: rules of states over local times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from schemas.registration import ContactDetails
from schemas.rule_settings.contacts import UnknownZone
from schemas.state_rules import CLOSED, DefaultRule, StateRule, StateRules, load_state_rules
from schemas.times import DAY, MINUTE
from streams.jurisdictions.holiday_dates import holiday_on
from streams.jurisdictions.place import NATIONWIDE, Place, place_of

SHIPPED: Final = Path(__file__).resolve().parent / "state_rules.toml"
"""The rules that come with ringwatch."""

# All offsets of time zones and all hours of rules are multiples of a quarter of an hour: what is allowed
# holds for one.
_QUARTER: Final = 15 * MINUTE
# Longer than any run of closed days: a Sunday between holidays.
_LOOK_AHEAD: Final = 14 * DAY
# Some 20 MB at most: 1,000 area codes and as many of a person's own places, for a day and a half of quarters each.
_QUARTERS_KEPT: Final = 100_000

_SATURDAY, _SUNDAY = 5, 6


class Forbidden(msgspec.Struct, frozen=True):
    """One reason why a call is not allowed.

    Attributes:
        zone: where it is too early or too late, or the day is closed; empty if no zone is known.
        local: the local time there, as ISO 8601 without an offset; empty if no zone is known.
        state: whose rule forbids it; None for the default rule.
        why: in words.
        rule: the rule; None where there is none, as no zone is known and that is forbidden.
    """

    zone: str
    local: str
    state: str | None
    why: str
    rule: StateRule | DefaultRule | None


class Verdict(msgspec.Struct, frozen=True):
    """Whether a call is allowed, and all reasons why it is not."""

    allowed: bool
    place: Place
    forbidden: tuple[Forbidden, ...] = ()


class AttemptLimit(msgspec.Struct, frozen=True):
    """How many calls within 24 hours a state allows on the same matter."""

    attempts: int
    state: str
    rule: StateRule


class CallingLaw:
    """The rules of a file, and verdicts by them.

    Args:
        rules: of the states.
        unknown_zone: what holds where no zone is known.
    """

    def __init__(self, rules: StateRules, unknown_zone: UnknownZone = UnknownZone.STRICT) -> None:
        self._rules = rules
        self._unknown_zone = unknown_zone
        self._by_state: dict[str, list[StateRule]] = {}
        for rule in rules.rules:
            for state in rule.states:
                self._by_state.setdefault(state, []).append(rule)
        self._allowed: dict[tuple[Place, bool, int], Verdict | None] = {}

    def allowed_at(self, details: ContactDetails | None, number: str, at: int, *, by_states: bool = True) -> Verdict:
        """Whether a person may be called: allowed by every rule that may hold, in every zone they may be in.

        Args:
            details: what the register says of the person; None if it does not know them.
            number: the person's, as E.164.
            at: the moment, in milliseconds since the epoch.
            by_states: whether the states' rules hold besides the default one.

        >>> from schemas.times import from_iso
        >>> law = law_of(None)
        >>> law.allowed_at(None, "+13055550123", from_iso("2026-11-24T00:59:00Z")).allowed  # Miami, 19:59
        True
        >>> [found.why for found in law.allowed_at(None, "+13055550123", from_iso("2026-11-24T01:00:00Z")).forbidden]
        ['20:00 is not within 08:00-20:00']
        """
        place = place_of(details, number)
        allowed = self._allowance(place, by_states, at // _QUARTER)
        return Verdict(False, place, tuple(self._forbidden(place, by_states, at))) if allowed is None else allowed

    def next_allowed(
        self, details: ContactDetails | None, number: str, at: int, *, by_states: bool = True
    ) -> int | None:
        """The first moment from `at` on when the person may be called; None if there is none within 14 days.

        The arguments are those of `allowed_at`; so is the unit of what it gives.

        >>> from schemas.times import from_iso, to_iso
        >>> to_iso(law_of(None).next_allowed(None, "+13055550123", from_iso("2026-11-24T01:00:00Z")))
        '2026-11-24T13:00:00.000Z'
        """
        place = place_of(details, number)
        first = at // _QUARTER
        if not place.zones and self._unknown_zone is UnknownZone.FORBID:
            return None
        for quarter in range(first, first + _LOOK_AHEAD // _QUARTER):
            if self._allowance(place, by_states, quarter) is not None:
                return max(at, quarter * _QUARTER)
        return None

    def attempt_limit(self, details: ContactDetails | None, number: str, at: int) -> AttemptLimit | None:
        """The lowest limit on calls within 24 hours of all states the person may be in; None if there is none.

        A rule holds from the first day that it has begun on in UTC.
        """
        found: AttemptLimit | None = None
        for state in place_of(details, number).states:
            for rule in self._by_state.get(state, ()):
                attempts = rule.attempts_per_24_hours
                if attempts is None or (found is not None and found.attempts <= attempts):
                    continue
                if rule.in_force(datetime.fromtimestamp(at // 1_000, UTC).date()):
                    found = AttemptLimit(attempts, state, rule)
        return found

    def local_times(self, details: ContactDetails | None, number: str, at: int) -> dict[str, str]:
        """The local time, by the minute, in each zone that the person may be in."""
        return {zone: _written(_local(zone, at)) for zone in self._zones(place_of(details, number))}

    def _zones(self, place: Place) -> tuple[str, ...]:
        if place.zones or self._unknown_zone is not UnknownZone.STRICT:
            return place.zones
        return NATIONWIDE

    def _allowance(self, place: Place, by_states: bool, quarter: int) -> Verdict | None:
        """The verdict of a quarter of an hour in which a call is allowed; None of any other."""
        key = (place, by_states, quarter)
        if key in self._allowed:
            return self._allowed[key]
        if len(self._allowed) >= _QUARTERS_KEPT:
            self._allowed.clear()
        is_forbidden = any(self._forbidden(place, by_states, quarter * _QUARTER))
        found = self._allowed[key] = None if is_forbidden else Verdict(True, place)
        return found

    def _forbidden(self, place: Place, by_states: bool, at: int) -> Iterator[Forbidden]:
        if not place.zones and self._unknown_zone is UnknownZone.FORBID:
            yield Forbidden("", "", None, "no time zone is known, and that is forbidden", None)
        for zone in self._zones(place):
            local = _local(zone, at)
            replaced = False
            for state in place.states if by_states else ():
                for rule in self._by_state.get(state, ()):
                    if not rule.in_force(local.date()):
                        continue
                    replaced = replaced or rule.replaces_default
                    why = _why_not(rule, state, local)
                    if why is not None:
                        yield Forbidden(zone, _written(local), state, why, rule)
            if not replaced:
                why = _outside(self._rules.default.hours, local)
                if why is not None:
                    yield Forbidden(zone, _written(local), None, why, self._rules.default)


def _why_not(rule: StateRule, state: str, local: datetime) -> str | None:
    """Why a rule forbids a call at a local time; None if it does not."""
    if rule.holidays is not None:
        holiday = holiday_on(state, local.date(), rule.more_holidays)
        if holiday is not None:
            why = _outside(rule.holidays, local)
            return None if why is None else f"{holiday}: {why}"
    weekday = local.weekday()
    hours = rule.hours
    if weekday == _SATURDAY and rule.saturday is not None:
        hours = rule.saturday
    elif weekday == _SUNDAY and rule.sunday is not None:
        hours = rule.sunday
    if hours is None:
        return None
    why = _outside(hours, local)
    return f"{local:%A}: {why}" if why is not None and hours == CLOSED else why


def _outside(hours: tuple[int, int], local: datetime) -> str | None:
    opens, closes = hours
    if opens <= local.hour * 60 + local.minute < closes:
        return None
    if hours == CLOSED:
        return "no calls on this day"
    return f"{local:%H:%M} is not within {span_text(hours)}"


def span_text(hours: tuple[int, int]) -> str:
    """Write hours as the file of rules has them.

    >>> span_text((480, 1260)), span_text(CLOSED)
    ('08:00-21:00', 'closed')
    """
    if hours == CLOSED:
        return "closed"
    opens, closes = hours
    return f"{opens // 60:02}:{opens % 60:02}-{closes // 60:02}:{closes % 60:02}"


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local(zone: str, at: int) -> datetime:
    return datetime.fromtimestamp(at // 1_000, _zone(zone))


def _written(local: datetime) -> str:
    return local.strftime("%Y-%m-%dT%H:%M")


@lru_cache(maxsize=64)
def law_of(path: Path | None, unknown_zone: UnknownZone = UnknownZone.STRICT) -> CallingLaw:
    """The rules of a company's own file, or the shipped ones; read once.

    Raises:
        ValueError: the file can't be used.
    """
    return CallingLaw(load_state_rules(path or SHIPPED), unknown_zone)


def days_of(rule: StateRule | DefaultRule) -> tuple[date | None, date | None]:
    """The first day on which a rule is in force, and the first on which it is no more."""
    return (rule.since, rule.until) if isinstance(rule, StateRule) else (None, None)
