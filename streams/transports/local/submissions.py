"""What waits for the writer, in the order it was handed in."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Condition

from schemas.log import LogUnavailableError, NewRecord
from streams.transports.local.partitions import PartitionState

# One transaction takes at most this: enough for one sync to be a small share of the work, little enough that the next
# submitter waits some 50 ms at most.
_BATCH_RECORDS = 5_000
_BATCH_BYTES = 8 * 1024 * 1024
# What may wait, some ten seconds of a fast producer; past it a producer must slow down rather than fill the memory.
_PENDING_RECORDS = 100_000
_PENDING_BYTES = 256 * 1024 * 1024


@dataclass(slots=True, eq=False)
class Append:
    """Records with the partition of each, their size in bytes, and who waits for their offsets."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[list[tuple[int, int]]]
    records: Sequence[NewRecord]
    targets: Sequence[PartitionState]
    size: int


@dataclass(slots=True, eq=False)
class OffsetCommit:
    """Positions of a consumer group, and who waits for them."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    group: str
    offsets: dict[tuple[str, int], int]


@dataclass(slots=True, eq=False)
class Errand:
    """Something short to do in the writer's thread between two batches."""

    future: concurrent.futures.Future[None]
    run: Callable[[], None]


@dataclass(slots=True, eq=False)
class Chore:
    """Something long, done in bounded steps whenever appends leave time for it."""

    steps: Iterator[None]
    name: str
    future: concurrent.futures.Future[None] | None


class Submissions:
    """A bounded first-in-first-out queue between the submitters' threads and the writer's."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._waiting: deque[Append | OffsetCommit | Errand] = deque()
        self._records = 0
        self._bytes = 0
        self._closed = False
        self.chores: deque[Chore] = deque()

    def put(self, job: Append | OffsetCommit | Errand | Chore) -> None:
        """Hand something in.

        Raises:
            LogUnavailableError: too much is waiting already, or the log is closed.
        """
        with self._changed:
            if self._closed:
                raise LogUnavailableError("the log is closed; open it again to write to it")
            if isinstance(job, Append):
                records, size = self._records + len(job.records), self._bytes + job.size
                # What is larger than the bound by itself is taken when nothing else waits, or it never could be.
                if self._records and (records > _PENDING_RECORDS or size > _PENDING_BYTES):
                    raise LogUnavailableError(
                        f"{self._records} records are waiting to be written already; try again when some of them are"
                    )
                self._records, self._bytes = records, size
            if isinstance(job, Chore):
                self.chores.append(job)
            else:
                self._waiting.append(job)
            self._changed.notify()

    def close(self) -> None:
        """Take nothing any more; what waits is still written."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    def wait(self, timeout: float) -> None:
        """Wait up to `timeout` seconds until there is something to do."""
        with self._changed:
            if not self._waiting and not self.chores and not self._closed:
                self._changed.wait(timeout)

    def take(self) -> list[Append | OffsetCommit | Errand]:
        """Take what makes up the next transaction, nothing if nothing waits; an errand comes alone."""
        batch: list[Append | OffsetCommit | Errand] = []
        records = size = 0
        with self._changed:
            while self._waiting:
                job = self._waiting[0]
                if isinstance(job, Errand):
                    if not batch:
                        batch.append(self._waiting.popleft())
                    break
                if isinstance(job, Append):
                    if batch and (records + len(job.records) > _BATCH_RECORDS or size + job.size > _BATCH_BYTES):
                        break
                    records += len(job.records)
                    size += job.size
                batch.append(self._waiting.popleft())
        return batch

    def done(self, records: int, size: int) -> None:
        """Note that taken records, `size` bytes in all, are written or have failed."""
        with self._changed:
            self._records -= records
            self._bytes -= size
