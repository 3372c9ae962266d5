"""Reads on from given positions, across several partitions in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Protocol

from schemas.log import Positions, Record


class _Source(Protocol):
    def fetch(self, topic: str, partition: int, offset: int, limit: int) -> Awaitable[list[Record]]: ...

    def has_records(self, topic: str, partition: int, offset: int) -> bool: ...

    def wait_for(self, positions: Positions, timeout: float) -> Awaitable[bool]: ...


class LocalReader:
    """A reader of the local log; no partition waits for another that has more to read.

    Args:
        source: the log.
        positions: the next offset to read, by topic and partition.
    """

    def __init__(self, source: _Source, positions: Positions) -> None:
        self._source = source
        self._positions = dict(positions)
        self._turns = deque(self._positions)

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """Give up to `limit` records in order of offset per partition, waiting up to `wait` seconds for the first.

        Raises:
            LogUnavailableError: the log can't be read now, or is closed.
        """
        records = await self._collect(limit)
        if not records and wait > 0 and await self._source.wait_for(self._positions, wait):
            records = await self._collect(limit)
        return records

    async def close(self) -> None:
        """Let go of what the reader holds, which is nothing but its positions."""
        self._turns.clear()
        self._positions.clear()

    async def _collect(self, limit: int) -> list[Record]:
        ready = [turn for turn in self._turns if self._source.has_records(*turn, self._positions[turn])]
        records: list[Record] = []
        for index, turn in enumerate(ready):
            # What one partition leaves of its share goes to those after it; the next fetch begins with another one.
            share = (limit - len(records)) // (len(ready) - index)
            if share > 0:
                run = await self._source.fetch(*turn, self._positions[turn], share)
                if run:
                    self._positions[turn] = run[-1].offset + 1
                    records += run
        if self._turns:
            self._turns.rotate(-1)
        return records
