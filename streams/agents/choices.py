"""Which detectors look at which subjects, by the stage that shows them facts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from schemas.call import CallFact, FactKind
from schemas.rule_settings.shares import ShareSettings
from schemas.rules import Rules
from streams.detectors.abandonment import Abandonment
from streams.detectors.attestation import Attestation
from streams.detectors.blocked_calls import BlockedCalls
from streams.detectors.caller_id_rotation import CallerIdRotation
from streams.detectors.calling_hours import CallingHours
from streams.detectors.detector import Detector
from streams.detectors.invalid_contact import InvalidContact
from streams.detectors.invalid_numbers import InvalidNumbers
from streams.detectors.missing_callbacks import MissingCallbacks
from streams.detectors.mixed_purpose import MixedPurpose
from streams.detectors.neighbor_spoofing import NeighborSpoofing
from streams.detectors.number_rest import NumberRest
from streams.detectors.opt_out_surge import OptOutSurge
from streams.detectors.ramp_up import RampUp
from streams.detectors.repeat_calls import RepeatCalls
from streams.detectors.share_rule import ShareRule
from streams.detectors.short_calls import ShortCalls
from streams.detectors.short_ring import ShortRing
from streams.detectors.silent_calls import SilentCalls
from streams.detectors.unregistered_number import UnregisteredNumber
from streams.detectors.voicemail_hangup import VoicemailHangup

OF_NUMBERS: Final[tuple[type[Detector[Any, Any]], ...]] = (
    RampUp,
    MixedPurpose,
    NumberRest,
    Attestation,
    UnregisteredNumber,
)
"""Shown all facts of a number, over all its campaigns."""

OF_CAMPAIGNS: Final[tuple[type[Detector[Any, Any]], ...]] = (RampUp, NeighborSpoofing, Abandonment)
"""Shown all facts of a campaign."""

OF_ACCOUNTS: Final[tuple[type[Detector[Any, Any]], ...]] = (MissingCallbacks,)
"""Shown the attempts of an account, what never came of them, and where nothing came at all."""

OF_CONTACTS: Final[tuple[type[Detector[Any, Any]], ...]] = (
    CallingHours,
    RepeatCalls,
    CallerIdRotation,
    InvalidContact,
)
"""Shown the facts of a contact, over all campaigns that called."""

SHARES: Final[tuple[type[ShareRule], ...]] = (
    BlockedCalls,
    InvalidNumbers,
    ShortCalls,
    ShortRing,
    VoicemailHangup,
    SilentCalls,
    OptOutSurge,
)
"""Watched for each campaign and each of its numbers."""


class ShareRules:
    """The rules about shares, with their settings by campaign.

    Args:
        rules: the settings of all rules.
    """

    def __init__(self, rules: Rules) -> None:
        def of_campaign(campaign: str, fact: FactKind) -> tuple[tuple[type[ShareRule], ShareSettings], ...]:
            own = ((rule, getattr(rules, rule.RULE).of_campaign(campaign)) for rule in SHARES if fact in rule.FACTS)
            return tuple((rule, settings) for rule, settings in own if settings.enabled)

        self._of_campaign = lru_cache(maxsize=4_096)(of_campaign)
        self._rules = rules

    def of_campaign(self, campaign: str) -> list[tuple[type[ShareRule], ShareSettings]]:
        """Every rule with its settings as they hold for a campaign, those that are switched off too."""
        return [(rule, getattr(self._rules, rule.RULE).of_campaign(campaign)) for rule in SHARES]

    def trials(self, fact: CallFact, campaign: str) -> Iterator[tuple[type[ShareRule], ShareSettings, bool]]:
        """The rules that a fact is a trial of, and whether it is a hit."""
        for rule, settings in self._of_campaign(campaign, fact.fact):
            hit = rule.trial(fact, settings)
            if hit is not None:
                yield rule, settings, hit
