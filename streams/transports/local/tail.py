"""The newest committed records in memory, so that readers at the end of the log do not touch the file."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from schemas.log import Record

# 64 MiB hold the last seconds at 10,000 records of 700 bytes a second, which is how far a healthy reader lags.
_TAIL_BYTES = 64 * 1024 * 1024
# Tiny records cost more in objects than in bytes: 100,000 of them stay below the same figure.
_TAIL_RECORDS = 100_000


class Tail:
    """The newest records of one partition, without gaps in their offsets."""

    __slots__ = ("_gone", "_records")

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._gone = 0

    def extend(self, records: Sequence[Record]) -> None:
        """Take records that follow the last one held."""
        self._records.extend(records)

    def drop_below(self, offset: int) -> None:
        """Forget all records before an offset."""
        records = self._records
        if self._gone == len(records):
            return
        self._gone = min(max(self._gone, offset - records[0].offset), len(records))
        # Moving the rest down only when half is gone keeps the cost per record constant.
        if self._gone * 2 >= len(records):
            del records[: self._gone]
            self._gone = 0

    def read(self, offset: int, limit: int) -> list[Record] | None:
        """Give up to `limit` records from an offset on, or None where the offset is not held."""
        records = self._records
        if self._gone == len(records):
            return None
        index = offset - records[0].offset
        if index < self._gone or index >= len(records):
            return None
        return records[index : index + limit]


class RecentRecords:
    """Keeps all tails together within one bound of bytes and records; the oldest go first."""

    def __init__(self) -> None:
        self._runs: deque[tuple[Tail, int, int, int]] = deque()
        self._bytes = 0
        self._count = 0

    def add(self, tail: Tail, records: Sequence[Record], size: int) -> None:
        """Take newly committed records of one partition, `size` bytes in all."""
        tail.extend(records)
        self._runs.append((tail, records[-1].offset + 1, len(records), size))
        self._bytes += size
        self._count += len(records)
        while self._bytes > _TAIL_BYTES or self._count > _TAIL_RECORDS:
            oldest, end, count, freed = self._runs.popleft()
            oldest.drop_below(end)
            self._bytes -= freed
            self._count -= count
