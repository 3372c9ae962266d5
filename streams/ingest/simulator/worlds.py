"""The small world that scenarios of single rules share: a week from Monday to Monday, the fault on Thursday."""

from __future__ import annotations

from schemas.times import HOUR
from streams.ingest.simulator.scenario import Campaign

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
