"""Slices: one Faust message for a fetched run of records of one partition.

Faust spends about 0.2 ms on a message whatever the agent does with it. A message that carries a whole run brings that
to a few microseconds a record. Only ringwatch's own topics are sliced; changelogs come message by message, as Faust's
table recovery wants them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import faust
import msgspec
from faust.types import EventT, Message

from schemas.log import Record
from schemas.topics import TOPICS

SLICED_TOPICS: Final = frozenset(topic.name for topic in TOPICS)

# At some 40 microseconds a record the longest slice takes 20 ms, so that a gateway on the same loop keeps answering.
RECORDS_A_SLICE: Final = 500


class Slice(msgspec.Struct, frozen=True):
    """A run of records of one partition, in order of offset; never empty."""

    records: Sequence[Record]

    @property
    def next_offset(self) -> int:
        """The offset to go on from once the slice has been applied."""
        return self.records[-1].offset + 1


class SlicedTopic(faust.Topic):
    """A topic whose messages carry slices; messages of any other kind are decoded as Faust does."""

    async def decode(self, message: Message, *, propagate: bool = False) -> EventT[object]:
        """Pass a slice on as it is."""
        if isinstance(message.value, Slice):
            return self._create_event(None, message.value, message.headers, message)
        return await super().decode(message, propagate=propagate)
