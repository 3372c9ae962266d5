"""What a number's state weighs: bytes in the log, and resident memory of the stages that hold it."""

from __future__ import annotations

import gc
import resource
from collections.abc import MutableMapping
from pathlib import Path
from random import Random

import msgspec

from bench.processes import apart
from bench.results import Result
from bench.state_size import facts
from schemas.call import CallFact, Origin
from schemas.log import Record
from schemas.settings import load_settings
from schemas.times import DAY
from schemas.topics import CALLS, CAMPAIGNS, Topic
from streams.agents.campaigns import CampaignsStage, number_key
from streams.agents.numbers import numbers_stage
from streams.agents.stage import Stage, process_all

_NUMBERS = 10_000
_DAYS = 21
_SLICE = 500


def measure() -> list[Result]:
    """Bytes of a typical and a busy number, and memory of ten thousand typical ones."""
    typical = sum(map(len, _grown(60, (9, 17))))
    busy = sum(map(len, _grown(2_000, (0, 24))))
    resident = apart(resident_bytes)
    what = f"windows, volume and answers, as both stages store them, after {_DAYS} days"
    return [
        Result(name="state of a typical number", unit="bytes", value=typical, note=f"60 calls a day; {what}"),
        Result(name="state of a busy number", unit="bytes", value=busy, note=f"2,000 calls a day; {what}"),
        Result(
            name="resident memory per 10,000 numbers",
            unit="MiB",
            value=resident / 2**20,
            against="its bytes in the tables",
            ratio=resident / (typical * _NUMBERS),
            note="typical numbers, all of them active: tables and decoded states of the agents' stages",
        ),
    ]


def _stages(
    numbers: MutableMapping[bytes, bytes], campaigns: MutableMapping[bytes, bytes]
) -> list[tuple[Stage, Topic]]:
    settings = load_settings()
    return [(numbers_stage(settings, numbers), CALLS), (CampaignsStage(settings, campaigns), CAMPAIGNS)]


def _grown(calls_a_day: int, hours: tuple[int, int]) -> tuple[bytes, bytes]:
    """A number's packed states after weeks of calls: in the stage of numbers, and in that of campaigns."""
    numbers: dict[bytes, bytes] = {}
    campaigns: dict[bytes, bytes] = {}
    made = facts(Random(1), calls_a_day, hours, _DAYS)
    for stage, topic in _stages(numbers, campaigns):
        for start in range(0, len(made), _SLICE):
            records = [_record(topic, start + index, fact) for index, fact in enumerate(made[start : start + _SLICE])]
            process_all(stage, records)
    of_number = made[0].number.encode()
    return numbers[of_number], next(value for key, value in campaigns.items() if of_number in key)


def _record(topic: Topic, offset: int, fact: CallFact) -> Record:
    placed = msgspec.structs.replace(fact, origin=Origin(0, offset, 0))
    return Record(topic.name, 0, offset, fact.at, fact.number.encode(), placed.encode())


def resident_bytes() -> int:
    """Growth of this process's resident memory when ten thousand typical numbers get a call each."""
    packed_number, packed_answers = _grown(60, (9, 17))
    template = facts(Random(2), 1, (12, 13), 1)[0]
    later = template.at + _DAYS * DAY
    gc.collect()
    before = _resident()
    names = [f"+1202{index:07d}" for index in range(_NUMBERS)]
    # Each number its own bytes, as tables have them that were read from a log.
    numbers = {name.encode(): bytes(bytearray(packed_number)) for name in names}
    answers = {number_key(template.campaign, name): bytes(bytearray(packed_answers)) for name in names}
    stages = _stages(numbers, answers)
    for stage, topic in stages:
        for start in range(0, _NUMBERS, _SLICE):
            chosen = enumerate(names[start : start + _SLICE])
            process_all(stage, [_record(topic, start + index, _moved(template, name, later)) for index, name in chosen])
    gc.collect()
    return _resident() - before


def _moved(fact: CallFact, number: str, at: int) -> CallFact:
    after = msgspec.structs.replace(fact.after, attempted_at=at)
    return msgspec.structs.replace(fact, number=number, at=at, after=after)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
