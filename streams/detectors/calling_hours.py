"""The rule `calling_hours`: a person was called at an hour or on a day when they may not be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.contacts import CallingHours as Settings
from schemas.rule_settings.contacts import purpose_key
from schemas.times import to_iso
from streams.detectors.contact_alerts import begun, evidence_of_call, is_held, lifted, prolonged
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.jurisdictions.calling_law import Verdict, days_of, law_of

_TEXT: Final = RuleText(
    rule="calling_hours",
    source="16 CFR 310.4(c) and 47 CFR 64.1200(c)(1): 8:00 to 21:00 at the place of the person called; "
    "the states' own rules are named in `laws`.",
    what_to_do={
        SubjectKind.CONTACT: "Call within the hours of all zones that the person may be in; where they are wrong, give "
        "the register the person's time zone, ZIP code or state.",
    },
)


class CallingHoursState(DetectorState, array_like=True):
    """What is kept of a contact.

    Attributes:
        calls: how many were placed.
        outside: how many of them outside the hours.
        last_outside: event time of the last of those, in milliseconds since the epoch.
        suppressed: whether the run under way asked for a suppression.
    """

    calls: int = 0
    outside: int = 0
    last_outside: int = 0
    suppressed: bool = False


class CallingHours(Detector[Settings, CallingHoursState]):
    """A call outside the hours of the person called, in any of the time zones that they may be in.

    Use it on each contact. Nothing is learned: one call is enough. The local time must be allowed in every zone and by
    the rules of every state that may hold, so that a guess is never to the person's cost. The contact is suppressed
    until the hour comes, and the alert resolves at the next call inside the hours.

    Args:
        settings: what holds where no zone is known, for which purposes the states' rules hold, and their file.
        subject: the contact.
        state: what was kept of it.

    Reference:
        16 CFR 310.4(c); 47 CFR 64.1200(c)(1); the states' rules of `streams/jurisdictions/state_rules.toml`.

    >>> from schemas.alert import Subject
    >>> from schemas.call import Contribution, Direction, Origin
    >>> from schemas.times import from_iso
    >>> def placed(iso: str) -> CallFact:
    ...     at = from_iso(iso)
    ...     return CallFact(fact=FactKind.PLACED, revision=0, origin=Origin(0, at, 0), at=at, call_sid="CA1",
    ...                     account_sid="AC1", number="+12025550100", contact="+13055550123", campaign="spring-sale",
    ...                     direction=Direction.OUTBOUND_API, counted=True, after=Contribution(attempted_at=at))
    >>> hours = CallingHours(Settings(), Subject(SubjectKind.CONTACT, "+13055550123"))
    >>> hours.update(placed("2026-11-23T23:30:00Z"))  # 18:30 in Miami
    []
    >>> alert, suppression = hours.update(placed("2026-11-24T01:30:00Z"))  # 20:30
    >>> alert.message
    '+13055550123 was called outside the hours: 20:30 is not within 08:00-20:00 (FL, America/New_York).'
    >>> to_iso(suppression.until)
    '2026-11-24T13:00:00.000Z'
    >>> [found.state.value for found in hours.update(placed("2026-11-24T14:00:00Z"))]
    ['resolved']
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = CallingHoursState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CONTACT})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    LEAST: ClassVar[int] = 1

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one call as it is placed."""
        settings = self.settings
        if not settings.enabled:
            return NOTHING
        state = self.state
        state.calls += 1
        law = law_of(settings.state_rules_file, settings.unknown_zone)
        verdict = law.allowed_at(
            fact.contact_details, self.subject.value, fact.at, by_states=self._is_solicitation(fact)
        )
        if verdict.allowed:
            # Calls may be told of a little out of order: one before the last that was outside says nothing of it.
            if state.episode.is_firing and fact.at > state.last_outside:
                # A call that the states' rules do not hold for says nothing about one that they forbade.
                strict = law.allowed_at(fact.contact_details, self.subject.value, fact.at, by_states=True)
                return self._resolve(fact) if strict.allowed else NOTHING
            return NOTHING
        state.outside += 1
        state.last_outside = max(state.last_outside, fact.at)
        return self._outside(fact, verdict)

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it."""
        state = self.state
        until = state.episode.until
        return {
            "state": self.word("ok" if state.calls else "no_data"),
            "calls": state.calls,
            "outside": state.outside,
            "since": state.episode.since_iso,
            "next_allowed": None if until is None or until <= at else to_iso(until),
        }

    def _is_solicitation(self, fact: CallFact) -> bool:
        registration = fact.registration
        if registration is None or registration.purpose is None:
            return True
        purpose = purpose_key(registration.purpose)
        return all(purpose_key(other) != purpose for other in self.settings.not_solicitation)

    def _outside(self, fact: CallFact, verdict: Verdict) -> Sequence[Finding]:
        settings, state = self.settings, self.state
        until = law_of(settings.state_rules_file, settings.unknown_zone).next_allowed(
            fact.contact_details, self.subject.value, fact.at, by_states=self._is_solicitation(fact)
        )
        first = verdict.forbidden[0]
        where = ", ".join(part for part in (first.state, first.zone) if part)
        message = f"{self.subject.value} was called outside the hours: {first.why}{f' ({where})' if where else ''}."
        if not state.episode.is_firing:
            evidence = self._evidence(fact, verdict, until)
            alert = self.fire(at=fact.at, since=fact.at, message=message, evidence=evidence)
            return begun(state, alert, until, suppress=settings.suppress)
        if not settings.suppress or is_held(state, until):
            return NOTHING
        # The next night: the suppression has run out, and the alert still stands.
        evidence = self._evidence(fact, verdict, until)
        return [prolonged(state, self.TEXT, self.subject, at=fact.at, until=until, reason=message, evidence=evidence)]

    def _resolve(self, fact: CallFact) -> Sequence[Finding]:
        message = f"{self.subject.value} was called within the hours again."
        evidence: Evidence = {**evidence_of_call(fact), "calls": self.state.calls, "calls_outside": self.state.outside}
        taken_back = lifted(self.state, self.subject, self.RULE, fact.at)
        return [self.resolve(at=fact.at, message=message, evidence=evidence), *taken_back]

    def _evidence(self, fact: CallFact, verdict: Verdict, until: int | None) -> Evidence:
        law = law_of(self.settings.state_rules_file, self.settings.unknown_zone)
        rules = {found.rule: None for found in verdict.forbidden if found.rule is not None}
        evidence: Evidence = {
            **evidence_of_call(fact),
            "local_times": dict(law.local_times(fact.contact_details, self.subject.value, fact.at)),
            "zones_known_by": verdict.place.known_by.value,
            "states": list(verdict.place.states),
            "forbidden": [
                f"{found.state or 'everywhere'} {found.zone}: {found.why}".replace(" :", ":")
                for found in verdict.forbidden
            ],
            "laws": [rule.source for rule in rules],
            "laws_since": [None if days_of(rule)[0] is None else str(days_of(rule)[0]) for rule in rules],
            "laws_until": [None if days_of(rule)[1] is None else str(days_of(rule)[1]) for rule in rules],
            "laws_read": [rule.link for rule in rules],
            "laws_checked": [rule.checked for rule in rules],
            "next_allowed": None if until is None else to_iso(until),
            "calls": self.state.calls,
            "calls_outside": self.state.outside,
        }
        return evidence
