"""Settings of the rules about how numbers are registered and signed."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from schemas.rule_settings.base import RuleSettings

Requirement = Literal["registered", "trust_hub", "trust_hub_on_record", "cnam"]
"""What a register can be required to say of a number."""


class Attestation(RuleSettings):
    """Settings of `attestation`: calls are signed below A."""

    below_calls: int = Field(3, ge=1, description="Calls signed below A that fire, of the last `of_calls`.")
    of_calls: int = Field(5, ge=1, le=50, description="Calls looked at together; only those that carry an attestation.")
    recovery_calls: int = Field(3, ge=1, description="Calls in a row signed with A that resolve.")

    @model_validator(mode="after")
    def _check_calls(self) -> Self:
        if self.below_calls > self.of_calls:
            raise ValueError(f"below_calls is {self.below_calls} of {self.of_calls} calls; write no more than of_calls")
        return self


class UnregisteredNumber(RuleSettings):
    """Settings of `unregistered_number`: no caller name, no approval, or not in the register."""

    require: list[Requirement] = Field(
        ["registered", "trust_hub"],
        min_length=1,
        description="What a number must have: `registered` (it is in the register), `trust_hub` (no state in Trust "
        "Hub other than approved), `trust_hub_on_record` (its approval stands in the register), `cnam` (a caller name "
        "stands in the register).",
    )
