"""What states say of when and how often a person may be called: dated data in a TOML file, checked as it is read."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

US_STATES: Final = {
    "AL": "Alabama",
    "AK": "Alaska",
    "AZ": "Arizona",
    "AR": "Arkansas",
    "CA": "California",
    "CO": "Colorado",
    "CT": "Connecticut",
    "DE": "Delaware",
    "DC": "District of Columbia",
    "FL": "Florida",
    "GA": "Georgia",
    "HI": "Hawaii",
    "ID": "Idaho",
    "IL": "Illinois",
    "IN": "Indiana",
    "IA": "Iowa",
    "KS": "Kansas",
    "KY": "Kentucky",
    "LA": "Louisiana",
    "ME": "Maine",
    "MD": "Maryland",
    "MA": "Massachusetts",
    "MI": "Michigan",
    "MN": "Minnesota",
    "MS": "Mississippi",
    "MO": "Missouri",
    "MT": "Montana",
    "NE": "Nebraska",
    "NV": "Nevada",
    "NH": "New Hampshire",
    "NJ": "New Jersey",
    "NM": "New Mexico",
    "NY": "New York",
    "NC": "North Carolina",
    "ND": "North Dakota",
    "OH": "Ohio",
    "OK": "Oklahoma",
    "OR": "Oregon",
    "PA": "Pennsylvania",
    "RI": "Rhode Island",
    "SC": "South Carolina",
    "SD": "South Dakota",
    "TN": "Tennessee",
    "TX": "Texas",
    "UT": "Utah",
    "VT": "Vermont",
    "VA": "Virginia",
    "WA": "Washington",
    "WV": "West Virginia",
    "WI": "Wisconsin",
    "WY": "Wyoming",
    "AS": "American Samoa",
    "GU": "Guam",
    "MP": "Northern Mariana Islands",
    "PR": "Puerto Rico",
    "VI": "U.S. Virgin Islands",
}
PROVINCES: Final = {
    "AB": "Alberta",
    "BC": "British Columbia",
    "MB": "Manitoba",
    "NB": "New Brunswick",
    "NL": "Newfoundland and Labrador",
    "NS": "Nova Scotia",
    "NT": "Northwest Territories",
    "NU": "Nunavut",
    "ON": "Ontario",
    "PE": "Prince Edward Island",
    "QC": "Quebec",
    "SK": "Saskatchewan",
    "YT": "Yukon",
}
STATES: Final = US_STATES | PROVINCES
"""US states and territories and Canadian provinces and territories, as the postal services write them."""

CLOSED: Final = (0, 0)
"""The hours of a day on which nobody may be called."""

_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_MINUTES_OF_A_DAY = 24 * 60
# Verdicts are kept by the quarter of an hour, which all offsets of time zones are multiples of.
_STEP = 15
_HINT = 'write hours as "08:00-21:00", by the quarter of an hour, or "closed"'


def _read_span(given: object) -> object:
    if given == "closed":
        return CLOSED
    found = _SPAN.fullmatch(given) if isinstance(given, str) else None
    if found is None:
        raise ValueError(_HINT)
    hours = list(map(int, found.groups()))
    opens, closes = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    if not opens < closes <= _MINUTES_OF_A_DAY or opens % _STEP or closes % _STEP:
        raise ValueError(_HINT)
    return opens, closes


def _check_state(state: str) -> str:
    if state not in STATES:
        raise ValueError("write two capitals, as the postal service does, e.g. FL or ON")
    return state


Span = Annotated[tuple[int, int], BeforeValidator(_read_span)]
"""Minutes of the local day: from the first on, up to but without the second."""

MonthAndDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]


class StateRule(BaseModel):
    """What one law says, for the states where it holds and the days on which it is in force.

    Attributes:
        states: where it holds.
        hours: of every day; None if it says nothing of hours, and those of the default hold.
        saturday: if they differ.
        sunday: if they differ.
        holidays: of the state's holidays, if they differ.
        more_holidays: month and day of holidays that the `holidays` library does not count as such.
        attempts_per_24_hours: calls to a person within 24 hours on the same matter; None if it says nothing of them.
        replaces_default: whether its hours stand for the default ones; else both hold.
        since: first day in force; None if always, as far as anybody here is concerned.
        until: first day on which it is no longer in force; None if it has no end.
        source: the law's own name.
        link: where it was read.
        checked: whether those were the law's own words, and not somebody's account of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    states: tuple[Annotated[str, AfterValidator(_check_state)], ...] = Field(min_length=1)
    hours: Span | None = None
    saturday: Span | None = None
    sunday: Span | None = None
    holidays: Span | None = None
    more_holidays: tuple[MonthAndDay, ...] = ()
    attempts_per_24_hours: int | None = Field(None, ge=1)
    replaces_default: bool = False
    since: date | None = None
    until: date | None = None
    source: str = Field(min_length=1)
    link: str = Field(pattern=r"^https?://\S+$")
    checked: bool

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("until must be later than since")
        if self.replaces_default and self.hours is None:
            raise ValueError("replaces_default: give hours, as they stand for the default ones")
        return self

    def in_force(self, day: date) -> bool:
        """Whether the rule holds on a day."""
        return (self.since is None or self.since <= day) and (self.until is None or day < self.until)


class DefaultRule(BaseModel):
    """What holds everywhere: the federal rule."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hours: Span
    source: str = Field(min_length=1)
    link: str = Field(pattern=r"^https?://\S+$")
    checked: bool


class StateRules(BaseModel):
    """A file of rules.

    Attributes:
        read_on: the day on which its sources were last looked at.
        default: what holds everywhere.
        rules: what holds besides, or instead.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    read_on: date
    default: DefaultRule
    rules: tuple[StateRule, ...] = ()


@lru_cache(maxsize=16)
def load_state_rules(path: Path) -> StateRules:
    """Read and check a file of state rules; the same path is read once.

    Raises:
        ValueError: the file can't be used; the text names the file and the rule and says what to write instead.
    """
    try:
        given: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; name a TOML file of state rules") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}; name a file that can be read") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        # Endless digits and endless nesting are no TOML that anybody meant.
        raise ValueError(f"{path}: {error}; write TOML") from error
    try:
        return StateRules.model_validate(given)
    except ValidationError as error:
        lines = [f"{path}: {_where(problem['loc'])}: {_hint(problem)}" for problem in error.errors()]
        raise ValueError("; ".join(lines)) from error


def _where(place: tuple[int | str, ...]) -> str:
    """Name a value for people, who count from 1."""
    return ".".join(str(part + 1) if isinstance(part, int) else part for part in place) or "file"


def _hint(problem: Any) -> str:
    if problem["type"] == "extra_forbidden":
        return "no such key; docs/jurisdictions.md lists them all"
    return str(problem["msg"]).removeprefix("Value error, ")
