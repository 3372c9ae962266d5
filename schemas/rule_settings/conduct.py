"""Settings of the rules about how a campaign and an account are run."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.alert import Severity
from schemas.rule_settings.base import Positive, Probability, RuleSettings


class Abandonment(RuleSettings):
    """Settings of `abandonment`: people answer and never reach an agent."""

    severity: Severity = Severity.CRITICAL
    limit: Probability = Field(0.03, description="The largest lawful share of abandoned calls, from 0 to 1.")
    least_answered: int = Field(
        100,
        ge=1,
        description="Calls answered by a person, known to have reached an agent or not, before a share is judged.",
    )
    blocks_from: date | None = Field(
        None, description="First day of the first 30-day block, UTC; unset is the day of the campaign's first call."
    )


class MissingCallbacks(RuleSettings):
    """Settings of `missing_callbacks`: calls that never end, gaps, or a stream gone quiet."""

    usual_share: Probability = Field(
        0.005, description="Share of calls that never end, or have gaps, that is usual for any account."
    )
    highest_usual_share: Probability = Field(
        0.05, description="Share of such calls that is never taken for usual, however long it lasts."
    )
    odds_ratio: Annotated[float, Field(gt=1)] = Field(5.0, description="The rise in the odds that is looked for.")
    calls_between_false_alarms: Annotated[float, Field(ge=1_000)] = Field(
        100_000.0, description="Calls of one account between two false alarms."
    )
    learning_calls: int = Field(500, ge=1, description="Ended calls before there is a usual share.")
    least_calls: int = Field(5, ge=1, description="Calls without end, or with gaps, that there must be in a rise.")
    recovery_calls: int = Field(50, ge=1, description="Fresh calls needed before such an alert can resolve.")
    dwell_minutes: Positive = Field(30.0, description="The least time between firing and resolving, in minutes.")
    quiet_chance: Annotated[float, Field(gt=0, le=0.01)] = Field(
        1e-6, description="Chance that an ordinary stream is as quiet for as long, from 0 to 1."
    )
    quiet_minutes: Positive = Field(10.0, description="Silence that is never too long, in minutes.")
    learning_hours: int = Field(168, ge=168, description="Hours of traffic before silence can be told from rest.")

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.usual_share > self.highest_usual_share:
            raise ValueError(
                f"usual_share is {self.usual_share}; write no more than highest_usual_share, {self.highest_usual_share}"
            )
        return self
