"""Records for the history's tests, and a log that lives in memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from schemas.call import CallFact, CallStatus, Contribution, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback, CallbackKind
from schemas.log import LogUnavailableError, NewRecord, Positions, Record
from schemas.times import SECOND, from_iso
from sinks.history.store import History

NOON = from_iso("2026-11-23T12:00:00Z")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the history lies."""
    return tmp_path / "data" / "history.duckdb"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    """An empty history."""
    opened = History.open(path)
    yield opened
    opened.close()


@pytest.fixture
def rows(history: History) -> Callable[[str], list[dict[str, object]]]:
    """Ask the history and get rows."""
    return lambda sql: history.query(sql).to_pylist()


def a_callback(number: int, **changes: object) -> Callback:
    """The request that told of the end of the number-th call."""
    told: dict[str, object] = {
        "call_sid": f"CA{number:032x}",
        "account_sid": "AC" + "0" * 32,
        "kind": CallbackKind.STATUS,
        "endpoint": "/twilio/voice",
        "received_at": NOON + number * SECOND,
        "params": {"CallSid": f"CA{number:032x}", "CallStatus": "completed", "Blank": "", "Twice": ["a", "b"]},
        "campaign": "spring-sale",
        "happened_at": NOON + number * SECOND - 250,
        "status": CallStatus.COMPLETED,
        "sequence": 2,
        "number": "+12025550100",
        "contact": "+13035550199",
        "direction": Direction.OUTBOUND_API,
        "problems": ["SequenceNumber: no number"],
    }
    return Callback(**{**told, **changes})  # type: ignore[arg-type]


def a_fact(call: int, revision: int, offset: int, **changes: object) -> CallFact:
    """The fact of that revision: placed, ended by a person's answer, or revised to a machine's."""
    placed, ended = NOON + call * SECOND, NOON + call * SECOND + 20_000
    before = Contribution(placed) if revision == 1 else None
    if revision > 1:
        before = Contribution(placed, ended, Disposition.HUMAN, 5, 15)
    outcome = Disposition.HUMAN if revision == 1 else Disposition.MACHINE
    told: dict[str, object] = {
        "fact": (FactKind.PLACED, FactKind.ENDED, FactKind.REVISED)[min(revision, 2)],
        "revision": revision,
        "origin": Origin(0, offset, 0),
        "at": placed if revision == 0 else ended,
        "call_sid": f"CA{call:032x}",
        "account_sid": "AC" + "0" * 32,
        "number": "+12025550100",
        "contact": "+13035550199",
        "campaign": "spring-sale",
        "direction": Direction.OUTBOUND_API,
        "counted": True,
        "before": before,
        "after": Contribution(placed, ended, outcome, 5, 15) if revision else Contribution(placed),
        "status": CallStatus.COMPLETED if revision else CallStatus.INITIATED,
        "placed_at": placed,
        "ended_at": ended if revision else None,
        "ring_seconds": 15 if revision else None,
        "talk_seconds": 5 if revision else None,
    }
    return CallFact(**{**told, **changes})  # type: ignore[arg-type]


def in_log(
    topic: str, values: Sequence[bytes | None], *, first: int = 0, partition: int = 0, key: bytes | None = None
) -> list[Record]:
    """Values as records of one partition, from an offset on."""
    return [Record(topic, partition, first + place, NOON, key, value) for place, value in enumerate(values)]


class MemoryLog:
    """A log of lists, with the gaps a retention or a control record leaves, and a switch that takes it away."""

    def __init__(self, partitions: int = 2) -> None:
        self.count = partitions
        self.lanes: dict[tuple[str, int], list[Record]] = defaultdict(list)
        self.away = False
        self.fetches = 0

    def _check(self) -> None:
        if self.away:
            raise LogUnavailableError("the log is away")

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append at once."""
        self._check()
        places = []
        for new in records:
            partition = new.partition or 0
            lane = self.lanes[new.topic, partition]
            lane.append(Record(new.topic, partition, len(lane), NOON, new.key, new.value))
            places.append((partition, len(lane) - 1))
        return places

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - the protocol's name
        """As many as were asked for, whatever the topic."""
        self._check()
        return self.count

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The length of each partition."""
        self._check()
        return {partition: len(self.lanes[topic, partition]) for partition in range(self.count)}

    async def reader(self, positions: Positions) -> MemoryReader:
        """Read from the positions on."""
        self._check()
        return MemoryReader(self, positions)


class MemoryReader:
    """Reads one lane after the other."""

    def __init__(self, log: MemoryLog, positions: Positions) -> None:
        self._log = log
        self._positions = positions

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """Look until there is something or the wait is over."""
        self._log.fetches += 1
        for _ in range(max(1, int(wait / 0.01))):
            self._log._check()
            found: list[Record] = []
            for lane, position in self._positions.items():
                found += self._log.lanes[lane][position : position + limit - len(found)]
            if found:
                for record in found:
                    self._positions[record.topic, record.partition] = record.offset + 1
                return found
            await asyncio.sleep(0.01)
        return []

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def log() -> MemoryLog:
    """An empty log."""
    return MemoryLog()


class Make:
    """What tests build records with."""

    callback = staticmethod(a_callback)
    fact = staticmethod(a_fact)
    records = staticmethod(in_log)


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """Builders of callbacks, facts and records."""
    return Make
