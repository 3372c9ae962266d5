"""The rule `attestation`: a number's calls are signed below A."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import msgspec

from schemas.alert import Evidence, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.registration import Attestation as Settings
from streams.detectors.detector import Detector, DetectorState
from streams.detectors.episode import RuleText
from streams.detectors.finding import NOTHING, Finding

_TEXT: Final = RuleText(
    rule="attestation",
    source=(
        "STIR/SHAKEN (ATIS-1000074; 47 CFR 64.6301, due in the IP networks of providers on 30 June 2021): A is full "
        "attestation, B partial, C gateway. Twilio signs with A only calls from numbers assigned to an approved "
        "Business Profile and its SHAKEN/STIR Trust Product."
    ),
    what_to_do={
        SubjectKind.NUMBER: (
            "In Twilio's Trust Hub, assign the number to the approved Business Profile and to its SHAKEN/STIR Trust "
            "Product; a number that is not Twilio's gets B at best."
        )
    },
)

_FULL: Final = "A"
_BELOW: Final = frozenset({"B", "C"})


class AttestationState(DetectorState, array_like=True):
    """What is kept of a number.

    Attributes:
        signed: calls that carried an attestation.
        below: those of them below A.
        latest: the attestation of the latest; None before the first.
        recent: when the last few calls ended, in milliseconds since the epoch, and their attestations; empty while
            all of them are A.
        full_in_a_row: calls in a row signed with A while an alert is firing.
    """

    signed: int = 0
    below: int = 0
    latest: str | None = None
    recent: list[tuple[int, str]] = msgspec.field(default_factory=list)
    full_in_a_row: int = 0


class Attestation(Detector[Settings, AttestationState]):
    """How the calls of one number are signed, one look a call, when it has ended.

    Three of five calls below A fire by default: the signature goes with the number, so that a missing assignment shows
    on every call, while a single B may be a call that was diverted or placed by a trunk. A call without an attestation
    (abroad, or over lines that carry none) says nothing in either direction.

    >>> from schemas.alert import Subject
    >>> rule = Attestation(Settings(), Subject(SubjectKind.NUMBER, "+12025550100"))
    >>> [len(rule.look(at, level, "CA1", "spring-sale")) for at, level in enumerate("ABABCAAA")]
    [0, 0, 0, 0, 1, 0, 0, 1]
    """

    RULE: ClassVar[str] = _TEXT.rule
    TEXT: ClassVar[RuleText] = _TEXT
    STATE: ClassVar[type[DetectorState]] = AttestationState
    SUBJECTS: ClassVar[frozenset[SubjectKind]] = frozenset({SubjectKind.NUMBER})
    FACTS: ClassVar[frozenset[FactKind]] = frozenset({FactKind.ENDED})
    LEAST: ClassVar[int] = 3

    __slots__ = ()

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Take in a call that has ended: by then all of its callbacks had the time to tell how it was signed."""
        level = fact.stir_status
        if level is None or not self.settings.enabled:
            return NOTHING
        return self.look(fact.at, level, fact.call_sid, fact.campaign)

    def look(self, at: int, level: str, call_sid: str, campaign: str) -> Sequence[Finding]:
        """Take in the attestation of one call.

        Args:
            at: when it ended, in milliseconds since the epoch.
            level: A, B or C; anything else says nothing.
            call_sid: the call's.
            campaign: it was placed for.
        """
        state = self.state
        is_below = level in _BELOW
        if not is_below and level != _FULL:
            return NOTHING
        state.signed += 1
        state.below += is_below
        state.latest = level
        if state.episode.is_firing:
            return self._follow(at, is_below, call_sid, campaign)
        if not is_below and not state.recent:
            return NOTHING
        state.recent.append((at, level))
        del state.recent[: -self.settings.of_calls]
        below = sum(recent in _BELOW for _, recent in state.recent)
        if not below:
            state.recent.clear()
        return self._fire(at, call_sid, campaign) if below >= self.settings.below_calls else NOTHING

    def describe(self, at: int) -> dict[str, object]:  # noqa: ARG002 - the latest calls are the same at all times
        """The state as the API shows it."""
        state = self.state
        return {
            "state": self.word("ok" if state.signed else "no_data"),
            "signed_calls": state.signed,
            "below_a": state.below,
            "latest": state.latest,
            "since": state.episode.since_iso,
        }

    def _fire(self, at: int, call_sid: str, campaign: str) -> list[Finding]:
        state = self.state
        below = [(when, level) for when, level in state.recent if level in _BELOW]
        levels = " and ".join(sorted({level for _, level in below}))
        alert = self.fire(
            at=at,
            since=below[0][0],
            message=(
                f"Number {self.subject.value}: {len(below)} of its last {len(state.recent)} signed calls carry "
                f"{levels} instead of A."
            ),
            evidence=self._evidence(call_sid, campaign)
            | {"calls": len(state.recent), "below_a": len(below), "levels": [level for _, level in state.recent]},
        )
        state.recent.clear()
        state.full_in_a_row = 0
        return [alert]

    def _follow(self, at: int, is_below: bool, call_sid: str, campaign: str) -> Sequence[Finding]:
        state = self.state
        state.full_in_a_row = 0 if is_below else state.full_in_a_row + 1
        if state.full_in_a_row < self.settings.recovery_calls:
            return NOTHING
        return [
            self.resolve(
                at=at,
                message=(
                    f"Number {self.subject.value} is signed with A again: its last {state.full_in_a_row} signed calls "
                    "were."
                ),
                evidence=self._evidence(call_sid, campaign) | {"calls": state.full_in_a_row, "below_a": 0},
            )
        ]

    def _evidence(self, call_sid: str, campaign: str) -> Evidence:
        return {
            "campaign": campaign,
            "call_sid": call_sid,
            "signed_calls": self.state.signed,
            "signed_below_a": self.state.below,
            "allowed": f"fewer than {self.settings.below_calls} of {self.settings.of_calls} signed calls",
        }
