"""Holidays of states and provinces, by the `holidays` library."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache

import holidays

from schemas.state_rules import PROVINCES


@cache
def _of_year(state: str, year: int) -> Mapping[date, str]:
    country = "CA" if state in PROVINCES else "US"
    return dict(holidays.country_holidays(country, subdiv=state, years=year))


def holiday_on(state: str, day: date, more: tuple[str, ...] = ()) -> str | None:
    """Name the holiday that a day is in a state or province; None if it is none.

    Days on which a holiday is observed count as well.

    Args:
        state: two capitals.
        day: the local date.
        more: month and day, as 06-14, of days that count besides those of the library.

    >>> holiday_on("UT", date(2026, 7, 24)), holiday_on("NY", date(2026, 7, 24))
    ('Pioneer Day', None)
    """
    found = _of_year(state, day.year).get(day)
    if found is None and f"{day:%m-%d}" in more:
        return "state holiday"
    return found
