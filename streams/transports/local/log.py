"""An embedded durable log in one SQLite file: topics, partitions, offsets and consumer groups without a broker."""

from __future__ import annotations

import asyncio
import concurrent.futures
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock

from schemas.log import LogUnavailableError, NewRecord, Positions, Record
from schemas.topics import Cleanup
from streams.transports.local.blocks import record_size
from streams.transports.local.directory import Directory
from streams.transports.local.files import Files
from streams.transports.local.housekeeping import Housekeeping, compact_steps, expire_steps
from streams.transports.local.lock import release_lock, take_lock
from streams.transports.local.reader import LocalReader
from streams.transports.local.storage import Storage
from streams.transports.local.submissions import Append, Chore, Errand, OffsetCommit
from streams.transports.local.waiting import Waiter, has_record
from streams.transports.local.writer import Writer


def _now() -> int:
    return time.time_ns() // 1_000_000


class LocalLog:
    """The embedded log; `open` makes one, `close` must be called in the end.

    Appends and offset commits become durable in the order in which they are submitted, whatever the topic; a crash
    leaves a beginning of that order. Methods are safe to call from several threads and event loops.

    Args:
        path: the SQLite file; `-wal`, `-shm` and `.lock` files lie beside it.
        clock: gives the time in ms since the epoch, for records without a timestamp and for ages.
    """

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._storage = Storage(path)
        try:
            self._directory = Directory(self._storage)
            self._groups = self._storage.load_committed()
        except BaseException:
            self._storage.close()
            raise
        self._lock = Lock()
        self._files = Files(path)
        self._housekeeping = Housekeeping(clock())
        self._lock_descriptor: int | None = None
        self._writer = Writer(self._storage, self._groups, self._lock, clock, self._find_chores)
        self._writer.start()

    @classmethod
    def open(cls, path: Path, *, clock: Callable[[], int] = _now) -> LocalLog:
        """Open a log for reading and writing; its folder and file are made if they are not there.

        Raises:
            LogInUseError: somebody has it open.
            LogDamagedError: the file is no log, or damaged; nothing was changed.
            NewerLogError: a newer ringwatch wrote the file; nothing was changed.
            LogUnavailableError: the folder or file can't be written to now.
        """
        # By its real path, so that two names of one file are one log.
        path = path.resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = take_lock(path)
        except OSError as error:
            raise LogUnavailableError(f"{path} can't be opened ({error}); make its folder writable") from error
        try:
            log = cls(path, clock)
        except BaseException as error:
            release_lock(descriptor)
            if isinstance(error, (sqlite3.Error, OSError)):
                raise LogUnavailableError(
                    f"{path} can't be opened ({error}); check space and rights of its folder, then try again"
                ) from error
            raise
        log._lock_descriptor = descriptor
        return log

    def close(self) -> None:
        """Write what was submitted, then close the file; closing twice does nothing."""
        with self._lock:
            descriptor, self._lock_descriptor = self._lock_descriptor, None
        if descriptor is not None:
            self._writer.close()
            self._files.close()
            self._storage.close()
            release_lock(descriptor)

    def create_topic(self, name: str, partitions: int, cleanup: Cleanup, retention: int | None) -> None:
        """Make a topic durable, or change cleanup and retention of the one that is there; waits for the disk.

        Args:
            name: the topic's name.
            partitions: how many it has, for good.
            cleanup: what happens to old records.
            retention: how long a record is kept at least, in ms since it was appended; None is for ever.

        Raises:
            PartitionCountError: it is there with another number of partitions.
            LogUnavailableError: it could not be written.
        """
        if not name or partitions < 1:
            raise ValueError(f"topic {name!r} with {partitions} partitions: give it a name and at least one partition")
        if not self._directory.is_as(name, partitions, cleanup, retention):
            errand = Errand(
                concurrent.futures.Future(), lambda: self._directory.make(name, partitions, cleanup, retention)
            )
            self._writer.submissions.put(errand)
            errand.future.result()

    def topics(self) -> Mapping[str, int]:
        """Give the number of partitions by topic."""
        return {topic.name: len(topic.partitions) for topic in self._directory.all()}

    def submit(self, records: Sequence[NewRecord]) -> asyncio.Future[list[tuple[int, int]]]:
        """Queue records for the writer; the future gives partition and offset of each once all are on disk.

        They become durable together or not at all. If it fails, the future raises LogUnavailableError. Cancelling the
        future does not take the records back.

        Raises:
            KeyError: no such topic or partition.
            TypeError: a key, value or header that is not bytes.
            ValueError: a record without a key in a compacted topic.
            LogUnavailableError: too much is waiting already, or the log is closed.
        """
        loop = asyncio.get_running_loop()
        targets = [self._directory.target(record) for record in records]
        size = sum(record_size(record.key, record.value, record.headers) for record in records)
        future: asyncio.Future[list[tuple[int, int]]] = loop.create_future()
        self._writer.submissions.put(Append(loop, future, records, targets, size))
        return future

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records in order and return partition and offset of each once all are durable.

        Raises:
            LogUnavailableError: not all are known to be on disk; the caller must take none as accepted.
        """
        return await self.submit(records)

    def read(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Read up to `limit` committed records from an offset on, or from the first one left after it.

        Old records are read from the file, during which the caller's thread waits; see `fetch`.

        Raises:
            KeyError: no such topic or partition.
            LogUnavailableError: the file can't be read now.
        """
        state = self._directory.partition(topic, partition)
        with self._lock:
            end = state.end
            offset = max(offset, state.start)
            if offset >= end or limit < 1:
                return []
            held = state.tail.read(offset, limit)
        return self._files.read(state, offset, end, limit) if held is None else held

    async def fetch(self, topic: str, partition: int, offset: int, limit: int) -> list[Record]:
        """Read as `read` does, but from the file in another thread, so that the event loop goes on."""
        state = self._directory.partition(topic, partition)
        with self._lock:
            held = state.tail.read(max(offset, state.start), limit)
            finished = offset >= state.end
        if held is not None:
            return held
        return [] if finished else await asyncio.to_thread(self.read, topic, partition, offset, limit)

    def start(self, topic: str, partition: int) -> int:
        """Give the first offset that is left, the next to be written where none is."""
        return self._directory.partition(topic, partition).start

    def end(self, topic: str, partition: int) -> int:
        """Give the next offset to be written after what is committed."""
        return self._directory.partition(topic, partition).end

    def has_records(self, topic: str, partition: int, offset: int) -> bool:
        """Tell whether there is a committed record at or past an offset."""
        return has_record(self._directory.partition(topic, partition), offset)

    async def partitions(self, topic: str) -> int:
        """Give the number of a topic's partitions.

        Raises:
            KeyError: no such topic.
        """
        return len(self._directory.topic(topic).partitions)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """Give the next offset to be written, by partition."""
        return {partition.number: partition.end for partition in self._directory.topic(topic).partitions}

    async def reader(self, positions: Positions) -> LocalReader:
        """Read from the given positions on; a position below what retention has left starts at what is left."""
        for topic, partition in positions:
            self._directory.partition(topic, partition)
        return LocalReader(self, positions)

    def commit_offsets(self, group: str, offsets: Mapping[tuple[str, int], int]) -> asyncio.Future[None]:
        """Queue a consumer group's positions, durable no sooner than what was submitted before them.

        Args:
            group: the consumer group.
            offsets: the next offset to read, by topic and partition.

        Raises:
            LogUnavailableError: the log is closed; the returned future raises it where writing fails.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._writer.submissions.put(OffsetCommit(loop, future, group, dict(offsets)))
        return future

    def committed(self, group: str) -> Mapping[tuple[str, int], int]:
        """Give a consumer group's positions that are on disk, by topic and partition."""
        with self._lock:
            return dict(self._groups.get(group, {}))

    async def wait_for(self, positions: Positions, timeout: float) -> bool:  # noqa: ASYNC109 - part of the answer
        """Wait up to `timeout` seconds until any of the partitions has a committed record at or past its position.

        Raises:
            LogUnavailableError: the log is or was closed.
        """
        loop = asyncio.get_running_loop()
        wanted = {self._directory.partition(*place): position for place, position in positions.items()}
        waiter = Waiter(loop, loop.create_future(), wanted)
        with self._lock:
            if waiter.is_served():
                return True
            if self._writer.submissions.closed:
                raise LogUnavailableError("the log is closed; open it again to read from it")
            self._writer.waiters.add(waiter)
        try:
            await asyncio.wait([waiter.future], timeout=timeout)
            if not waiter.future.done():
                return False
            waiter.future.result()
            return True
        finally:
            waiter.future.cancel()
            with self._lock:
                self._writer.waiters.discard(waiter)

    def compact(self, topic: str) -> None:
        """Keep only the last record of each key, but for the newest minute; returns when it is done.

        Appends go on meanwhile. It also happens by itself where enough has been superseded.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: it could not be finished; what was done stays and nothing is lost.
        """
        steps = compact_steps(self._storage, self._directory.topic(topic), self._clock(), self._writer.moved)
        self._do(f"compaction of {topic}", steps)

    def expire(self, topic: str, now: int) -> None:
        """Drop what was appended longer than the topic's retention before `now` (ms since the epoch).

        Appends go on meanwhile. It also happens by itself, once a minute.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: it could not be finished; what was done stays.
        """
        self._do(
            f"retention of {topic}", expire_steps(self._storage, self._directory.topic(topic), now, self._writer.moved)
        )

    def _do(self, name: str, steps: Iterator[None]) -> None:
        chore = Chore(steps, name, concurrent.futures.Future())
        self._writer.submissions.put(chore)
        assert chore.future is not None
        chore.future.result()

    def _find_chores(self) -> None:
        chores = self._writer.submissions.chores
        if not chores:
            found = self._housekeeping.due(self._storage, self._directory.all(), self._clock(), self._writer.moved)
            chores.extend(Chore(steps, name, None) for name, steps in found)
