"""What every rule can be told."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from schemas.alert import Severity

Probability = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
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
