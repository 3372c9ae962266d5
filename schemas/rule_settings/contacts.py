"""Settings of the rules about the person called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from schemas.alert import Severity
from schemas.rule_settings.base import RuleSettings
from schemas.state_rules import load_state_rules

MOST_ATTEMPTS: Final = 50
"""The largest limit that can be set: more attempts than this are not kept of a person."""

MOST_NUMBERS: Final = 16
"""The largest count of the company's numbers that can be asked for: more are not kept of a person."""


class UnknownZone(StrEnum):
    """What holds for a person of whom no time zone is known, such as one with a toll-free number.

    `strict` asks that the default hours hold in all zones of the United States from New York to Hawaii.
    """

    STRICT = "strict"
    ALLOW = "allow"
    FORBID = "forbid"


def _check_state_rules(path: Path) -> Path:
    # What is read here is kept, so that no rule reads a file while it decides.
    load_state_rules(path)
    return path


StateRulesFile = Annotated[Path, AfterValidator(_check_state_rules)]

Period = Literal["per_day", "per_7_days", "per_month"]
Limit = Annotated[int, Field(ge=1, le=MOST_ATTEMPTS)]


def purpose_key(purpose: str) -> str:
    """A purpose as it stands in settings: small letters, with underscores.

    >>> purpose_key("Debt collection"), purpose_key(" debt-collection ")
    ('debt_collection', 'debt_collection')
    """
    return "_".join(purpose.lower().replace("-", " ").replace("_", " ").split())


class OptOutRule(RuleSettings):
    """Settings of `opt_out`: a person asked not to be called again."""

    severity: Severity = Severity.INFO


class CallingHours(RuleSettings):
    """Settings of `calling_hours`: a call outside the hours of the person called."""

    severity: Severity = Severity.CRITICAL
    unknown_zone: UnknownZone = Field(
        UnknownZone.STRICT,
        description="What holds where no time zone is known: strict (allowed in all US zones), allow or forbid.",
    )
    not_solicitation: list[str] = Field(
        default=["debt_collection"],
        description="Purposes of campaigns that are no solicitation: the states' rules do not hold for them.",
    )
    state_rules_file: StateRulesFile | None = Field(
        None, description="TOML file of state rules that stands for the one that comes with ringwatch."
    )
    suppress: bool = Field(True, description="Whether the contact is suppressed until the hour comes.")


class RepeatCalls(RuleSettings):
    """Settings of `repeat_calls`: a person is called too often."""

    per_day: Limit | None = Field(2, description="Calls within 24 hours; unset is no limit.")
    per_7_days: Limit | None = Field(7, description="Calls within 7 days; unset is no limit.")
    per_month: Limit | None = Field(5, description="Calls within 30 days; unset is no limit.")
    purposes: dict[str, dict[Period, Limit]] = Field(
        default={"debt_collection": {"per_7_days": 7}},
        description="Limits by purpose of the campaign, which stand for the three above; one left out is no limit.",
    )
    not_solicitation: list[str] = Field(
        default=["debt_collection"],
        description="Purposes that are no solicitation: the states' limits on attempts do not hold for them.",
    )
    state_rules_file: StateRulesFile | None = Field(
        None, description="TOML file of state rules that stands for the one that comes with ringwatch."
    )
    suppress: bool = Field(True, description="Whether the contact is suppressed until the window moves on.")

    def limits_of(self, purpose: str | None) -> dict[Period, int]:
        """The limits that hold for calls of a purpose, as `purpose_key` writes it; None where it is not known."""
        if purpose is not None:
            for name, limits in self.purposes.items():
                if purpose_key(name) == purpose:
                    return dict(limits)
        general: dict[Period, int | None] = {
            "per_day": self.per_day,
            "per_7_days": self.per_7_days,
            "per_month": self.per_month,
        }
        return {period: limit for period, limit in general.items() if limit is not None}


class CallerIdRotation(RuleSettings):
    """Settings of `caller_id_rotation`: a person is called from several of the company's numbers."""

    numbers: int = Field(
        3, ge=2, le=MOST_NUMBERS, description="The company's numbers from which a person may not be called at once."
    )
    days: int = Field(7, ge=1, le=30, description="Within how many days those calls count together.")
