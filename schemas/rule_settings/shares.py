"""Settings of the rules that watch a share of a number's or campaign's calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.alert import Severity
from schemas.rule_settings.base import Positive, Probability, RuleSettings


class ShareSettings(RuleSettings):
    """What every rule about a share can be told; the share is one of its trials, such as answered calls."""

    usual_share: Probability = Field(0.05, description="The share to expect before anything is known, from 0 to 1.")
    odds_ratio: Annotated[float, Field(gt=1)] = Field(3.0, description="The rise in the odds that is looked for.")
    trials_between_false_alarms: Annotated[float, Field(ge=1_000)] = Field(
        200_000.0,
        description="Trials of one number or campaign between two false alarms, were the baseline known exactly.",
    )
    learning_trials: int = Field(200, ge=1, description="Trials of a campaign before there is a baseline.")
    shrinkage_trials: Positive = Field(
        500.0, description="Weight of the campaign's share beside a number's own, in trials."
    )
    least_hits: int = Field(5, ge=1, description="Calls of the watched sort since the rise began that there must be.")
    recovery_trials: int = Field(20, ge=1, description="Fresh trials needed before an alert can resolve.")
    dwell_minutes: Positive = Field(30.0, description="The least time between firing and resolving, in minutes.")
    suppress: bool = Field(False, description="Whether a number it fires on is suppressed.")
    suppress_hours: Positive = Field(
        24.0, description="How long a suppression holds unless the number recovers, hours."
    )


class BlockedCalls(ShareSettings):
    """Settings of `blocked_calls`: carriers block a number's or a campaign's calls."""

    severity: Severity = Severity.CRITICAL
    usual_share: Probability = Field(0.02, description="Share of blocked calls to expect before anything is known.")
    suppress: bool = Field(True, description="Whether a blocked number is suppressed.")


class InvalidNumbers(ShareSettings):
    """Settings of `invalid_numbers`: a campaign calls numbers that do not exist."""

    usual_share: Probability = Field(0.03, description="Share of invalid numbers to expect before anything is known.")
    contact_calls: int = Field(
        2,
        ge=1,
        description="Calls to a contact that found no such number, with no answered call in between, before the rule "
        "fires on it.",
    )
    suppress_contacts: bool = Field(True, description="Whether a contact whose number does not exist is suppressed.")


class ShortCalls(ShareSettings):
    """Settings of `short_calls`: answered calls that end within seconds."""

    usual_share: Probability = Field(0.08, description="Share of short calls to expect before anything is known.")


class ShortRing(ShareSettings):
    """Settings of `short_ring`: unanswered calls are given up too soon."""

    usual_share: Probability = Field(
        0.10, description="Share of calls given up too soon to expect before anything is known."
    )
    advised_seconds: int = Field(30, ge=1, description="Seconds that a call should ring: Twilio's advice.")
    lawful_seconds: int = Field(15, ge=1, description="Seconds that a call must ring, by 16 CFR 310.4(b)(4)(ii).")


class VoicemailHangup(ShareSettings):
    """Settings of `voicemail_hangup`: machines answer and the call is dropped at once."""

    usual_share: Probability = Field(
        0.10, description="Share of calls dropped on a machine to expect before anything is known."
    )
    hangup_seconds: int = Field(8, ge=1, description="Seconds of talk below which a call was dropped on a machine.")


class SilentCalls(ShareSettings):
    """Settings of `silent_calls`: answered, and nothing is heard."""

    usual_share: Probability = Field(0.01, description="Share of silent calls to expect before anything is known.")


class OptOutSurge(ShareSettings):
    """Settings of `opt_out_surge`: more opt-outs for each answered call than usual."""

    usual_share: Probability = Field(
        0.005, description="Opt-outs for each answered call to expect before anything is known."
    )
    # Three times one in two hundred is a handful in a thousand answered calls, and would take weeks to be seen.
    odds_ratio: Annotated[float, Field(gt=1)] = Field(6.0, description="The rise in the odds that is looked for.")
    least_hits: int = Field(4, ge=1, description="Opt-outs since the rise began that there must be.")
