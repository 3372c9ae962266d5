"""The detectors of one subject, kept together: decoded when they are first needed, packed only if they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import CallFact, FactKind
from schemas.rule_settings.base import RuleSettings
from schemas.rules import Rules
from streams.detectors.detector import Detector, decoder_of
from streams.detectors.finding import NOTHING, Finding
from streams.windows.packing import UnreadableStateError

AnyDetector: TypeAlias = Detector[Any, Any]
Packed: TypeAlias = dict[str, msgspec.Raw]
"""A subject's detectors: their states' bytes by the rule's name; those that never saw anything are not there."""

_encoder = msgspec.msgpack.Encoder()


class Choice:
    """The detectors that look at a kind of subject, and their settings by campaign.

    Args:
        kind: of subject.
        detectors: that may look at it.
        rules: the settings of all rules.

    Attributes:
        by_fact: the detectors that want to see a kind of fact.
    """

    def __init__(self, kind: SubjectKind, detectors: Sequence[type[AnyDetector]], rules: Rules) -> None:
        chosen = [detector for detector in detectors if kind in detector.SUBJECTS]
        self.by_fact: Mapping[FactKind, tuple[type[AnyDetector], ...]] = {
            fact: tuple(detector for detector in chosen if fact in detector.FACTS) for fact in FactKind
        }
        self.chosen = tuple(chosen)
        self._of_campaign = lru_cache(maxsize=4_096)(lambda rule, campaign: getattr(rules, rule).of_campaign(campaign))
        self._general = {detector.RULE: _settings(rules, detector) for detector in chosen}

    def settings(self, rule: str, campaign: str) -> RuleSettings:
        """The settings of a rule as they hold for a campaign."""
        general = self._general[rule]
        if not general.campaigns:
            return general
        found: RuleSettings = self._of_campaign(rule, campaign)
        return found


def _settings(rules: Rules, detector: type[AnyDetector]) -> RuleSettings:
    found: RuleSettings = getattr(rules, detector.RULE)
    return found


def _read(kind: type[AnyDetector], raw: msgspec.Raw, subject: Subject) -> Any:
    try:
        return decoder_of(kind.STATE).decode(raw)
    except msgspec.DecodeError as error:
        # The fact is not to blame: setting it aside would lose one after the other.
        raise UnreadableStateError(
            f"{kind.RULE} of {subject.kind.value} {subject.value}: damaged bytes ({error}): "
            "run the version that wrote them, or rebuild the tables from the log"
        ) from error


NO_DETECTORS: Final = Choice(SubjectKind.NUMBER, (), Rules())
"""For those who only read a subject's counts."""


class Bundle:
    """One subject's detectors.

    Args:
        choice: which detectors there are.
        subject: whom they look at.
        packed: what was kept of them.
    """

    __slots__ = ("_awake", "_choice", "_packed", "_touched", "subject")

    def __init__(self, choice: Choice, subject: Subject, packed: Packed | None = None) -> None:
        self.subject = subject
        self._choice = choice
        self._packed: Packed = {} if packed is None else packed
        self._awake: dict[str, AnyDetector] = {}
        self._touched: dict[str, None] = {}

    def update(self, fact: CallFact) -> Sequence[Finding]:
        """Show a fact to the detectors that want to see its kind."""
        findings: Sequence[Finding] = NOTHING
        for kind in self._choice.by_fact[fact.fact]:
            found = self.touch(kind, fact.campaign).update(fact)
            if found:
                findings = [*findings, *found]
        return findings

    def touch(self, kind: type[AnyDetector], campaign: str) -> AnyDetector:
        """A detector of the bundle, with the settings of a campaign, to be changed."""
        detector = self._wake(kind, campaign)
        self._touched[kind.RULE] = None
        return detector

    def _wake(self, kind: type[AnyDetector], campaign: str) -> AnyDetector:
        rule = kind.RULE
        detector = self._awake.get(rule)
        settings = self._choice.settings(rule, campaign)
        if detector is None:
            raw = self._packed.get(rule)
            state = None if raw is None else _read(kind, raw, self.subject)
            detector = self._awake[rule] = kind(settings, self.subject, state)
        elif detector.settings is not settings:
            detector.settings = settings
        return detector

    def describe(self, at: int, campaign: str) -> dict[str, dict[str, object]]:
        """What the detectors say of themselves, by rule.

        Args:
            at: the event time to tell of, in milliseconds since the epoch.
            campaign: whose settings hold.
        """
        return {kind.RULE: self._wake(kind, campaign).describe(at) for kind in self._choice.chosen}

    @property
    def runs(self) -> int:
        """How often any of the rules has fired; such a subject is kept, or alert ids would repeat."""
        return sum(self._wake(kind, "").runs for kind in self._choice.chosen)

    def pack(self) -> Packed:
        """The states' bytes by rule; only those that were touched are packed anew."""
        for rule in self._touched:
            fresh = rule not in self._packed
            self._packed[rule] = msgspec.Raw(_encoder.encode(self._awake[rule].state))
            if fresh:
                # Which rule came first depends on how the log was cut into slices; the bytes must not.
                self._packed = dict(sorted(self._packed.items()))
        self._touched.clear()
        return self._packed
