from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import cache
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.log import NewRecord, Record
from schemas.register import Register
from schemas.rules import AnswerRateCollapse, Rules, VolumeSpike
from schemas.settings import Settings
from schemas.times import DAY, HOUR
from schemas.topics import ACCOUNTS, CALLS, CAMPAIGNS, OPTOUTS, Topic
from streams.agents.accounts import accounts_stage
from streams.agents.campaigns import CampaignsStage
from streams.agents.contacts import ContactsStage
from streams.agents.numbers import numbers_stage
from streams.agents.replay import Replay
from streams.agents.stage import Stage, process_all
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import Simulation
from streams.ingest.simulator.scenario import Campaign, Collapse, OptOut, Scenario, Signal, Spike
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record
from tests.streams.agents.tables import without_pending

# Small, but with a collapse, a spike and opt-outs, and rules that fire early: what crashes is not an empty state.
_SCENARIO = Scenario(
    name="crashes",
    description="Two days of four numbers.",
    campaigns=(
        Campaign(name="spring-sale", numbers=2, calls_per_day=110.0, answer_rate=0.5),
        Campaign(name="renewals", numbers=2, calls_per_day=90.0, answer_rate=0.5),
    ),
    past=2 * DAY,
    stretch=20 * HOUR,
    end_of_week_hour=3 * 24 + 23,
    collapses=(Collapse(campaign=0, number=1, starts=19 * HOUR),),
    spikes=(Spike(campaign=1, number=0, starts=10 * HOUR, ends=9 * HOUR, factor=40.0),),
    opt_outs=(OptOut(campaign=0, number=0, starts=8 * HOUR, signal=Signal.OPT_OUT_TYPE),),
)
_RULES = Rules(
    answer_rate_collapse=AnswerRateCollapse(learning_calls=30, fleet_calls_per_day=200.0),
    volume_spike=VolumeSpike(number_limit=4, campaign_limit=6, account_limit=8),
)
_SETTINGS = Settings(rules=_RULES)

Factory = Callable[[Settings, MutableMapping[bytes, bytes]], Stage]


@cache
def _records(topic: str) -> list[Record]:
    """What a run of the scenario lays into a topic."""
    terms = Terms.of(_SETTINGS, Register())
    lines = Simulation(_SCENARIO, 5).lines()
    given = [new_record(understood) for line in lines for understood in read_line(line.encode(), terms)]
    emitted = given if topic == OPTOUTS.name else list(Replay(_SETTINGS).run(given))
    laid = [record for record in emitted if record.topic == topic]
    return [Record(topic, 0, at, record.timestamp or 0, record.key, record.value) for at, record in enumerate(laid)]


@pytest.mark.parametrize(
    ("factory", "topic"),
    [(numbers_stage, CALLS), (accounts_stage, ACCOUNTS), (CampaignsStage, CAMPAIGNS), (ContactsStage, OPTOUTS)],
    ids=["numbers", "accounts", "campaigns", "contacts"],
)
@example(seed=730)  # a sweep read a number's state before its campaign had put it right
@given(seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=20)
def test_slices_crashes_and_repeats_change_nothing(factory: Factory, topic: Topic, seed: int) -> None:
    """Any slices, a crash after any part of the state was written, and facts told twice give one state, one story."""
    random = Random(seed)
    records = _records(topic.name)
    assert records, "the scenario must reach this stage"
    table: dict[bytes, bytes] = {}
    story = process_all(factory(_SETTINGS, table), records).emissions
    assert story, "the scenario must make the rules speak"

    survived: dict[bytes, bytes] = {}
    stage = factory(_SETTINGS, survived)
    told: dict[NewRecord, None] = {}
    start = 0
    while start < len(records):
        size = random.randint(1, 400)
        before = dict(survived)
        effects = process_all(stage, records[start : start + size])
        told.update(dict.fromkeys(effects.emissions))
        if random.random() < 0.3:
            written = random.randint(0, len(effects.changes))
            survived = before
            for change in effects.changes[:written]:
                if change.value is None:
                    survived.pop(change.key, None)
                else:
                    survived[change.key] = change.value
            stage = factory(_SETTINGS, survived)
            continue
        repeated = random.randint(0, size // 8)
        start += size - repeated
    # What a last repeat did not reach is read once more.
    process_all(stage, records[-1:])
    assert without_pending(survived, _RULES) == without_pending(table, _RULES)
    assert set(told) == set(story)
