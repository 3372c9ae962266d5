"""The small world that scenarios of single rules share: a week from Monday to Monday, the fault on Thursday."""

from __future__ import annotations

import msgspec

from schemas.times import HOUR
from streams.ingest.simulator.faults import Fault
from streams.ingest.simulator.scenario import Campaign, Scenario

STRETCH = 97 * HOUR
"""From the opening on Thursday, 13:00 UTC, to the end on a Monday, 14:00: most of three working days."""

PAST = 71 * HOUR
"""From the Monday before: three working days, some hundreds of calls of each number."""

CONTACTS = 1_200
"""Enough that nobody is called twice in the week."""

WORLD = (
    Campaign(name="spring-sale", numbers=4, calls_per_day=110.0, answer_rate=0.36),
    Campaign(name="renewals", numbers=3, calls_per_day=110.0, answer_rate=0.40, purpose="service"),
)
"""Two campaigns of different purpose."""

QUIET_WORLD = (
    Campaign(name="spring-sale", numbers=4, calls_per_day=20.0, answer_rate=0.36, completed_only=0),
    Campaign(name="renewals", numbers=3, calls_per_day=20.0, answer_rate=0.40, completed_only=0, purpose="service"),
)
"""The same with few calls, for rules that ask for no statistics."""


def week(
    name: str,
    description: str,
    *faults: Fault,
    campaigns: tuple[Campaign, ...] = WORLD,
    opt_out_share: float = 0.0,
) -> Scenario:
    """A scenario of the week, with calls enough for rules that go by statistics."""
    return Scenario(
        name=name,
        description=description,
        campaigns=campaigns,
        past=PAST,
        stretch=STRETCH,
        contacts_per_number=CONTACTS,
        opt_out_share=opt_out_share,
        faults=faults,
        # Answer rates may cost one in 10,000 calls, of numbers and again of campaigns: here some 5,000 each.
        false_alarms=1,
    )


def quiet_week(name: str, description: str, *faults: Fault) -> Scenario:
    """The same with few calls, for rules that ask for no statistics."""
    return msgspec.structs.replace(week(name, description, *faults, campaigns=QUIET_WORLD), false_alarms=0)
