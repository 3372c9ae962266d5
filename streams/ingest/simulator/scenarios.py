"""The scenarios by name."""

from __future__ import annotations

from schemas.times import DAY, HOUR, MINUTE
from streams.ingest.simulator.scenario import Campaign, Collapse, OptOut, Scenario, Signal, Spike

# Few enough calls that a rule set for one false alarm in 10,000 calls is likely to stay silent on the clean part,
# many enough that each number has hundreds of calls to learn from.
_CAMPAIGNS = (
    Campaign(name="spring-sale", numbers=6, calls_per_day=110.0, answer_rate=0.36),
    Campaign(name="renewals", numbers=5, calls_per_day=90.0, answer_rate=0.40),
)

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
    Scenario(name="clean", description="Eleven ordinary days; nothing is injected.", campaigns=_CAMPAIGNS),
    Scenario(
        name="collapse",
        description="Eight days to learn from, then one number's answers fall from about 36 % to 10 %.",
        campaigns=_CAMPAIGNS,
        collapses=(Collapse(campaign=0, number=2, starts=_LASTING),),
    ),
    Scenario(
        name="campaign-collapse",
        description="Eight days to learn from, then the answers of a whole campaign fall from about 36 % to 10 %.",
        campaigns=_CAMPAIGNS,
        collapses=(Collapse(campaign=0, number=None, starts=_LASTING),),
    ),
    Scenario(
        name="spike",
        description="Eight days to learn from, then one number calls forty times as much for an hour.",
        campaigns=_CAMPAIGNS,
        spikes=(Spike(campaign=0, number=3, starts=3 * DAY - 2 * HOUR, ends=3 * DAY - 3 * HOUR, factor=40.0),),
    ),
    Scenario(
        name="campaign-spike",
        description="Eight days to learn from, then each number of a campaign calls five times as much for an hour.",
        campaigns=_CAMPAIGNS,
        spikes=(Spike(campaign=0, number=None, starts=3 * DAY - 2 * HOUR, ends=3 * DAY - 3 * HOUR, factor=5.0),),
    ),
    Scenario(
        name="opt-out",
        description="A day in which four people say stop: two by message, one by key, one by voice.",
        campaigns=_CAMPAIGNS,
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
        past=7 * DAY,
        stretch=6 * HOUR,
        end_of_week_hour=_THURSDAY_23,
        collapses=(Collapse(campaign=0, number=2, starts=330 * MINUTE, odds=0.1),),
        spikes=(Spike(campaign=1, number=4, starts=180 * MINUTE, ends=145 * MINUTE, factor=25.0),),
        opt_outs=(
            OptOut(campaign=0, number=0, starts=240 * MINUTE, signal=Signal.STOP_WORD),
            OptOut(campaign=1, number=1, starts=120 * MINUTE, signal=Signal.DTMF),
            OptOut(campaign=0, number=5, starts=40 * MINUTE, signal=Signal.SPEECH),
        ),
    ),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
"""Every scenario by name."""
