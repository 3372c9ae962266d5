"""Settings of the rules about how many calls there are."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from schemas.rule_settings.base import Positive, Probability, RuleSettings


class VolumeSpike(RuleSettings):
    """Settings of `volume_spike`: far more calls in a bucket than the hour and the day explain."""

    bucket_minutes: int = Field(5, ge=1, le=60, description="Length of a bucket in minutes; divides 60.")
    tail_probability: Probability = Field(1e-6, description="Chance that an ordinary bucket passes the limit.")
    dispersion: Positive = Field(0.02, description="alpha of var = mu + alpha mu^2.")
    learning_hours: int = Field(24, ge=1, description="Hours of traffic watched before there is a baseline.")
    least_excess: int = Field(10, ge=1, description="Calls above the expected count that a spike must have at least.")
    calm_buckets: int = Field(3, ge=1, description="Buckets in a row below the limit before an alert resolves.")
    number_limit: int | None = Field(100, ge=1, description="Calls of a number in a bucket that are always too many.")
    campaign_limit: int | None = Field(None, ge=1, description="The same for a campaign; unset is no limit.")
    account_limit: int | None = Field(None, ge=1, description="The same for an account; unset is no limit.")

    @model_validator(mode="after")
    def _check_bucket(self) -> Self:
        if any("bucket_minutes" in own for own in self.campaigns.values()):
            raise ValueError("campaigns: bucket_minutes is one for all, as numbers change campaigns; set it once")
        if 60 % self.bucket_minutes:
            raise ValueError("bucket_minutes must divide 60: write 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30 or 60")
        return self
