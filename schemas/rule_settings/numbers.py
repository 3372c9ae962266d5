"""Settings of the rules about how the company's own numbers are used."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from schemas.rule_settings.base import Probability, RuleSettings

MOST_CALLS_KEPT = 20
"""The highest `calls` of the rules about purposes: so many times are kept of each purpose of each number."""


class RampStage(NamedTuple):
    """One stage of a schedule: so many days in which a day may have so many calls."""

    days: Annotated[int, Field(ge=1, le=365)]
    calls_per_day: Annotated[int, Field(ge=1)]


class NeighborSpoofing(RuleSettings):
    """Settings of `neighbor_spoofing`: own prefixes follow the called prefixes more than chance."""

    block_contacts: int = Field(
        300, ge=50, le=2_000, description="People called, each counted once, after which a campaign is looked at."
    )
    tail_probability: Probability = Field(1e-6, description="Chance that a block without any such choice fires.")
    least_matches: int = Field(
        15, ge=1, description="People of a block called from their own exchange (NPA-NXX) that there must be."
    )

    @model_validator(mode="after")
    def _check_matches(self) -> Self:
        if self.least_matches > self.block_contacts:
            raise ValueError("least_matches is more than a block can hold; set it to block_contacts or less")
        return self


class MixedPurpose(RuleSettings):
    """Settings of `mixed_purpose`: one number calls for two purposes."""

    window_days: int = Field(
        30, ge=1, le=365, description="Days without a call for a purpose after which the number no longer serves it."
    )
    calls: int = Field(
        3,
        ge=1,
        le=MOST_CALLS_KEPT,
        description="Calls for each of the two purposes since the later one began, within the window.",
    )


class NumberRest(RuleSettings):
    """Settings of `number_rest`: a number gets a new purpose before it has rested."""

    rest_days: int = Field(45, ge=1, le=365, description="Days a number rests between two purposes.")
    calls: int = Field(
        3, ge=1, le=MOST_CALLS_KEPT, description="Calls in a row for the new purpose that make it the number's purpose."
    )
    suppress: bool = Field(False, description="Whether the number is suppressed until it has rested.")


class RampUp(RuleSettings):
    """Settings of `ramp_up`: a new number or campaign grows faster than its schedule."""

    number_stages: list[RampStage] = Field(
        [RampStage(7, 50), RampStage(7, 100), RampStage(16, 150)],
        min_length=1,
        description="A new number's stages, one after the other: days, and calls a day; no limit after the last.",
    )
    campaign_stages: list[RampStage] = Field(
        [RampStage(7, 1_000), RampStage(7, 2_500), RampStage(16, 5_000)],
        min_length=1,
        description="A new campaign's stages, one after the other: days, and calls a day; no limit after the last.",
    )
    day_starts_at: int = Field(
        10, ge=0, le=23, description="Hour of the day, UTC, at which a day's count begins; one at which nobody calls."
    )
    assume_new: bool = Field(
        False, description="Whether a subject without a date in the register is new on the day of its first call seen."
    )

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        if any("day_starts_at" in own for own in self.campaigns.values()):
            raise ValueError("campaigns: day_starts_at is one for all, as numbers change campaigns; set it once")
        for name, stages in (("number_stages", self.number_stages), ("campaign_stages", self.campaign_stages)):
            if any(later.calls_per_day < earlier.calls_per_day for earlier, later in pairwise(stages)):
                raise ValueError(f"{name}: a later stage allows fewer calls a day; put the stages in rising order")
        return self
