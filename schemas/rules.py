"""All rules with their settings, by name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from schemas.rule_settings.answers import AnswerRateCollapse, NoAnswerStreak
from schemas.rule_settings.base import RuleSettings
from schemas.rule_settings.conduct import Abandonment, MissingCallbacks
from schemas.rule_settings.contacts import CallerIdRotation, CallingHours, OptOutRule, RepeatCalls
from schemas.rule_settings.numbers import MixedPurpose, NeighborSpoofing, NumberRest, RampUp
from schemas.rule_settings.registration import Attestation, UnregisteredNumber
from schemas.rule_settings.shares import (
    BlockedCalls,
    InvalidNumbers,
    OptOutSurge,
    ShortCalls,
    ShortRing,
    SilentCalls,
    VoicemailHangup,
)
from schemas.rule_settings.volume import VolumeSpike

__all__ = ["AnswerRateCollapse", "OptOutRule", "RuleSettings", "Rules", "VolumeSpike"]


class Rules(BaseModel):
    """All rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_rate_collapse: AnswerRateCollapse = AnswerRateCollapse()
    no_answer_streak: NoAnswerStreak = NoAnswerStreak()
    volume_spike: VolumeSpike = VolumeSpike()
    opt_out: OptOutRule = OptOutRule()
    opt_out_surge: OptOutSurge = OptOutSurge()
    blocked_calls: BlockedCalls = BlockedCalls()
    invalid_numbers: InvalidNumbers = InvalidNumbers()
    short_calls: ShortCalls = ShortCalls()
    short_ring: ShortRing = ShortRing()
    voicemail_hangup: VoicemailHangup = VoicemailHangup()
    silent_calls: SilentCalls = SilentCalls()
    calling_hours: CallingHours = CallingHours()
    repeat_calls: RepeatCalls = RepeatCalls()
    caller_id_rotation: CallerIdRotation = CallerIdRotation()
    neighbor_spoofing: NeighborSpoofing = NeighborSpoofing()
    mixed_purpose: MixedPurpose = MixedPurpose()
    number_rest: NumberRest = NumberRest()
    ramp_up: RampUp = RampUp()
    attestation: Attestation = Attestation()
    unregistered_number: UnregisteredNumber = UnregisteredNumber()
    abandonment: Abandonment = Abandonment()
    missing_callbacks: MissingCallbacks = MissingCallbacks()
