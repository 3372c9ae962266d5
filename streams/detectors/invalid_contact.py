"""The contact's side of the rule `invalid_numbers`: the number called does not exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from schemas.alert import Evidence, SubjectKind
from schemas.call import ANSWERS, CallFact, Disposition, FactKind
from schemas.rule_settings.shares import InvalidNumbers as Settings
from streams.detectors.contact_alerts import begun, evidence_of_call, is_held, lifted, prolonged
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding

_TEXT: Final = RuleText(
    rule="invalid_numbers",
    source="Twilio's advice on caller reputation: calls to numbers that do not exist look like those of a robot. SIP "
    "404, 410, 484 and 604 (RFC 3261) say that there is no such number.",
    what_to_do={
        SubjectKind.CONTACT: "Take the number off every list, and look where it came from.",
    },
)

# It rang or was in use: there is such a number. Other ends say nothing of it.
_EXISTS: Final = ANSWERS | {Disposition.BUSY, Disposition.NO_ANSWER}


class InvalidContactState(DetectorState, array_like=True):
    """What is kept of a contact.

    Attributes:
        in_a_row: calls that found no such number since one was last seen to find it.
        first: event time of the first of them, in milliseconds since the epoch.
        last: event time of the last of them.
        suppressed: whether the run under way asked for a suppression.
    """

    in_a_row: int = 0
    first: int = 0
    last: int = 0
    suppressed: bool = False


class InvalidContact(Detector[Settings, InvalidContactState]):
    """So many calls in a row to one person found that there is no such number.

    Use it on each contact, beside the rule on a campaign's share of such calls. A call that rang, was answered or met a
    busy line says that the number exists: it begins the count anew, resolves the alert and lifts the suppression. Calls
    that failed for other reasons, were canceled or blocked say nothing. Assembly tells contacts of the ends of answered
    calls and of calls that found no such number alone, so in the flow "in a row" means: no answered call in between.

    Args:
        settings: how many calls, and whether the contact is suppressed.
        subject: the contact.
        state: what was kept of it.

    Reference:
        RFC 3261, sections 21.4.5, 21.4.11 (404, 410), 21.4.22 (484) and 21.6.3 (604).

    >>> from schemas.alert import Subject
    >>> from schemas.call import Contribution, Direction, Origin
    >>> def ended(at: int, how: Disposition) -> CallFact:
    ...     after = Contribution(attempted_at=at, ended_at=at, disposition=how)
    ...     return CallFact(fact=FactKind.ENDED, revision=1, origin=Origin(0, at, 0), at=at, call_sid="CA1",
    ...                     account_sid="AC1", number="+12025550100", contact="+13055550123", campaign="spring-sale",
    ...                     direction=Direction.OUTBOUND_API, counted=True, after=after, sip_code=404)
    >>> invalid = InvalidContact(Settings(), Subject(SubjectKind.CONTACT, "+13055550123"))
    >>> invalid.update(ended(1_000, Disposition.INVALID))
    []
    >>> alert, suppression = invalid.update(ended(2_000, Disposition.INVALID))
    >>> alert.message, suppression.until
    ('+13055550123 does not exist: 2 calls in a row found no such number.', None)
    >>> [type(found).__name__ for found in invalid.update(ended(3_000, Disposition.NO_ANSWER))]
    ['Alert', 'Lifted']
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = InvalidContactState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CONTACT})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    LEAST: ClassVar[int] = 2

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in the end of one call."""
        if not self.settings.enabled:
            return NOTHING
        disposition = fact.after.disposition
        if disposition is Disposition.INVALID:
            return self._count(fact)
        if disposition in _EXISTS and self.state.in_a_row:
            return self._found(fact)
        return NOTHING

    def describe(self, at: int) -> dict[str, object]:  # noqa: ARG002 - nothing of it fades with time
        """The state as the API shows it; `ok` says that no call in a row was invalid."""
        state = self.state
        return {
            "state": self.word("ok"),
            "invalid_in_a_row": state.in_a_row,
            "since": state.episode.since_iso,
        }

    def _count(self, fact: CallFact) -> Sequence[Finding]:
        settings, state = self.settings, self.state
        if not state.in_a_row:
            state.first = fact.at
        state.in_a_row += 1
        state.last = max(state.last, fact.at)
        message = f"{self.subject.value} does not exist: {state.in_a_row} calls in a row found no such number."
        if state.episode.is_firing:
            if not settings.suppress_contacts or is_held(state, None):
                return NOTHING
            evidence = self._evidence(fact)
            return [
                prolonged(state, self.TEXT, self.subject, at=fact.at, until=None, reason=message, evidence=evidence)
            ]
        if state.in_a_row < settings.contact_calls:
            return NOTHING
        since = min(state.first, fact.at)
        alert = self.fire(at=fact.at, since=since, message=message, evidence=self._evidence(fact))
        return begun(state, alert, None, suppress=settings.suppress_contacts)

    def _found(self, fact: CallFact) -> Sequence[Finding]:
        state = self.state
        if fact.at <= state.last:
            # Told late: what came after it found no such number.
            return NOTHING
        evidence = self._evidence(fact)
        taken_back = lifted(state, self.subject, self.RULE, fact.at)
        state.in_a_row, state.first, state.last = 0, 0, 0
        if not state.episode.is_firing:
            return NOTHING
        message = f"{self.subject.value} exists: a call reached it."
        return [self.resolve(at=fact.at, message=message, evidence=evidence), *taken_back]

    def _evidence(self, fact: CallFact) -> Evidence:
        disposition = fact.after.disposition
        return {
            **evidence_of_call(fact),
            "disposition": None if disposition is None else disposition.value,
            "sip_code": fact.sip_code,
            "invalid_in_a_row": self.state.in_a_row,
            "limit": self.settings.contact_calls,
        }
