"""Scenarios about the person called: at the wrong hour, too often, from too many numbers, or not there at all."""

from __future__ import annotations

from schemas.times import DAY, HOUR, MINUTE
from streams.ingest.simulator.faults import Attempts, Whom
from streams.ingest.simulator.scenario import Scenario
from streams.ingest.simulator.worlds import CONTACTS, QUIET_WORLD

# From Tuesday 13:00 UTC to the end on a Monday.
_SPAN = 6 * DAY + HOUR


def _scenario(name: str, description: str, *attempts: Attempts) -> Scenario:
    return Scenario(
        name=name,
        description=description,
        campaigns=QUIET_WORLD,
        past=0,
        stretch=_SPAN,
        contacts_per_number=CONTACTS,
        attempts=attempts,
    )


def _at(days: int, hours: int, minutes: int = 0) -> int:
    """How long before the end it is so many days and hours after the Tuesday, 13:00 UTC, on which they begin."""
    return _SPAN - days * DAY - hours * HOUR - minutes * MINUTE


CONTACT_SCENARIOS: tuple[Scenario, ...] = (
    _scenario(
        "calling-hours",
        "Two people in the Pacific zone, one by number and one by the register, are called before 8 in the morning.",
        Attempts(
            rule="calling_hours",
            campaign=0,
            numbers=(0, 0),
            starts=(_at(1, 1, 10), _at(1, 8)),
            breach=0,
            whom=Whom.PACIFIC,
            note="called at 6:10 Pacific time",
            tolerance=MINUTE,
        ),
        Attempts(
            rule="calling_hours",
            campaign=0,
            numbers=(1, 1),
            starts=(_at(2, 2, 30), _at(2, 9)),
            breach=0,
            whom=Whom.MOVED,
            note="called at 7:30 Pacific time, by an Eastern number",
            tolerance=MINUTE,
        ),
    ),
    _scenario(
        "repeat-calls",
        "One person is called four times on a day, another on six days in a row.",
        Attempts(
            rule="repeat_calls",
            campaign=0,
            numbers=(0, 0, 0, 0),
            starts=(_at(1, 2), _at(1, 4), _at(1, 6), _at(1, 8)),
            breach=2,
            note="called a third time on the day",
        ),
        Attempts(
            rule="repeat_calls",
            campaign=0,
            numbers=(1, 1, 1, 1, 1, 1),
            starts=tuple(_at(day, 3) for day in range(6)),
            breach=5,
            note="called a sixth time in the month",
            tolerance=6 * DAY,
        ),
    ),
    _scenario(
        "caller-id-rotation",
        "One person is called from four of a campaign's numbers in four days.",
        Attempts(
            rule="caller_id_rotation",
            campaign=0,
            numbers=(0, 1, 2, 3),
            starts=tuple(_at(day, 5) for day in range(4)),
            breach=2,
            note="called from a third number in three days",
            tolerance=3 * DAY,
        ),
    ),
    _scenario(
        "invalid-contact",
        "Somebody whose number does not exist is called again two days later.",
        Attempts(
            rule="invalid_numbers",
            campaign=0,
            numbers=(0, 0),
            starts=(_at(0, 4), _at(2, 4)),
            breach=1,
            invalid=True,
            note="the number does not exist, for the second time",
            tolerance=3 * DAY,
        ),
    ),
)
"""The scenarios about the person called."""
