"""Slices: one Faust message for a fetched run of records of one partition.

Faust spends about 0.2 ms on a message whatever the agent does with it. A message that carries a whole run brings that
to a few microseconds a record. Only ringwatch's own topics are sliced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import faust
import msgspec
from faust.types import EventT, Message

from schemas.log import Record
from schemas.topics import TOPICS

SLICED_TOPICS: Final = frozenset(topic.name for topic in TOPICS)

# At some 40 microseconds a record the longest slice takes 20 ms, so that a gateway on the same loop keeps answering.
RECORDS_A_SLICE: Final = 500
# A callback with all its parameters takes a kilobyte or two; one of 64 kB must not come five hundred at a time.
BYTES_A_SLICE: Final = 2_000_000
# A rebalance waits until the slices in work are done, one in each agent. So a slice shall take this long at most.
SECONDS_A_SLICE: Final = 0.1
# However slow, a slice holds this many records, or the cost of a slice would be what is paid.
_FEWEST_RECORDS: Final = 10


class Slice(msgspec.Struct, frozen=True):
    """Runs of records, each of one partition and in order of offset; none is empty, and no two are of one partition."""

    runs: Sequence[Sequence[Record]]

    def __len__(self) -> int:
        """How many records there are."""
        return sum(map(len, self.runs))


class SliceLimits:
    """How long the slices of a topic may be, in records, bytes, and the time that an agent takes for them.

    >>> limits = SliceLimits()
    >>> limits.note(500, 1.0)
    >>> limits.records
    50

    Args:
        records: how many at most.
    """

    __slots__ = ("_most", "records")

    def __init__(self, records: int = RECORDS_A_SLICE) -> None:
        self.records = self._most = records

    def note(self, records: int, seconds: float) -> None:
        """Learn from a slice of so many records that took so long: shorten at once, lengthen step by step."""
        if seconds > SECONDS_A_SLICE:
            self.records = max(_FEWEST_RECORDS, min(self.records, round(records * SECONDS_A_SLICE / seconds)))
        elif records >= self.records and self.records < self._most and seconds < SECONDS_A_SLICE / 2:
            self.records = min(self._most, 2 * self.records)

    def fitting(self, records: Iterable[Record]) -> Iterator[Record]:
        """Give those of the records, from the first on, that fit into a slice; one always does."""
        size = 0
        for place, record in enumerate(records):
            size += len(record.value or b"")
            if place and (place >= self.records or size > BYTES_A_SLICE):
                return
            yield record

    def count(self, records: Iterable[Record]) -> int:
        """How many of these records fit into a slice."""
        return sum(1 for _ in self.fitting(records))


class SlicedTopic(faust.Topic):
    """A topic whose messages carry slices; messages of any other kind are decoded as Faust does."""

    async def decode(self, message: Message, *, propagate: bool = False) -> EventT[object]:
        """Pass a slice on as it is."""
        if isinstance(message.value, Slice):
            return self._create_event(None, message.value, message.headers, message)
        return await super().decode(message, propagate=propagate)
