"""Settings of the rules about how calls are answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.alert import Severity
from schemas.rule_settings.base import Positive, Probability, RuleSettings


class AnswerRateCollapse(RuleSettings):
    """Settings of `answer_rate_collapse`: a number's or campaign's answer rate has fallen."""

    severity: Severity = Severity.CRITICAL
    false_alarms_per_day: Positive = Field(1.0, description="False alarms a day that the whole fleet may cost.")
    fleet_calls_per_day: Positive = Field(10_000.0, description="Calls a day of the whole fleet, by estimate.")
    odds_ratio: Probability = Field(0.3, description="The fall in the odds of an answer that is looked for.")
    learning_calls: int = Field(100, ge=1, description="Calls of the subject before there is a baseline.")
    learning_hours: Positive = Field(
        24.0, description="Hours of traffic before a campaign's own baseline; numbers are judged beside their peers."
    )
    shrinkage_calls: Positive = Field(
        100.0, description="Weight of the campaign's rate beside a number's own, in calls."
    )
    peer_half_life_calls: Positive = Field(
        300.0, description="How fast the campaign's present level forgets, in calls."
    )
    recovery_calls: int = Field(20, ge=1, description="Fresh calls needed before an alert can resolve.")
    dwell_minutes: Positive = Field(30.0, description="The least time between firing and resolving, in minutes.")
    suppress: bool = Field(True, description="Whether a collapsed number is suppressed.")
    suppress_hours: Positive = Field(
        24.0, description="How long a suppression holds unless the number recovers, hours."
    )
    suppress_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="The largest share of a campaign's numbers suppressed at once."
    )


class NoAnswerStreak(RuleSettings):
    """Settings of `no_answer_streak`: so many unanswered calls in a row that chance is out."""

    severity: Severity = Severity.CRITICAL
    chance: Annotated[float, Field(gt=0, le=0.01)] = Field(
        1e-5, description="Chance that an ordinary number goes so long unanswered after an answered call, from 0 to 1."
    )
    least_calls: int = Field(11, ge=2, description="Calls in a row that must have gone unanswered whatever the chance.")
    recovery_answers: int = Field(3, ge=1, description="Answered calls, with no new streak between, that resolve.")
    dwell_minutes: Positive = Field(30.0, description="The least time between firing and resolving, in minutes.")
    suppress: bool = Field(True, description="Whether a number that nobody answers is suppressed.")
    suppress_hours: Positive = Field(
        24.0, description="How long a suppression holds unless the number recovers, hours."
    )
