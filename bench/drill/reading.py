"""Topics read whole, piece by piece, from outside of what is drilled."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from heapq import merge
from typing import Final

from schemas.log import Log, LogUnavailableError, Positions, Record
from schemas.topics import CALLS
from streams.agents.arrival import arrival_of
from streams.agents.epochs import Epochs

_RECORDS_A_FETCH: Final = 5_000
_WAIT_SECONDS: Final = 0.5
# Compaction lags by an hour, so all that was appended is there; busy brokers may keep it back for seconds.
_READ_SECONDS: Final = 60.0


class TopicReader:
    """Reads what was appended since it was last asked.

    Args:
        log: is read.

    Attributes:
        begun: how often each topic was begun anew.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: Positions = {}
        self.begun: Counter[str] = Counter()

    async def new(self, topic: str) -> list[Record]:
        """Give the records appended to a topic since the last call, in order of offset per partition.

        Raises:
            TimeoutError: the brokers do not give what they say is there.
        """
        ends = await self._log.ends(topic)
        positions = {(topic, partition): self._positions.get((topic, partition), 0) for partition in ends}
        found: list[Record] = []
        if all(positions[topic, partition] >= end for partition, end in ends.items()):
            return found
        reader = await self._log.reader(positions)
        until = time.monotonic() + _READ_SECONDS
        try:
            while any(positions[topic, p] < end for p, end in ends.items()):
                if time.monotonic() > until:
                    raise TimeoutError(f"{topic} could not be read up to its end in {_READ_SECONDS:.0f} s")
                records = await reader.fetch(_RECORDS_A_FETCH, _WAIT_SECONDS)
                found += (record for record in records if record.offset < ends[record.partition])
                for record in records:
                    positions[topic, record.partition] = record.offset + 1
        finally:
            await reader.close()
        self._positions.update({(topic, partition): end for partition, end in ends.items()})
        return found

    def start_over(self, topic: str) -> None:
        """Read a topic from its beginning again; it was made anew."""
        self.begun[topic] += 1
        for place in [place for place in self._positions if place[0] == topic]:
            del self._positions[place]


class Changelog:
    """The states that hold in a changelog, by key; see `streams.agents.owned_states`.

    Args:
        topic: its name.
        reader: reads it.
    """

    def __init__(self, topic: str, reader: TopicReader) -> None:
        self.topic = topic
        self._reader = reader
        self._begun = -1
        self._epochs = Epochs()
        self._states: dict[bytes, bytes] = {}

    async def states(self) -> dict[bytes, bytes]:
        """The states as of now."""
        if self._reader.begun[self.topic] != self._begun:
            self._begun, self._epochs, self._states = self._reader.begun[self.topic], Epochs(), {}
        for record in await self._reader.new(self.topic):
            if not self._epochs.holds(record):
                continue
            if record.value is None:
                self._states.pop(record.key or b"", None)
            else:
                self._states[record.key or b""] = record.value
        return self._states


def in_order_of_arrival(records: Sequence[Record]) -> Iterator[Record]:
    """Merge callbacks of several partitions by the time at which the gateway had them."""
    lanes: dict[int, list[tuple[int, Record]]] = {}
    for record in records:
        at = arrival_of(record)
        if at is not None:
            lanes.setdefault(record.partition, []).append((at, record))
    return (record for _, record in merge(*lanes.values(), key=lambda pair: pair[0]))


class FactsSeen:
    """Follows the facts as anybody would who waits for them.

    Args:
        log: is read.

    Attributes:
        newest: arrival of the latest callback of which a fact was seen, in ms since the epoch.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.newest = 0

    async def follow(self) -> None:
        """Follow until cancelled, through whatever the brokers do."""
        positions: Positions = {(CALLS.name, p): end for p, end in (await self._log.ends(CALLS.name)).items()}
        reader = await self._log.reader(positions)
        try:
            while True:
                try:
                    # Facts carry the arrival of their callback as their time.
                    for record in await reader.fetch(_RECORDS_A_FETCH, 0.1):
                        self.newest = max(self.newest, record.timestamp)
                except LogUnavailableError:
                    await asyncio.sleep(_WAIT_SECONDS)
        finally:
            await reader.close()


def now_ms() -> int:
    """The wall clock, in ms since the epoch."""
    return time.time_ns() // 1_000_000
