from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from schemas.log import LogUnavailableError, NewRecord, Record
from schemas.register import Register
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.topics import CALLS
from streams.agents import effects
from streams.agents.effects import StoppedError, emit_then_keep_state
from streams.agents.numbers import numbers_stage
from streams.agents.replay import Replay
from streams.agents.stage import Effects, StateChange, process_all
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import SCENARIOS, simulate
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record
from streams.windows import UnreadableStateError

_EMISSION = NewRecord("alerts", b"a", b"alert")
_EFFECTS = Effects([_EMISSION], [StateChange(2, b"k", b"v"), StateChange(2, b"gone", None)])


def test_emissions_are_durable_before_the_state_that_says_so() -> None:
    """Emissions are published, then the state is kept, in its order."""
    done: list[object] = []

    async def publish(records: Sequence[NewRecord]) -> None:
        done.extend(records)

    async def keep(changes: Mapping[int, Sequence[StateChange]]) -> None:
        done.extend(changes[2])

    asyncio.run(emit_then_keep_state({2: _EFFECTS}, publish, keep, lambda: False))
    assert done == [_EMISSION, StateChange(2, b"k", b"v"), StateChange(2, b"gone", None)]


def test_an_unavailable_log_is_tried_again_until_it_takes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that is away delays the effects and loses none; the state still comes after the emissions."""
    monkeypatch.setattr(effects, "_FIRST_PAUSE_SECONDS", 0.001)
    attempts: list[str] = []

    async def publish(records: Sequence[NewRecord]) -> None:
        attempts.append(records[0].topic)
        if len(attempts) < 4:
            raise LogUnavailableError("the disk is full")

    async def keep(changes: Mapping[int, Sequence[StateChange]]) -> None:
        attempts.append(f"{len(changes[2])} states")

    asyncio.run(emit_then_keep_state({2: _EFFECTS}, publish, keep, lambda: False))
    assert attempts == ["alerts", "alerts", "alerts", "alerts", "2 states"]


def test_a_stop_does_not_wait_for_an_unavailable_log() -> None:
    """A program that is asked to end gives up on a log that is away, and leaves the source unacknowledged."""

    async def publish(records: Sequence[NewRecord]) -> None:
        raise LogUnavailableError(f"no room for {len(records)} records")

    async def keep(changes: Mapping[int, Sequence[StateChange]]) -> None:
        raise AssertionError(f"{len(changes[2])} states kept before their emissions")

    async def stop() -> None:
        async with asyncio.timeout(10):
            await emit_then_keep_state({2: _EFFECTS}, publish, keep, lambda: True)

    with pytest.raises(StoppedError):
        asyncio.run(stop())


def test_a_state_that_cannot_be_read_sets_no_record_aside() -> None:
    """Damaged state is no fault of the record: the stage stops instead of making dead letters of good records."""
    settings = Settings(rules=Rules())
    terms = Terms.of(settings, Register())
    lines = (line.encode() for line in simulate(SCENARIOS["opt-out"], 1))
    given = [new_record(one) for line in lines for one in read_line(line, terms)]
    fact = next(record for record in Replay(settings).run(given) if record.topic == CALLS.name)
    stage = numbers_stage(settings, {fact.key or b"": b"\x63damaged"})
    with pytest.raises(UnreadableStateError, match="stored version is 99"):
        process_all(stage, [Record(CALLS.name, 0, 0, 0, fact.key, fact.value)])
