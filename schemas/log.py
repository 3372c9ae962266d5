"""The one small interface through which the edges reach a log, be it embedded or Apache Kafka."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

Headers = tuple[tuple[str, bytes], ...]
Positions = dict[tuple[str, int], int]
"""The next offset to read, by topic and partition."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record as it lies in the log; `timestamp` in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class NewRecord(msgspec.Struct, frozen=True, gc=False):
    """One record to append; without a partition, the key's hash chooses; without a timestamp, the log's clock."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None
    timestamp: int | None = None
    headers: Headers = ()


class LogUnavailableError(Exception):
    """The log can't take or give records now (disk full, broker away); the caller may try again later."""


class Reader(Protocol):
    """Reads on from its positions, across all of its partitions; not for use by two tasks at once."""

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """Give up to `limit` records in order of offset per partition, waiting up to `wait` seconds for the first.

        Raises:
            LogUnavailableError: the log can't be read now.
        """
        ...

    async def close(self) -> None:
        """Let go of what the reader holds."""
        ...


class Log(Protocol):
    """What gateway and sinks know of a log."""

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records in order and return partition and offset of each once all are durable.

        Raises:
            LogUnavailableError: not all are known to be on disk; the caller must take none as accepted.
        """
        ...

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            KeyError: no such topic.
        """
        ...

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offset to be written, by partition."""
        ...

    async def reader(self, positions: Positions) -> Reader:
        """Read from the given positions on; a position below what retention has left starts at what is left."""
        ...


async def ends_of(log: Log, topics: Iterable[str]) -> Positions:
    """The positions past everything that the log holds of some topics now, in order of topic and partition.

    Raises:
        LogUnavailableError: the log can't be read now.
    """
    positions: Positions = {}
    for topic in topics:
        ends = await log.ends(topic)
        for partition in range(await log.partitions(topic)):
            positions[topic, partition] = ends.get(partition, 0)
    return positions
