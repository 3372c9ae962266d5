"""Scenarios of larger fleets: a day that is bad for all, and a week in which nothing is wrong."""

from __future__ import annotations

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR
from streams.ingest.simulator.faults import Fault, Twist
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.truth import Companion
from streams.ingest.simulator.worlds import PAST, STRETCH

_PURPOSES = ("telemarketing", "service", "reminders", "collections")

FLEET_SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="bad-day",
        description="Two days to learn from, then a day on which people answer all 40 numbers of a campaign less.",
        campaigns=(Campaign(name="spring-sale", numbers=40, calls_per_day=36.0, answer_rate=0.36),),
        past=PAST - DAY,
        stretch=STRETCH,
        contacts_per_number=400,
        faults=(
            Fault(
                rule="answer_rate_collapse",
                starts=STRETCH,
                ends=STRETCH - 13 * HOUR,
                twist=Twist(odds=0.45),
                note="answers fall from about 36 % to 20 % on all 40 numbers",
                also=(Companion("answer_rate_collapse", SubjectKind.NUMBER, most=1),),
            ),
        ),
        # One false alarm in 10,000 calls of numbers, and again of campaigns: here some 7,000.
        false_alarms=1,
    ),
    Scenario(
        name="two-hundred",
        description="A week of 200 numbers in eight campaigns, with agents and Voice Insights; nothing is injected.",
        campaigns=tuple(
            Campaign(
                name=f"campaign-{index + 1}",
                numbers=25,
                calls_per_day=45.0,
                answer_rate=0.28 + 0.02 * index,
                machine_share=0.35 + 0.03 * index,
                agents=index % 2 == 0,
                insights=index % 4 == 0,
                purpose=_PURPOSES[index % len(_PURPOSES)],
            )
            for index in range(8)
        ),
        past=0,
        stretch=7 * DAY,
        contacts_per_number=400,
        # By their settings, answer rates may cost one false alarm in 10,000 calls, of which there are some 50,000.
        false_alarms=5,
    ),
)
"""The scenarios of larger fleets."""
