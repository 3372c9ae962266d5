"""The Faust transport on the embedded local log: `local:///PATH`.

One process owns the log, so there is one member in the group, all partitions are its own, and nothing is ever
rebalanced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from faust.assignor.client_assignment import ClientAssignment
from faust.transport import base
from faust.transport.producer import Producer as FaustProducer
from faust.types import TP, RecordMetadata
from yarl import URL

from schemas.log import LogUnavailableError, NewRecord, Record
from streams.transports.local.log import LocalLog
from streams.transports.local.partitioner import partition_for
from streams.transports.slices import RECORDS_A_SLICE
from streams.transports.slicing import SlicingConsumer

# Faust asks to be able to stop within a second; half of it leaves time for the rest.
_LONGEST_WAIT_SECONDS = 0.5

_open: dict[Path, tuple[LocalLog, int]] = {}


def share_log(path: Path) -> LocalLog:
    """Open a log, or take the one this process has open; to be given back with `release_log`."""
    resolved = path.resolve()
    log, users = _open.get(resolved, (None, 0))
    if log is None:
        log = LocalLog.open(resolved)
    _open[resolved] = (log, users + 1)
    return log


def release_log(path: Path) -> None:
    """Give a shared log back; the last user closes it."""
    resolved = path.resolve()
    log, users = _open[resolved]
    if users > 1:
        _open[resolved] = (log, users - 1)
    else:
        del _open[resolved]
        log.close()


def path_of(url: URL) -> Path:
    """The file that a `local://` URL names.

    >>> path_of(URL("local:///var/lib/ringwatch/log")).as_posix()
    '/var/lib/ringwatch/log'
    """
    return Path(f"{url.host or ''}{url.path}")


def require_topic(log: LocalLog, topic: str) -> None:
    """Refuse to make a topic on Faust's demand: it would have partitions and retention of nobody's choice.

    Raises:
        KeyError: the topic was not made.
    """
    if topic not in log.topics():
        raise KeyError(f"topic {topic!r} does not exist in the log; create it before starting agents")


class Consumer(SlicingConsumer):
    """Reads slices from the local log."""

    transport: Transport
    consumer_stopped_errors: ClassVar[tuple[type[BaseException], ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._assignment: set[TP] = set()
        self._positions: dict[TP, int] = {}

    @property
    def _log(self) -> LocalLog:
        return self.transport.log

    def applied(self, tp: TP, next_offset: int) -> None:
        """Note that all before an offset is applied and on disk; it becomes durable after what was written so far."""
        super().applied(tp, next_offset)
        self._committed_offset[tp] = next_offset
        committed = self._log.commit_offsets(self.app.conf.id, {(tp.topic, tp.partition): next_offset})
        committed.add_done_callback(_forget_failure)

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Take all partitions of the topics."""
        known = self._log.topics()
        self._assignment = {TP(topic, partition) for topic in topics for partition in range(known[topic])}
        assignor: Any = self.app.assignor
        # Recovery asks the assignor which changelogs are this worker's; without an answer tables come back empty.
        changelogs = {topic: list(range(known[topic])) for topic in self.app.tables.changelog_topics}
        assignor._assignment = ClientAssignment(actives=changelogs, standbys={})  # noqa: SLF001
        assignor._active_tps = assignor._assignment.active_tps  # noqa: SLF001
        assignor._standby_tps = set()  # noqa: SLF001
        self.app.consumer_generation_id = 1
        # The callback waits for the subscription to be complete, so it can't be awaited inside of it.
        self.add_future(self.on_partitions_assigned(set(self._assignment), 1))

    async def _fetch(self, wanted: set[TP], timeout: float) -> dict[TP, list[Record]]:  # noqa: ASYNC109 - Faust's way
        found = await self._read(wanted)
        if not found:
            positions = {(tp.topic, tp.partition): self._position(tp) for tp in wanted}
            await self._log.wait_for(positions, min(timeout, _LONGEST_WAIT_SECONDS))
            found = await self._read(wanted)
        return found

    async def _read(self, wanted: set[TP]) -> dict[TP, list[Record]]:
        found = {}
        for tp in wanted:
            position = self._position(tp)
            if position < self._log.end(tp.topic, tp.partition):
                # A backlog is read from the file in another thread, so that a gateway on this loop keeps answering.
                records = await self._log.fetch(tp.topic, tp.partition, position, RECORDS_A_SLICE)
                if records:
                    found[tp] = records
                    self._positions[tp] = records[-1].offset + 1
        return found

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        places = {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        try:
            await self._log.commit_offsets(self.app.conf.id, places)
        except LogUnavailableError:
            # Faust commits again with the next acknowledgements; a restart before that repeats them.
            return False
        return True

    def _starting(self, tp: TP) -> int | None:
        return self._committed(tp)

    def _position_of(self, tp: TP) -> int | None:
        return self._position(tp)

    def _position(self, tp: TP) -> int:
        position = self._positions.get(tp)
        if position is None:
            position = self._positions[tp] = self._committed(tp)
        return position

    def _committed(self, tp: TP) -> int:
        committed = self._log.committed(self.app.conf.id).get((tp.topic, tp.partition))
        return self._log.start(tp.topic, tp.partition) if committed is None else committed

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what was applied, on every partition."""
        self._positions = {tp: self._committed(tp) for tp in self._assignment}
        return dict(self._positions)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Go to the given offsets."""
        for tp, offset in partitions.items():
            await self._seek(tp, offset)
            self._read_offset[tp] = offset or None

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset

    async def position(self, tp: TP) -> int | None:
        """The next offset to be read."""
        return self._positions.get(tp)

    def assignment(self) -> set[TP]:
        """All partitions of the subscribed topics."""
        return self._assignment

    def highwater(self, tp: TP) -> int:
        """The next offset to be written."""
        return self._log.end(tp.topic, tp.partition)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The next offset to be written, by partition."""
        return {tp: self.highwater(tp) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The first offset left, by partition."""
        return {tp: self._log.start(tp.topic, tp.partition) for tp in partitions}

    def topic_partitions(self, topic: str) -> int | None:
        """How many partitions a topic has."""
        return self._log.topics().get(topic)

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """The partition a key goes to, as Kafka's default partitioner has it."""
        if partition is not None or key is None:
            return partition
        return partition_for(key, self._log.topics()[topic])

    async def create_topic(self, topic: str, *_args: object, **_options: object) -> None:
        """Do nothing, or refuse; see `require_topic`."""
        require_topic(self._log, topic)

    def close(self) -> None:
        """Nothing is held."""


class Producer(FaustProducer):
    """Appends to the local log."""

    transport: Transport

    @property
    def _log(self) -> LocalLog:
        return self.transport.log

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records in order; give partition and offset of each once all are on disk.

        Raises:
            LogUnavailableError: they are not known to be on disk.
        """
        return await self._log.append(records) if records else []

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,  # noqa: ARG002 - Faust's signature
    ) -> Awaitable[RecordMetadata]:
        """Append one record; the returned future is done once it is on disk."""
        return asyncio.ensure_future(self.send_and_wait(topic, key, value, partition, timestamp, headers))

    async def send_and_wait(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int | None,
        timestamp: float | None,
        headers: Any,
        *,
        transactional_id: str | None = None,  # noqa: ARG002 - Faust's signature
    ) -> RecordMetadata:
        """Append one record and wait until it is on disk."""
        pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
        record = NewRecord(
            topic=topic,
            key=key,
            value=value,
            partition=partition,
            timestamp=None if timestamp is None else round(timestamp * 1_000),
            headers=tuple((name, content) for name, content in pairs),
        )
        [(where, offset)] = await self._log.append([record])
        return RecordMetadata(topic, where, TP(topic, where), offset)

    async def create_topic(self, topic: str, *_args: object, **_options: object) -> None:
        """Do nothing, or refuse; see `require_topic`."""
        require_topic(self._log, topic)

    def key_partition(self, topic: str, key: bytes) -> TP:
        """The partition a key goes to, as Kafka's default partitioner has it."""
        return TP(topic, partition_for(key, self._log.topics()[topic]))

    async def flush(self) -> None:
        """Wait for what Faust itself has sent."""
        await self.buffer.flush()

    def supports_headers(self) -> bool:
        """Headers are kept."""
        return True


class Transport(base.Transport):
    """A log in one file, for one process."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
    default_port = 0
    driver_version = "local"

    def __init__(self, url: list[URL], app: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(url, app, loop)
        self._path = path_of(url[0])
        self._log: LocalLog | None = None

    @property
    def log(self) -> LocalLog:
        """The log, opened when it is first needed."""
        if self._log is None:
            self._log = share_log(self._path)
        return self._log

    def release(self) -> None:
        """Give the log back."""
        if self._log is not None:
            self._log = None
            release_log(self._path)


def _forget_failure(committed: asyncio.Future[None]) -> None:
    # An offset that could not be committed is committed with the next slice; until then a restart replays a no-op.
    if not committed.cancelled():
        committed.exception()
