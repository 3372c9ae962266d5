"""The producer's side: many small appends share batches, and none of them blocks the event loop or hangs."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import (
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    RetriableError,
)

from schemas.log import LogUnavailableError, NewRecord
from schemas.settings import Kafka
from streams.transports.local.partitioner import partition_for

# Requests that come within this share a batch for each partition. It is small beside what a replicated append takes.
_LINGER_MILLISECONDS = 2
# Some hundred callbacks.
_BATCH_BYTES = 131_072
# A callback shrinks to a third, and an lz4 batch costs less than the copies it saves on the way.
_COMPRESSION = "lz4"
# What topics take at most, and a batch's own fields.
MAX_RECORD_BYTES = 8 * 1024 * 1024
_MAX_REQUEST_BYTES = MAX_RECORD_BYTES + 65_536
# Offsets, lengths and the future of a record while it waits.
_RECORD_OVERHEAD = 100
# Without an acknowledgement for this many times `append_seconds`, the client itself may be what is stuck.
_STUCK_TIMES = 3
_METADATA_GLANCE_SECONDS = 0.02
_END_SECONDS = 5.0

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

_logger = logging.getLogger(__name__)


class _Append:
    """Records that were appended together and what became of them."""

    __slots__ = ("acknowledged", "error", "future", "largest", "left", "places", "producer", "size")

    def __init__(
        self,
        producer: KafkaProducer,
        future: asyncio.Future[list[tuple[int, int]]],
        acknowledged: _Acknowledged,
        sizes: Sequence[int],
    ) -> None:
        self.producer = producer
        self.future = future
        self.acknowledged = acknowledged
        self.left = len(sizes)
        self.places = [(-1, -1)] * len(sizes)
        self.size = sum(sizes)
        self.largest = max(sizes)
        self.error: BaseException | None = None


class _Acknowledged:
    """Hands finished appends from the producer's thread to their event loop, many in one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._finished: deque[_Append] = deque()
        self._woken = False

    def put(self, append: _Append) -> None:
        self._finished.append(append)
        if not self._woken:
            self._woken = True
            try:
                self.loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                # The loop is closed, so nobody waits.
                self._finished.clear()

    def _settle(self) -> None:
        self._woken = False
        while self._finished:
            append = self._finished.popleft()
            if append.future.done():
                continue
            if append.error is None:
                append.future.set_result(append.places)
            else:
                append.future.set_exception(_as_raised(append.error, append.largest))


class Appender:
    """Appends records over one shared producer of kafka-python, which it replaces when that can't go on.

    Args:
        options: of the client; see `kafka_python_options`.
        version: that the brokers speak.
        settings: how long and how much may wait.
        partitions: asks how many partitions a topic has; raises KeyError for one that is not there.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        version: tuple[int, ...],
        settings: Kafka,
        partitions: Callable[[str], Awaitable[int]],
    ) -> None:
        self._seconds = settings.append_seconds
        self._buffer_bytes = settings.buffer_bytes
        self._partitions = partitions
        self._options = _producer_options(options, version, settings.append_seconds)
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._waiting: set[_Append] = set()
        self._heard_at = time.monotonic()
        self._broken: KafkaProducer | None = None
        self._closed = False
        self._acknowledged: _Acknowledged | None = None
        self._producer = KafkaProducer(**self._options)

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        """Append records and return partition and offset of each; see `KafkaLog.append`."""
        if not records:
            return []
        sizes = [_checked_size(record) for record in records]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        producer = self._usable()
        size = sum(sizes)
        self._reserve(size)
        try:
            counts = {
                topic: await self._count(producer, topic, deadline) for topic in {record.topic for record in records}
            }
            targets = [_target(record, counts[record.topic]) for record in records]
        except BaseException:
            self._release(size)
            raise
        append = _Append(producer, loop.create_future(), self._acknowledged_on(loop), sizes)
        self._send(append, records, targets)
        try:
            async with asyncio.timeout_at(deadline):
                return await append.future
        except TimeoutError:
            self._suspect(producer)
            raise LogUnavailableError(
                f"the brokers did not acknowledge within {self._seconds:g} s; what was appended may still arrive"
            ) from None

    def close(self) -> None:
        """Wait for what is on its way, as long as it may take, then end; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + self._seconds
        while self._waiting and time.monotonic() < until:
            time.sleep(_METADATA_GLANCE_SECONDS)
        _end(self._producer)

    def _reserve(self, size: int) -> None:
        with self._lock:
            # What is larger than all of the buffer passes alone, or it never would.
            if self._waiting_bytes and self._waiting_bytes + size > self._buffer_bytes:
                raise LogUnavailableError(
                    f"{self._waiting_bytes} bytes wait for the brokers already; try again, or raise kafka.buffer_bytes"
                )
            self._waiting_bytes += size

    def _release(self, size: int) -> None:
        with self._lock:
            self._waiting_bytes -= size

    def _usable(self) -> KafkaProducer:
        if self._closed:
            raise LogUnavailableError("the log is closed; open it again to append to it")
        if self._broken is self._producer:
            _logger.warning("the producer can't go on and is replaced")
            threading.Thread(target=_end, args=(self._producer,), name="kafka-producer-end", daemon=True).start()
            self._producer = KafkaProducer(**self._options)
            self._heard_at = time.monotonic()
        return self._producer

    def _acknowledged_on(self, loop: asyncio.AbstractEventLoop) -> _Acknowledged:
        if self._acknowledged is None or self._acknowledged.loop is not loop:
            self._acknowledged = _Acknowledged(loop)
        return self._acknowledged

    async def _count(self, producer: KafkaProducer, topic: str, deadline: float) -> int:
        """Give the partitions of a topic as the producer knows them, once it does."""
        try:
            return len(producer.partitions_for(topic))
        except KafkaTimeoutError:
            # It has begun to ask. It never ends asking for a topic that is not there, so somebody else is asked first.
            await self._partitions(topic)
        loop = asyncio.get_running_loop()
        while loop.time() < deadline:
            try:
                return len(producer.partitions_for(topic))
            except KafkaTimeoutError:
                await asyncio.sleep(_METADATA_GLANCE_SECONDS)
        self._suspect(producer)
        raise LogUnavailableError(f"the brokers did not tell of {topic} within {self._seconds:g} s; try again")

    def _send(self, append: _Append, records: Sequence[NewRecord], targets: Sequence[int | None]) -> None:
        now = time.time_ns() // 1_000_000
        with self._lock:
            self._waiting.add(append)
        for place, (record, target) in enumerate(zip(records, targets, strict=True)):
            try:
                sent = append.producer.send(
                    record.topic,
                    value=record.value,
                    key=record.key,
                    headers=list(record.headers),
                    partition=target,
                    timestamp_ms=now if record.timestamp is None else record.timestamp,
                )
            except (KafkaError, ValueError) as error:
                # Metadata that were there a moment ago are gone, or the producer has just been ended.
                self._note(append, place, error)
            else:
                sent.add_both(lambda outcome, place=place: self._note(append, place, outcome))

    def _note(self, append: _Append, place: int, outcome: Any) -> None:
        """Note a record's acknowledgement or error, in the producer's thread."""
        if not isinstance(outcome, BaseException):
            append.places[place] = outcome.partition, outcome.offset
            self._heard_at = time.monotonic()
        else:
            append.error = outcome
            if not isinstance(outcome, RetriableError | IllegalStateError):
                # kafka-python's idempotent producer takes no more records after an error that no repetition mends.
                self._broken = append.producer
        with self._lock:
            append.left -= 1
            if append.left:
                return
            self._waiting_bytes -= append.size
            self._waiting.discard(append)
        append.acknowledged.put(append)

    def _suspect(self, producer: KafkaProducer) -> None:
        if time.monotonic() - self._heard_at > _STUCK_TIMES * self._seconds:
            self._broken = producer


def _producer_options(options: Mapping[str, Any], version: tuple[int, ...], seconds: float) -> dict[str, Any]:
    # Whole, as they go over the wire.
    milliseconds = round(seconds * 1_000)
    return {
        **options,
        # With a version given, making a producer does not wait for the brokers.
        "api_version": version,
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": _COMPRESSION,
        "linger_ms": min(_LINGER_MILLISECONDS, milliseconds // 10),
        "batch_size": _BATCH_BYTES,
        "max_request_size": _MAX_REQUEST_BYTES,
        # Metadata are waited for without blocking; see `_count`.
        "max_block_ms": 0,
        "delivery_timeout_ms": milliseconds,
        # A broker that is silent but not gone leaves time for the next attempt.
        "request_timeout_ms": milliseconds // 2,
        "metrics_enabled": False,
    }


def _checked_size(record: NewRecord) -> int:
    """Give what a record takes of the buffer, in bytes."""
    if record.key is None and record.value is None:
        raise ValueError(f"a record for {record.topic} has neither key nor value; give it one")
    size = _RECORD_OVERHEAD
    parts: list[object] = [part for part in (record.key, record.value) if part is not None]
    parts += [value for _, value in record.headers]
    for part in parts:
        if not isinstance(part, bytes):
            raise TypeError(f"a record for {record.topic} has {type(part).__name__} in it; it must be bytes")
        size += len(part)
    if size > MAX_RECORD_BYTES:
        raise ValueError(f"a record for {record.topic} has {size} bytes; {MAX_RECORD_BYTES} at most are taken")
    return size


def _target(record: NewRecord, partitions: int) -> int | None:
    """Choose the partition; None leaves a record without a key to the producer, which spreads them."""
    if record.partition is None:
        return None if record.key is None else partition_for(record.key, partitions)
    if not 0 <= record.partition < partitions:
        raise KeyError(f"{record.topic} has no partition {record.partition}, but {partitions}")
    return record.partition


def _as_raised(error: BaseException, largest: int) -> Exception:
    # Others that shared the batch, or the producer, with a large record get the same error and may try again.
    if isinstance(error, _TOO_LARGE) and largest > _BATCH_BYTES:
        return ValueError(f"a record of {largest} bytes is more than its topic takes; raise its max.message.bytes")
    return LogUnavailableError(f"the brokers did not take it ({type(error).__name__}: {error}); try again")


def _end(producer: KafkaProducer) -> None:
    """End a producer at once; `KafkaProducer.close` by itself gives up when anything is still on its way."""
    sender = producer._sender  # noqa: SLF001 - the only way to end without waiting for brokers that may never come
    sender.force_close()
    sender.join(_END_SECONDS)
    try:
        producer.close(timeout=0)
    except KafkaError as error:
        _logger.warning("a producer did not end cleanly: %s", error)
