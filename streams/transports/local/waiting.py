"""Wakes those who wait for records, once per commit and without polling."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.transports.local.partitions import PartitionState


def has_record(partition: PartitionState, position: int) -> bool:
    """Tell whether a partition has a committed record at or past a position."""
    return partition.end > position and partition.end > partition.start


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody on an event loop who waits for a record at or past any of some positions."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    positions: Mapping[PartitionState, int]

    def is_served(self) -> bool:
        """Tell whether there is a record for this waiter."""
        return any(has_record(partition, position) for partition, position in self.positions.items())


def settle(results: Sequence[tuple[asyncio.Future[Any], object]]) -> None:
    """Give each future its result or error, on its own loop; one that was cancelled meanwhile is left alone."""
    for future, result in results:
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
