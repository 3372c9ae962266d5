"""The rule `caller_id_rotation`: one person is called from several of the company's numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, Scalar, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.contacts import MOST_NUMBERS
from schemas.rule_settings.contacts import CallerIdRotation as Settings
from schemas.times import DAY
from streams.detectors.contact_alerts import evidence_of_call
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding

_TEXT: Final = RuleText(
    rule="caller_id_rotation",
    source="Twilio's advice against snowshoeing, calls spread over many numbers to stay below thresholds; call "
    "screening on phones takes numbers that change for spam.",
    what_to_do={
        SubjectKind.CONTACT: "Call a person from one number, the same each time; bind contacts to numbers.",
    },
)


class CallerIdRotationState(DetectorState, array_like=True):
    """What is kept of a contact.

    Attributes:
        numbers: event time of the last call from each of the company's numbers, in order of those times.
    """

    numbers: dict[str, int] = msgspec.field(default_factory=dict)


class CallerIdRotation(Detector[Settings, CallerIdRotationState]):
    """Calls to one person from as many of the company's numbers as the setting names, within so many days.

    Use it on each contact. The window slides by event time and ends at the latest call. It resolves at the next call by
    which fewer numbers have called within it.

    Args:
        settings: how many numbers, in how many days.
        subject: the contact.
        state: what was kept of it.

    Reference:
        Twilio, "Caller reputation": calls that are spread over many numbers are taken for spam.

    >>> from schemas.alert import Subject
    >>> from schemas.call import Contribution, Direction, Origin
    >>> def placed(at: int, number: str) -> CallFact:
    ...     return CallFact(fact=FactKind.PLACED, revision=0, origin=Origin(0, at, 0), at=at, call_sid="CA1",
    ...                     account_sid="AC1", number=number, contact="+13055550123", campaign="spring-sale",
    ...                     direction=Direction.OUTBOUND_API, counted=True, after=Contribution(attempted_at=at))
    >>> rotation = CallerIdRotation(Settings(), Subject(SubjectKind.CONTACT, "+13055550123"))
    >>> [rotation.update(placed(DAY * day, f"+1202555010{day}")) for day in (1, 2)]
    [[], []]
    >>> rotation.update(placed(DAY * 3, "+12025550103"))[0].message
    '+13055550123 was called from 3 numbers within 7 days.'
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = CallerIdRotationState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.CONTACT})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    LEAST: ClassVar[int] = 3

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one call as it is placed."""
        settings = self.settings
        if not settings.enabled:
            return NOTHING
        state = self.state
        last = state.numbers.get(fact.number)
        if last is None or fact.at > last:
            state.numbers[fact.number] = fact.at
        if len(state.numbers) == 1:
            return NOTHING
        self._forget()
        newest = max(state.numbers.values())
        within = sorted(number for number, at in state.numbers.items() if at > newest - settings.days * DAY)
        episode = state.episode
        if (len(within) >= settings.numbers) is episode.is_firing:
            return NOTHING
        evidence: Evidence = {
            **evidence_of_call(fact),
            "numbers": list[Scalar](within),
            "count": len(within),
            "limit": settings.numbers,
            "days": settings.days,
        }
        count = f"{len(within)} number{'s' if len(within) > 1 else ''} within {settings.days} days."
        if episode.is_firing:
            message = f"{self.subject.value} was called from only {count}"
            return [self.resolve(at=fact.at, message=message, evidence=evidence)]
        since = min(state.numbers[number] for number in within)
        message = f"{self.subject.value} was called from {count}"
        return [self.fire(at=fact.at, since=since, message=message, evidence=evidence)]

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it: the numbers that called within the days before `at`."""
        state = self.state
        length = self.settings.days * DAY
        return {
            "state": self.word("ok" if state.numbers else "no_data"),
            "numbers": sorted(number for number, last in state.numbers.items() if at - length < last <= at),
            "since": state.episode.since_iso,
        }

    def _forget(self) -> None:
        """Let go of numbers that no setting looks back to, and of the oldest where there are too many."""
        state = self.state
        newest = max(state.numbers.values())
        by_time = sorted(state.numbers.items(), key=lambda entry: (entry[1], entry[0]))
        # 30 days is the longest that can be set.
        state.numbers = dict([entry for entry in by_time if entry[1] > newest - 30 * DAY][-MOST_NUMBERS:])
