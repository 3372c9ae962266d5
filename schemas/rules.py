"""Settings of the rules: every threshold, with its unit and default, and the values a campaign has of its own."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from schemas.alert import Severity

Probability = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]


class RuleSettings(BaseModel):
    """What every rule can be told: whether it runs, how severe it is, and what differs for a campaign."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)

    enabled: bool = True
    severity: Severity = Severity.WARNING
    campaigns: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="Values that differ for a campaign, by the campaign's name."
    )

    @model_validator(mode="after")
    def _check_campaigns(self) -> Self:
        for campaign in self.campaigns:
            try:
                self.of_campaign(campaign)
            except ValidationError as error:
                problem = error.errors()[0]
                where = ".".join(map(str, problem["loc"]))
                raise ValueError(f"campaigns.{campaign}.{where}: {problem['msg']}") from error
        return self

    def of_campaign(self, campaign: str | None) -> Self:
        """The settings that hold for one campaign."""
        own = self.campaigns.get(campaign) if campaign is not None else None
        if not own:
            return self
        merged = self.model_dump(exclude={"campaigns"}) | own
        return type(self).model_validate(merged)


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


class OptOutRule(RuleSettings):
    """Settings of `opt_out`: a person asked not to be called again."""

    severity: Severity = Severity.INFO


class Rules(BaseModel):
    """All rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    answer_rate_collapse: AnswerRateCollapse = AnswerRateCollapse()
    volume_spike: VolumeSpike = VolumeSpike()
    opt_out: OptOutRule = OptOutRule()
