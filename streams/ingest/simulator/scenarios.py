"""The scenarios by name."""

from __future__ import annotations

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR, MINUTE
from streams.ingest.simulator.contact_scenarios import CONTACT_SCENARIOS
from streams.ingest.simulator.fleet_scenarios import FLEET_SCENARIOS
from streams.ingest.simulator.number_scenarios import NUMBER_SCENARIOS
from streams.ingest.simulator.scenario import Campaign, Collapse, OptOut, Scenario, Signal, Spike
from streams.ingest.simulator.share_scenarios import SHARE_SCENARIOS
from streams.ingest.simulator.truth import Companion

# Few enough calls that a rule set for one false alarm in 10,000 calls is likely to stay silent on the clean part,
# many enough that each number has hundreds of calls to learn from.
_CAMPAIGNS = (
    Campaign(name="spring-sale", numbers=6, calls_per_day=110.0, answer_rate=0.36),
    Campaign(name="renewals", numbers=5, calls_per_day=90.0, answer_rate=0.40),
)

# Enough that nobody is called more than twice in eleven days.
_CONTACTS = 1_000

# A labelled number is silenced and blocked, so that its calls go unanswered in a row, and end with 603.
_OF_A_LABEL = tuple(
    Companion(rule, kind)
    for rule in ("no_answer_streak", "blocked_calls", "answer_rate_collapse")
    for kind in (SubjectKind.NUMBER, SubjectKind.CAMPAIGN)
)
_WIDER = (Companion("volume_spike", SubjectKind.CAMPAIGN), Companion("volume_spike", SubjectKind.ACCOUNT))
_NARROWER = (Companion("volume_spike", SubjectKind.NUMBER), Companion("volume_spike", SubjectKind.ACCOUNT))

# Three days, so that a working day's calls of a number lie inside even if the end is a Monday morning.
_LASTING = 3 * DAY - HOUR

# The demo's week is turned so that its end is a Thursday afternoon; its numbers call more, so that a fall of the
# answer rate shows within hours.
_DEMO_CAMPAIGNS = (
    Campaign(name="spring-sale", numbers=6, calls_per_day=200.0, answer_rate=0.36),
    Campaign(name="renewals", numbers=6, calls_per_day=200.0, answer_rate=0.40),
)
_THURSDAY_23 = 3 * 24 + 23

_ALL = (
    Scenario(
        name="clean",
        description="Eleven ordinary days; nothing is injected.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
    ),
    Scenario(
        name="collapse",
        description="Eight days to learn from, then one number's answers fall from about 36 % to 10 %.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
        collapses=(Collapse(campaign=0, number=2, starts=_LASTING, also=_OF_A_LABEL),),
    ),
    Scenario(
        name="campaign-collapse",
        description="Eight days to learn from, then the answers of a whole campaign fall from about 36 % to 10 %.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
        collapses=(Collapse(campaign=0, number=None, starts=_LASTING, also=_OF_A_LABEL),),
    ),
    Scenario(
        name="spike",
        description="Eight days to learn from, then one number calls forty times as much for an hour.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
        spikes=(
            Spike(campaign=0, number=3, starts=3 * DAY - 2 * HOUR, ends=3 * DAY - 3 * HOUR, factor=40.0, also=_WIDER),
        ),
    ),
    Scenario(
        name="campaign-spike",
        description="Eight days to learn from, then each number of a campaign calls five times as much for an hour.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
        spikes=(
            Spike(
                campaign=0, number=None, starts=3 * DAY - 2 * HOUR, ends=3 * DAY - 3 * HOUR, factor=5.0, also=_NARROWER
            ),
        ),
    ),
    Scenario(
        name="opt-out",
        description="A day in which four people say stop: two by message, one by key, one by voice.",
        campaigns=_CAMPAIGNS,
        contacts_per_number=_CONTACTS,
        past=0,
        stretch=DAY,
        opt_outs=(
            OptOut(campaign=0, number=0, starts=20 * HOUR, signal=Signal.OPT_OUT_TYPE),
            OptOut(campaign=0, number=1, starts=18 * HOUR, signal=Signal.STOP_WORD),
            OptOut(campaign=1, number=0, starts=16 * HOUR, signal=Signal.DTMF),
            OptOut(campaign=1, number=1, starts=14 * HOUR, signal=Signal.SPEECH),
        ),
    ),
    Scenario(
        name="demo",
        description="A week to learn from, then six hours with a number's collapse, a spike on another, 3 opt-outs.",
        campaigns=_DEMO_CAMPAIGNS,
        contacts_per_number=1_700,
        # One false alarm in 10,000 calls of numbers, and again of campaigns: here some 15,000.
        false_alarms=2,
        past=7 * DAY,
        stretch=6 * HOUR,
        end_of_week_hour=_THURSDAY_23,
        collapses=(Collapse(campaign=0, number=2, starts=330 * MINUTE, odds=0.1, also=_OF_A_LABEL),),
        spikes=(Spike(campaign=1, number=4, starts=180 * MINUTE, ends=145 * MINUTE, factor=25.0, also=_WIDER),),
        opt_outs=(
            OptOut(campaign=0, number=0, starts=240 * MINUTE, signal=Signal.STOP_WORD),
            OptOut(campaign=1, number=1, starts=120 * MINUTE, signal=Signal.DTMF),
            OptOut(campaign=0, number=5, starts=40 * MINUTE, signal=Signal.SPEECH),
        ),
    ),
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (*_ALL, *SHARE_SCENARIOS, *NUMBER_SCENARIOS, *CONTACT_SCENARIOS, *FLEET_SCENARIOS)
}
"""Every scenario by name."""
