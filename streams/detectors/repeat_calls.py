"""The rule `repeat_calls`: a person is called more often than a day, a week or a month allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, Scalar, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.contacts import MOST_ATTEMPTS, Period, purpose_key
from schemas.rule_settings.contacts import RepeatCalls as Settings
from schemas.times import DAY, to_iso
from streams.detectors.contact_alerts import begun, evidence_of_call, is_held, lifted, prolonged
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.jurisdictions.calling_law import law_of

_TEXT: Final = RuleText(
    rule="repeat_calls",
    source="Debt collection: 12 CFR 1006.14(b)(2)(i)(A) (CFPB Regulation F, in force since 2021-11-30), more than 7 "
    "calls in 7 days. Solicitation: the states' limits, such as Fla. Stat. 501.616(6)(b), since 2021-07-01. The other "
    "limits are ringwatch's own.",
    what_to_do={
        SubjectKind.CONTACT: "Do not call the person again before the window has moved on; look for one person on "
        "several lists, and for a dialer that tries again too soon.",
    },
)

PERIODS: Final[dict[Period, int]] = {"per_day": DAY, "per_7_days": 7 * DAY, "per_month": 30 * DAY}
"""The sliding windows, in milliseconds; a month is 30 days."""

ATTEMPTS_KEPT: Final = MOST_ATTEMPTS + 1
"""Attempts remembered of a person: one more than the largest limit, so that each can be seen to be passed."""

_PERIOD_NAMES: Final[dict[Period, str]] = {"per_day": "24 hours", "per_7_days": "7 days", "per_month": "30 days"}

# Purposes come from the register; there are few of them.
_key_of = lru_cache(maxsize=1_024)(purpose_key)


class Attempt(msgspec.Struct, array_like=True, frozen=True):
    """One call to the person: when, for which purpose (None if that is not known), from which number."""

    at: int
    number: str
    purpose: str | None = None


def _time_of(attempt: Attempt) -> int:
    return attempt.at


class RepeatCallsState(DetectorState, array_like=True):
    """What is kept of a contact.

    Attributes:
        attempts: of the last 30 days, by time; the latest `ATTEMPTS_KEPT` of them.
        suppressed: whether the run under way asked for a suppression.
    """

    attempts: list[Attempt] = msgspec.field(default_factory=list)
    suppressed: bool = False


class Excess(msgspec.Struct, frozen=True):
    """A limit that was passed: so many calls in a period, where so many are allowed, and by whom."""

    period: Period
    count: int
    limit: int
    state: str | None
    source: str | None
    until: int


class RepeatCalls(Detector[Settings, RepeatCallsState]):
    """More calls to one person than their limits allow, in windows of 24 hours, 7 and 30 days that slide by event time.

    Use it on each contact. Calls are counted by the purpose of their campaigns; calls whose purpose nobody knows are
    counted together. The limits are those of the purpose, else the general ones, and for solicitation those of the
    states that the person may be in. The windows end at the latest call. The contact is suppressed until so many calls
    have left their windows that one more is within the limits. The alert resolves at a call by which the limits of no
    purpose are passed any more.

    Args:
        settings: limits, by purpose; for which purposes the states' limits hold, and their file.
        subject: the contact.
        state: what was kept of it.

    Reference:
        12 CFR 1006.14(b)(2)(i)(A); Fla. Stat. 501.616(6)(b).

    >>> from schemas.alert import Subject
    >>> from schemas.call import Contribution, Direction, Origin
    >>> from schemas.times import HOUR
    >>> def placed(at: int) -> CallFact:
    ...     return CallFact(fact=FactKind.PLACED, revision=0, origin=Origin(0, at, 0), at=at, call_sid="CA1",
    ...                     account_sid="AC1", number="+12025550100", contact="+13055550123", campaign="spring-sale",
    ...                     direction=Direction.OUTBOUND_API, counted=True, after=Contribution(attempted_at=at))
    >>> start = 1_795_442_400_000
    >>> repeat = RepeatCalls(Settings(), Subject(SubjectKind.CONTACT, "+13055550123"))
    >>> [repeat.update(placed(start + hour * HOUR)) for hour in (0, 1)]
    [[], []]
    >>> alert, suppression = repeat.update(placed(start + 2 * HOUR))
    >>> alert.message
    '+13055550123 was called 3 times within 24 hours; 2 are allowed.'
    >>> (suppression.until - start) // HOUR  # the second call has left the window then
    25
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = RepeatCallsState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CONTACT})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    LEAST: ClassVar[int] = 3

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one call as it is placed."""
        if not self.settings.enabled:
            return NOTHING
        state = self.state
        registration = fact.registration
        purpose = None if registration is None or registration.purpose is None else _key_of(registration.purpose)
        attempts = state.attempts
        attempts.append(Attempt(fact.at, fact.number, purpose))
        if len(attempts) == 1:
            # Most people are called once; a limit is 1 at least.
            return NOTHING
        if fact.at < attempts[-2].at:
            attempts.sort(key=_time_of)
        newest = attempts[-1].at
        if attempts[0].at <= newest - PERIODS["per_month"] or len(attempts) > ATTEMPTS_KEPT:
            kept = [attempt for attempt in attempts if attempt.at > newest - PERIODS["per_month"]]
            state.attempts = attempts = kept[-ATTEMPTS_KEPT:]
        passed = self._passed(fact, purpose)
        if passed:
            return self._over(fact, passed)
        # What is about one purpose is not over because a call for another one is within its limits.
        if state.episode.is_firing and not any(
            self._passed(fact, other) for other in {attempt.purpose for attempt in attempts} - {purpose}
        ):
            return self._resolve(fact)
        return NOTHING

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it: attempts in windows that end at `at`, by purpose, and from which numbers."""
        state = self.state
        until = state.episode.until
        recent = [attempt for attempt in state.attempts if at - PERIODS["per_month"] < attempt.at <= at]
        return {
            "state": self.word("ok" if state.attempts else "no_data"),
            **{
                f"attempts_{period}": sum(attempt.at > at - length for attempt in recent)
                for period, length in PERIODS.items()
            },
            "by_purpose": {
                purpose: {
                    period: sum(
                        attempt.at > at - length and (attempt.purpose or "unknown") == purpose for attempt in recent
                    )
                    for period, length in PERIODS.items()
                }
                for purpose in sorted({attempt.purpose or "unknown" for attempt in recent})
            },
            "by_number": dict(sorted(Counter(attempt.number for attempt in recent).items())),
            "since": state.episode.since_iso,
            "next_allowed": None if until is None or until <= at else to_iso(until),
        }

    def _passed(self, fact: CallFact, purpose: str | None) -> list[Excess]:
        """The limits that calls of one purpose have passed, now that this call was placed."""
        settings = self.settings
        times = [attempt.at for attempt in self.state.attempts if attempt.purpose == purpose]
        newest = self.state.attempts[-1].at
        found = []
        for period, limit in settings.limits_of(purpose).items():
            excess = _excess(times, newest, period, limit)
            if excess is not None:
                found.append(excess)
        if len(times) > 1 and not any(purpose_key(name) == purpose for name in settings.not_solicitation):
            of_state = law_of(settings.state_rules_file).attempt_limit(
                fact.contact_details, self.subject.value, fact.at
            )
            if of_state is not None:
                excess = _excess(times, newest, "per_day", of_state.attempts, of_state.state, of_state.rule.source)
                if excess is not None:
                    found.append(excess)
        return found

    def _over(self, fact: CallFact, passed: Sequence[Excess]) -> Sequence[Finding]:
        settings, state = self.settings, self.state
        until = max(excess.until for excess in passed)
        worst = max(passed, key=lambda excess: (excess.count - excess.limit, excess.period))
        by_whom = "" if worst.state is None else f" in {worst.state}"
        message = (
            f"{self.subject.value} was called {worst.count} times within {_PERIOD_NAMES[worst.period]}; "
            f"{worst.limit} are allowed{by_whom}."
        )
        if not state.episode.is_firing:
            evidence = self._evidence(fact, passed, until)
            alert = self.fire(at=fact.at, since=fact.at, message=message, evidence=evidence)
            return begun(state, alert, until, suppress=settings.suppress)
        if not settings.suppress or is_held(state, until):
            return NOTHING
        evidence = self._evidence(fact, passed, until)
        return [prolonged(state, self.TEXT, self.subject, at=fact.at, until=until, reason=message, evidence=evidence)]

    def _resolve(self, fact: CallFact) -> Sequence[Finding]:
        message = f"{self.subject.value} was called within the limits again."
        evidence: Evidence = {**evidence_of_call(fact), **self._counts()}
        taken_back = lifted(self.state, self.subject, self.RULE, fact.at)
        return [self.resolve(at=fact.at, message=message, evidence=evidence), *taken_back]

    def _counts(self) -> Evidence:
        attempts = self.state.attempts
        newest = attempts[-1].at
        counts: Evidence = {
            f"attempts_{period}": sum(attempt.at > newest - length for attempt in attempts)
            for period, length in PERIODS.items()
        }
        counts["from_numbers"] = list[Scalar](sorted({attempt.number for attempt in attempts}))
        return counts

    def _evidence(self, fact: CallFact, passed: Sequence[Excess], until: int) -> Evidence:
        evidence: Evidence = {
            **evidence_of_call(fact),
            **self._counts(),
            "passed": [
                f"{excess.count} within {_PERIOD_NAMES[excess.period]}, {excess.limit} allowed"
                f"{'' if excess.state is None else f' ({excess.state}: {excess.source})'}"
                for excess in passed
            ],
            "next_allowed": to_iso(until),
        }
        return evidence


def _excess(
    times: Sequence[int], newest: int, period: Period, limit: int, state: str | None = None, source: str | None = None
) -> Excess | None:
    length = PERIODS[period]
    within = [at for at in times if at > newest - length]
    if len(within) <= limit:
        return None
    # One more call is allowed once all but limit - 1 of them have left the window.
    return Excess(period, len(within), limit, state, source, within[-limit] + length)
