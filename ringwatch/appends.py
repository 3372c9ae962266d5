"""Whether the log takes records, as those who append find out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from schemas.log import Log, NewRecord, Positions, Reader

# Who is told to stay away must be let in again some time, or no append would ever show that the log is well. Ten
# seconds are longer than brokers take to choose another leader.
_BELIEVED_SECONDS = 10.0


class WatchedLog:
    """A log whose appends are watched, for readiness.

    Args:
        log: does the work.
        clock: seconds that only ever grow.
    """

    def __init__(self, log: Log, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._failed_at: float | None = None

    def readiness(self) -> bool | str:
        """True unless the last append failed, and did so in the last seconds."""
        if self._failed_at is None or self._clock() - self._failed_at > _BELIEVED_SECONDS:
            return True
        return "the log takes no records; the program's log says why"

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records; see `schemas.log.Log`."""
        try:
            places = await self._log.append(records)
        except Exception:
            self._failed_at = self._clock()
            raise
        self._failed_at = None
        return places

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""
        return await self._log.partitions(topic)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offset to be written, by partition."""
        return await self._log.ends(topic)

    async def reader(self, positions: Positions) -> Reader:
        """Read from the given positions on."""
        return await self._log.reader(positions)
