"""The rule `number_rest`: a number gets a new purpose before it has rested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.numbers import NumberRest as Settings
from schemas.times import DAY, to_iso
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText, suppression_of
from streams.detectors.finding import NOTHING, Finding, Lifted
from streams.detectors.purposes import Purpose, evidence_of, has_called_since, is_any_overlap, note

_TEXT: Final = RuleText(
    rule="number_rest",
    source=(
        "Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation (older text of "
        "support.twilio.com/hc/en-us/articles/1260803371030): a number that gets another purpose waits for 45 days "
        "before it is used in a new campaign. Advice, without dates."
    ),
    what_to_do={
        SubjectKind.NUMBER: (
            "Take the number out of the new campaign until it has rested, and call from one that has; or give it back "
            "to its old purpose."
        )
    },
)


class Change(msgspec.Struct, array_like=True):
    """A new purpose in an old one's place.

    Attributes:
        old: the purpose before.
        new: the purpose now.
        stopped: event time of the last call for the old one, in milliseconds since the epoch.
        began: event time of the first call for the new one after it.
        registered: whether the register says that the number's present use began in between.
    """

    old: str
    new: str
    stopped: int
    began: int
    registered: bool


class _State(DetectorState, array_like=True):
    purposes: list[Purpose] = msgspec.field(default_factory=list)
    change: Change | None = None


class NumberRest(Detector[Settings, _State]):
    """A number that turns from one purpose to another without a rest in between.

    Use it where numbers are handed from campaign to campaign. The rest is the time from the last call for the old
    purpose to the first call for the new one. The rule fires at the call that makes the new purpose the number's own:
    so many in a row for it, or the first one where the register says that the present use began after the last call for
    the old one. The old purpose must have been the number's own before, with as many calls. It resolves when the rest
    counted from the last call for the old purpose is over, or when the old purpose is back (which is the matter of
    `mixed_purpose`). While a number calls for two purposes in turn, the rule says nothing. Calls whose campaign has no
    purpose in the register say nothing either.

    Args:
        settings: the rule's settings; `rest_days` in days, `calls` in calls.
        subject: the number.
        state: what was kept of it.

    References:
        Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation.

    >>> from schemas.alert import Subject
    >>> rule = NumberRest(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> rule.describe(0)["state"]
    'no_data'
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = _State
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    # Three calls for the old purpose, and one for the new where the register tells of the change.
    LEAST: ClassVar[int] = 4

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in one placed call."""
        settings = self.settings
        registration = fact.registration
        if not settings.enabled or registration is None or registration.purpose is None:
            return NOTHING
        state, at = self.state, fact.after.attempted_at
        known = state.purposes
        note(known, registration.purpose, fact.campaign, at, settings.rest_days * DAY, settings.calls)
        if state.change is not None:
            ended = self._end_of(state.change)
            if ended is not None:
                return self._resolve(fact, state.change, ended)
        if len(known) == 1:
            return NOTHING
        change = self._change(registration.since, at)
        if change is None or (state.change is not None and state.change.new == change.new):
            return NOTHING
        return self._tell(fact, change)

    def describe(self, at: int) -> dict[str, object]:
        """The state as the API shows it, with the purpose that the number last called for.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
        """
        state, rest = self.state, self.settings.rest_days * DAY
        served = [purpose for purpose in state.purposes if at - purpose.last < rest]
        return {
            "state": self.word("ok" if served else "no_data"),
            "purpose": served[0].name if served else None,
            "rest_days": self.settings.rest_days,
            "rested_at": None if state.change is None else to_iso(state.change.stopped + rest),
            "since": state.episode.since_iso,
        }

    def _change(self, registered_since: int | None, at: int) -> Change | None:
        """Whether the purpose of the call at hand has taken another one's place."""
        known, enough = self.state.purposes, self.settings.calls
        new, others = known[0], known[1:]
        stopped = max(other.last for other in others)
        in_a_row = [time for time in new.times if time > stopped]
        if not in_a_row:
            return None
        old = max(
            (
                other
                for other in others
                if other.established is not None and (new.established is None or other.established <= new.established)
            ),
            key=lambda other: other.last,
            default=None,
        )
        if old is None:
            return None
        registered = registered_since is not None and old.last < registered_since <= at
        if (len(in_a_row) < enough and not registered) or is_any_overlap(known, enough):
            return None
        return Change(old.name, new.name, old.last, in_a_row[0], registered)

    def _end_of(self, change: Change) -> str | None:
        """Why the change is over; None while it is not."""
        by_name = {purpose.name: purpose for purpose in self.state.purposes}
        old, new = by_name.get(change.old), by_name.get(change.new)
        if old is None:
            return f"{self.settings.rest_days} days have passed since its last call for {change.old}"
        if new is None or has_called_since(old, new.first, self.settings.calls):
            return f"it calls for {change.old} again"
        return None

    def _tell(self, fact: CallFact, change: Change) -> Sequence[Finding]:
        settings, state = self.settings, self.state
        rest = (change.began - change.stopped) / DAY
        message = (
            f"Number {self.subject.value} calls for {change.new} {rest:.1f} days after its last call for {change.old}; "
            f"it should have rested for {settings.rest_days}."
        )
        evidence = {**self._evidence(fact, change), "call_sid": fact.call_sid}
        going_on = state.change is not None
        state.change = change
        if going_on:
            alert = self.tell(at=fact.at, message=message, evidence=evidence)
        else:
            alert = self.fire(at=fact.at, since=change.began, message=message, evidence=evidence)
        if not settings.suppress:
            return [alert]
        return [alert, suppression_of(state.episode, alert, change.stopped + settings.rest_days * DAY)]

    def _resolve(self, fact: CallFact, change: Change, why: str) -> Sequence[Finding]:
        state = self.state
        is_held = state.episode.until is not None and state.episode.until > fact.at
        state.change = None
        alert = self.resolve(
            at=fact.at,
            message=f"Number {self.subject.value} is no longer held to its rest: {why}.",
            evidence=self._evidence(fact, change),
        )
        return [alert, Lifted(self.subject, self.RULE)] if is_held else [alert]

    def _evidence(self, fact: CallFact, change: Change) -> Evidence:
        return {
            **evidence_of(self.state.purposes),
            "old_purpose": change.old,
            "new_purpose": change.new,
            "last_old_call": to_iso(change.stopped),
            "first_new_call": to_iso(change.began),
            "rested_days": round((change.began - change.stopped) / DAY, 2),
            "rest_days": self.settings.rest_days,
            "rested_at": to_iso(change.stopped + self.settings.rest_days * DAY),
            "in_register": change.registered,
            "campaign": fact.campaign,
        }
