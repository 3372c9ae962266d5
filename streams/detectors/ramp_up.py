"""The rule `ramp_up`: a new number or campaign grows faster than its schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.numbers import RampStage
from schemas.rule_settings.numbers import RampUp as Settings
from schemas.times import DAY, HOUR, to_iso
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding

_TEXT: Final = RuleText(
    rule="ramp_up",
    source=(
        "A schedule by age, from what dialers publish: three stages of 7 days with 10, 20 and 30 calls "
        "(help.affordablecare.ai), 340 calls on day two as twice what a number under 30 days bears "
        "(quantumautomations.ai, June 2026), 40 to 50 calls a day and 100 at most for any number. Vendors' practice, "
        "unproven; no law and no carrier names a figure."
    ),
    what_to_do={
        SubjectKind.NUMBER: "Call less from the number for the rest of the day, and let it grow by its schedule.",
        SubjectKind.CAMPAIGN: "Slow the campaign down for the rest of the day, and let it grow by its schedule.",
    },
)


class _State(DetectorState, array_like=True):
    """What is kept between two calls; days are numbered from the epoch.

    Attributes:
        seen: the day of the first call seen.
        first: the first day of the present use, as of the last call; None if there is none to go by.
        day: the newest day with a call that was looked at.
        calls: calls of that day.
        calls_before: calls of the day before.
        over: the last day past its limit.
        days_over: such days in the present run.
        peak: the most calls of a day in the present run, of those past their limit.
    """

    seen: int | None = None
    first: int | None = None
    day: int = 0
    calls: int = 0
    calls_before: int = 0
    over: int = 0
    days_over: int = 0
    peak: int = 0


class RampUp(Detector[Settings, _State]):
    """A number or campaign that is new and calls more in a day than its age allows.

    Use it where numbers are bought or campaigns begun. The schedule is a list of stages of so many days, each with so
    many calls a day; after the last one there is no limit. Age counts from the register's date: without one, nothing is
    known of it, and the rule says nothing unless it is told to take such subjects for new. The rule fires at the call
    that takes a day past its limit, stays silent while each day that follows is past its own, and resolves with the
    first call after a whole later day within the schedule.

    Args:
        settings: the rule's settings; stages in days and calls a day, `day_starts_at` in hours UTC.
        subject: the number or campaign.
        state: what was kept of it.

    >>> from schemas.alert import Subject
    >>> rule = RampUp(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> rule.describe(0)["state"]
    'no_data'
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = _State
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER, SubjectKind.CAMPAIGN})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    # The first stage of a number allows 50 calls a day; a campaign's allows more.
    LEAST: ClassVar[int] = 51

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one placed call."""
        if not self.settings.enabled:
            return NOTHING
        state, at = self.state, fact.after.attempted_at
        day = self._day(at)
        since = self._registered_since(fact)
        if state.seen is None or day < state.seen:
            state.seen = day
        # Rounded up: a date is a midnight, some hours before its own day's count begins.
        state.first = None if since is None else self._day(since + DAY - 1)
        findings = NOTHING if state.episode.since is None else self._close(fact, day)
        limit = self._limit(day)
        # A call before the date belongs to an earlier use, of which the date says nothing.
        if limit is None or (since is not None and at < since):
            return findings
        calls = self._count(day)
        if calls is None or calls <= limit:
            return findings
        if state.episode.is_firing:
            state.days_over += day > state.over
            state.over = max(state.over, day)
            state.peak = max(state.peak, calls)
            return findings
        state.over, state.days_over, state.peak = day, 1, calls
        return [*findings, self._fire(fact, day, limit, calls)]

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it; `limit` is None once the schedule is through.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """
        state, day = self.state, self._day(at)
        first = self._first()
        limit = self._limit(day)
        return {
            "state": self.word("no_data" if first is None else "ok"),
            "day": None if first is None else max(day - first, 0) + 1,
            "calls": None if limit is None else state.calls if day == state.day else 0,
            "limit": limit,
            "since": state.episode.since_iso,
        }

    def _day(self, at: int) -> int:
        return (at - self.settings.day_starts_at * HOUR) // DAY

    def _registered_since(self, fact: CallFact) -> int | None:
        registration = fact.registration
        if registration is None:
            return None
        return registration.since if self.subject.kind is SubjectKind.NUMBER else registration.campaign_since

    def _first(self) -> int | None:
        """The subject's first day; None if there is nothing to go by."""
        state = self.state
        return state.seen if state.first is None and self.settings.assume_new else state.first

    def _stages(self) -> list[RampStage]:
        settings = self.settings
        return settings.number_stages if self.subject.kind is SubjectKind.NUMBER else settings.campaign_stages

    def _limit(self, day: int) -> int | None:
        """Calls that a day may have; None if there is no limit, or nothing to go by."""
        first = self._first()
        if first is None:
            return None
        left = day - first
        for days, calls_per_day in self._stages():
            if left < days:
                return calls_per_day
            left -= days
        return None

    def _count(self, day: int) -> int | None:
        """Count a call; give its day's calls, or None for a day that is no longer looked at."""
        state = self.state
        if day > state.day:
            state.calls_before = state.calls if day == state.day + 1 else 0
            state.day, state.calls = day, 0
        if day == state.day:
            state.calls += 1
            return state.calls
        if day == state.day - 1:
            state.calls_before += 1
            return state.calls_before
        return None

    def _close(self, fact: CallFact, day: int) -> Sequence[Finding]:
        """Resolve if a whole day since the last one past its limit is over."""
        state = self.state
        # The day after `over` has ended, and was not past its limit, or it would itself be `over`.
        if day < state.over + 2:
            return NOTHING
        alert = self.resolve(
            at=fact.at,
            message=f"{self._whose()} is back within its schedule; the peak was {state.peak} calls in a day.",
            evidence={"peak": state.peak, "days_over": state.days_over, "campaign": fact.campaign},
        )
        return [alert]

    def _fire(self, fact: CallFact, day: int, limit: int, calls: int) -> Finding:
        state, first = self.state, self._first()
        assert first is not None
        age = max(day - first, 0) + 1
        evidence: Evidence = {
            "calls": calls,
            "limit": limit,
            "day": age,
            "new_since": to_iso(self._start(first)),
            "new_since_from": "first call seen" if state.first is None else "register",
            "schedule": [f"{stage.days} days: {stage.calls_per_day} calls a day" for stage in self._stages()],
            "campaign": fact.campaign,
            "call_sid": fact.call_sid,
        }
        return self.fire(
            at=fact.at,
            since=self._start(day),
            message=f"{self._whose()} placed {calls} calls on day {age} of its use; its schedule allows {limit}.",
            evidence=evidence,
        )

    def _start(self, day: int) -> int:
        return day * DAY + self.settings.day_starts_at * HOUR

    def _whose(self) -> str:
        return f"{self.subject.kind.value.capitalize()} {self.subject.value}"
