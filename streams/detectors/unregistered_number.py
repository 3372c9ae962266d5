"""The rule `unregistered_number`: no caller name, no approval, or not in the register."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.registration import NumberRegistration
from schemas.rule_settings.registration import UnregisteredNumber as Settings
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding

_TEXT: Final = RuleText(
    rule="unregistered_number",
    source=(
        "Twilio, Recommendations and Best Practices for Maintaining a Positive Caller Reputation: register numbers in "
        "Trust Hub (SHAKEN/STIR, CNAM, Voice Integrity). Telemarketers must transmit their number and, where the "
        "carrier makes it available, their name: 16 CFR 310.4(a)(8) and 47 CFR 64.1601(e), in force since "
        "29 January 2004."
    ),
    what_to_do={
        SubjectKind.NUMBER: (
            "If the number is yours, add it to the register, assign it to the approved Business Profile in Trust Hub "
            "and give it a caller name; if nobody knows it, look for a stolen credential."
        )
    },
)

_APPROVED: Final = "twilio-approved"

_WORDS: Final = {
    "registered": "it is not in the register",
    "trust_hub": "Trust Hub has not approved it",
    "trust_hub_on_record": "no approval by Trust Hub is on record",
    "cnam": "no caller name is on record",
}

_NONE: Final[list[str]] = []


class RegistrationState(DetectorState, array_like=True):
    """What is kept of a number.

    Attributes:
        calls: calls of which the register said something.
        reasons: what the alert under way speaks of, in the order of the settings.
    """

    calls: int = 0
    reasons: list[str] = msgspec.field(default_factory=list)


class UnregisteredNumber(Detector[Settings, RegistrationState]):
    """What the register says of one number, looked at with each call it places.

    It tells once for each set of reasons, and resolves at the first call of which the register has no more to say
    against. Where there is no register at all it says nothing. A value that the register leaves open is no evidence,
    unless the settings require it on record: a register without such a column would otherwise condemn every number.

    >>> from schemas.alert import Subject
    >>> rule = UnregisteredNumber(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> unknown, draft, open_ = (
    ...     NumberRegistration(False), NumberRegistration(True, trust_hub="draft"), NumberRegistration(True))
    >>> [len(rule.look(0, said, "CA1", "spring-sale")) for said in (None, unknown, unknown, draft, open_)]
    [0, 1, 0, 1, 1]
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = RegistrationState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.PLACED})
    LEAST: ClassVar[int] = 1

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that was placed, with what the register said of its number then."""
        if fact.registration is None or not self.settings.enabled:
            return NOTHING
        return self.look(fact.at, fact.registration, fact.call_sid, fact.campaign)

    def look(self, at: int, registration: NumberRegistration | None, call_sid: str, campaign: str) -> Sequence[Finding]:
        """Take in what the register says.

        Args:
            at: when the call was placed, in milliseconds since the epoch.
            registration: of its number; None where there is no register.
            call_sid: the call's.
            campaign: it was placed for.
        """
        if registration is None:
            return NOTHING
        state = self.state
        state.calls += 1
        reasons = reasons_against(registration, self.settings)
        if reasons == state.reasons:
            return NOTHING
        evidence = _evidence(registration, reasons, call_sid, campaign)
        number = self.subject.value
        message = f"Number {number} calls for campaign {campaign}, but {' and '.join(_WORDS[why] for why in reasons)}."
        state.reasons = reasons
        if not reasons:
            message = f"Number {number}: the register has no more to say against it."
            return [self.resolve(at=at, message=message, evidence=evidence)]
        if state.episode.is_firing:
            return [self.tell(at=at, message=message, evidence=evidence)]
        return [self.fire(at=at, since=at, message=message, evidence=evidence)]

    def describe(self, at: int) -> dict[str, object]:  # noqa: ARG002 - what the register said last holds at all times
        """The state as the API shows it."""
        state = self.state
        return {
            "state": self.word("ok" if state.calls else "no_data"),
            "calls": state.calls,
            "reasons": list(state.reasons),
            "since": state.episode.since_iso,
        }


def reasons_against(registration: NumberRegistration, settings: Settings) -> list[str]:
    """What a number lacks of what the settings require; callers read the list and never change it.

    >>> reasons_against(NumberRegistration(registered=True, trust_hub="in-review"), Settings())
    ['trust_hub']
    >>> reasons_against(NumberRegistration(registered=True), Settings(require=["cnam", "trust_hub"]))
    ['cnam']
    """
    required = settings.require
    if not registration.registered:
        # Of a number that it does not know, a register has nothing else to say.
        return ["registered"] if "registered" in required else _NONE
    trust_hub = registration.trust_hub
    if trust_hub == _APPROVED and (registration.cnam or "cnam" not in required):
        return _NONE
    return [
        requirement
        for requirement in required
        if (requirement == "cnam" and not registration.cnam)
        or (requirement == "trust_hub" and trust_hub is not None and trust_hub != _APPROVED)
        or (requirement == "trust_hub_on_record" and trust_hub is None)
    ] or _NONE


def _evidence(registration: NumberRegistration, reasons: list[str], call_sid: str, campaign: str) -> Evidence:
    return {
        "campaign": campaign,
        "call_sid": call_sid,
        "reasons": [*reasons],
        "registered": registration.registered,
        "trust_hub": registration.trust_hub,
        "cnam": registration.cnam,
    }
