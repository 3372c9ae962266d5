"""The rule `mixed_purpose`: one number calls for two purposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.numbers import MixedPurpose as Settings
from schemas.times import DAY
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding
from streams.detectors.purposes import Purpose, evidence_of, is_any_overlap, note, overlap_since

_TEXT: Final = RuleText(
    rule="mixed_purpose",
    source=(
        "Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation (older text of "
        "support.twilio.com/hc/en-us/articles/1260803371030): do not use one number for several purposes, such as "
        "marketing, surveys and support. Advice, without dates."
    ),
    what_to_do={
        SubjectKind.NUMBER: (
            "Give each purpose its own numbers: leave this number to one of its purposes, and take it out of the "
            "campaigns of the other."
        )
    },
)


class _State(DetectorState, array_like=True):
    purposes: list[Purpose] = msgspec.field(default_factory=list)


class MixedPurpose(Detector[Settings, _State]):
    """One number that calls for two purposes in turn.

    Use it to keep what a number is for clear to those who label it. The rule fires once there are so many calls for
    each of two purposes since the later one began, all of them within the window: old, new, and old again. A number
    that was given another purpose for good is the matter of `number_rest`. It resolves when one purpose has had no call
    for the window. Calls whose campaign has no purpose in the register say nothing.

    Args:
        settings: the rule's settings; `window_days` in days, `calls` in calls.
        subject: the number.
        state: what was kept of it.

    References:
        Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation.

    >>> from schemas.alert import Subject
    >>> rule = MixedPurpose(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> rule.describe(0)["state"]
    'no_data'
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = _State
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    # Three calls for each of two purposes.
    LEAST: ClassVar[int] = 6

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one placed call."""
        settings = self.settings
        registration = fact.registration
        if not settings.enabled or registration is None or registration.purpose is None:
            return NOTHING
        known = self.state.purposes
        at, span = fact.after.attempted_at, settings.window_days * DAY
        dropped = note(known, registration.purpose, fact.campaign, at, span, settings.calls)
        if self.state.episode.is_firing:
            if dropped and not is_any_overlap(known, settings.calls):
                return self._resolve(fact)
            return NOTHING
        if len(known) == 1:
            return NOTHING
        purpose = known[0]
        floor = max(other.last for other in known) - span
        for other in known[1:]:
            since = overlap_since(purpose, other, settings.calls, floor)
            if since is not None:
                return self._fire(fact, (purpose, other), since)
        return NOTHING

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it, with the calls for each purpose that the number still serves.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """
        span = self.settings.window_days * DAY
        served = [purpose for purpose in self.state.purposes if at - purpose.last < span]
        return {
            "state": self.word("ok" if served else "no_data"),
            "calls": {purpose.name: purpose.calls for purpose in served},
            "window_days": self.settings.window_days,
            "since": self.state.episode.since_iso,
        }

    def _fire(self, fact: CallFact, mixed: tuple[Purpose, Purpose], since: int) -> Sequence[Finding]:
        settings = self.settings
        names = " and ".join(sorted(purpose.name for purpose in mixed))
        return [
            self.fire(
                at=fact.at,
                since=since,
                message=f"Number {self.subject.value} calls for two purposes at once: {names}.",
                evidence={
                    **evidence_of(self.state.purposes),
                    "window_days": settings.window_days,
                    "least_calls": settings.calls,
                    "campaign": fact.campaign,
                    "call_sid": fact.call_sid,
                },
            )
        ]

    def _resolve(self, fact: CallFact) -> Sequence[Finding]:
        return [
            self.resolve(
                at=fact.at,
                message=f"Number {self.subject.value} no longer calls for two purposes at once.",
                evidence={
                    **evidence_of(self.state.purposes),
                    "window_days": self.settings.window_days,
                    "campaign": fact.campaign,
                },
            )
        ]
