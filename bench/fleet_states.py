"""States of 100,000 numbers and 1,000 campaigns, made by the agents' own stages from a working day's calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from heapq import merge
from itertools import count
from multiprocessing import get_context
from random import Random

import msgspec

from bench.state_size import OUTCOMES
from bench.traffic import ACCOUNT
from schemas.call import CallFact, Contribution, Direction, FactKind, Origin
from schemas.log import Log, NewRecord, Record
from schemas.settings import Settings, load_settings
from schemas.times import HOUR, MINUTE, SECOND
from schemas.topics import CALLS, CAMPAIGNS, Topic
from streams.agents.app import changelog_of
from streams.agents.campaigns import CampaignsStage
from streams.agents.numbers import numbers_stage
from streams.agents.owned_states import OwnedStates
from streams.agents.stage import Stage, StateChange, process_all
from streams.transports.local.partitioner import partition_for

FLEET = 100_000
FLEET_CAMPAIGNS = 1_000

_A_CAMPAIGN = FLEET // FLEET_CAMPAIGNS
# From a number that is nearly at rest to one that calls twice an hour.
_FEWEST_CALLS, _MOST_CALLS = 3, 15
_SPAN = 8 * HOUR
_AREA = 10_000
_PROCESSES = 2
# One append is some megabytes.
_STATES_AN_APPEND = 2_000

States = dict[tuple[str, int], dict[bytes, bytes]]
"""Key to bytes, by stage and partition."""


def number_of(index: int) -> str:
    """The fleet's number at a place, 0 to `FLEET` - 1."""
    return f"+1{212 + index // _AREA}2{index % _AREA:06d}"


def campaign_of(index: int) -> str:
    """The campaign that the number at a place calls for."""
    return f"fleet-{index // _A_CAMPAIGN}"


def grow(partitions: int, now: int) -> States:
    """Make the states of the whole fleet.

    Args:
        partitions: of each topic.
        now: when the last of the calls were, in milliseconds since the epoch.
    """
    each = FLEET_CAMPAIGNS // _PROCESSES
    together: States = {}
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(_grow, first, each, partitions, now) for first in range(0, FLEET_CAMPAIGNS, each)]
        for part in parts:
            for place, states in part.result().items():
                together.setdefault(place, {}).update(states)
    return together


def _grow(first: int, campaigns: int, partitions: int, now: int) -> States:
    settings = load_settings()
    made: States = {}
    stages: dict[tuple[str, int], Stage] = {}
    random = Random(first)
    places = count()
    for campaign in range(first, first + campaigns):
        facts = list(_facts(random, range(campaign * _A_CAMPAIGN, (campaign + 1) * _A_CAMPAIGN), partitions, now))
        # All have offset 0, the place of the first record of each partition of `callbacks`, which `keep` tells of.
        placed = [_place(fact, next(places)) for fact in facts]
        for topic in (CALLS, CAMPAIGNS):
            for partition, records in _by_partition(topic, placed, partitions).items():
                process_all(_stage(stages, made, topic, partition, settings), records)
    return made


def _place(fact: CallFact, place: int) -> CallFact:
    return msgspec.structs.replace(fact, origin=Origin(fact.origin.partition, 0, place))


def _stage(
    stages: dict[tuple[str, int], Stage], made: States, topic: Topic, partition: int, settings: Settings
) -> Stage:
    name = "numbers" if topic is CALLS else CampaignsStage.name
    found = stages.get((name, partition))
    if found is None:
        data = made.setdefault((name, partition), {})
        found = numbers_stage(settings, data) if topic is CALLS else CampaignsStage(settings, data)
        stages[name, partition] = found
    return found


def _by_partition(topic: Topic, facts: Sequence[CallFact], partitions: int) -> Mapping[int, Sequence[Record]]:
    found: dict[int, list[Record]] = {}
    for fact in facts:
        key = (fact.number if topic is CALLS else fact.campaign).encode()
        partition = partition_for(key, partitions)
        records = found.setdefault(partition, [])
        records.append(Record(topic.name, partition, len(records), fact.at, key, fact.encode()))
    return found


def _facts(random: Random, indexes: Sequence[int], partitions: int, now: int) -> Iterator[CallFact]:
    """All facts of some numbers, in order of event time."""
    return merge(*(_facts_of(random, index, partitions, now) for index in indexes), key=lambda fact: fact.at)


def _facts_of(random: Random, index: int, partitions: int, now: int) -> Sequence[CallFact]:
    found = []
    for call in range(random.randint(_FEWEST_CALLS, _MOST_CALLS)):
        begun = now - random.randrange(5 * MINUTE, _SPAN)
        ended = begun + random.randrange(5, 120) * SECOND
        attempt = Contribution(begun)
        outcome = Contribution(begun, ended, random.choice(OUTCOMES), random.randrange(90), 18)
        call_sid = f"CA{index:024x}{call:08x}"
        origin = Origin(partition_for(call_sid.encode(), partitions), 0, 0)
        found.append(_fact(FactKind.PLACED, index, call_sid, origin, begun, None, attempt))
        found.append(_fact(FactKind.ENDED, index, call_sid, origin, ended, attempt, outcome))
    return sorted(found, key=lambda fact: fact.at)


def _fact(
    kind: FactKind,
    index: int,
    call_sid: str,
    origin: Origin,
    at: int,
    before: Contribution | None,
    after: Contribution,
) -> CallFact:
    return CallFact(
        fact=kind,
        revision=0 if before is None else 1,
        origin=origin,
        at=at,
        call_sid=call_sid,
        account_sid=ACCOUNT,
        number=number_of(index),
        contact="+13105550199",
        campaign=campaign_of(index),
        direction=Direction.OUTBOUND_API,
        counted=True,
        before=before,
        after=after,
    )


async def keep(log: Log, states: States, partitions: int, first: NewRecord) -> None:
    """Write states into their changelogs as a worker does.

    Args:
        log: gets them.
        states: as `grow` gives them, for as many partitions or for more.
        partitions: of each topic of this log; with fewer, states move together.
        first: a record for `callbacks`, appended to each partition, as the states tell of an offset 0 there.
    """
    await log.append([msgspec.structs.replace(first, partition=partition) for partition in range(partitions)])
    by_stage: dict[str, dict[int, list[StateChange]]] = {}
    for (stage, partition), kept in states.items():
        place = partition % partitions
        changes = by_stage.setdefault(stage, {}).setdefault(place, [])
        changes.extend(StateChange(place, key, packed) for key, packed in kept.items())
    for stage, changed in by_stage.items():
        owned = OwnedStates(changelog_of(stage), log, log.append)
        await owned.own(range(partitions))
        for partition, changes in changed.items():
            for start in range(0, len(changes), _STATES_AN_APPEND):
                await owned.keep({partition: changes[start : start + _STATES_AN_APPEND]})
