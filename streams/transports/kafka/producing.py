"""The producer's side: many small appends share batches, and none of them blocks the event loop or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kafka import KafkaProducer
from kafka.errors import IllegalStateError, KafkaError, KafkaTimeoutError, RetriableError

from schemas.log import LogUnavailableError, NewRecord
from schemas.settings import Kafka
from streams.transports.kafka.acknowledgements import PendingAppend, Wakeup
from streams.transports.local.partitioner import partition_for

# Requests that come within this share a batch for each partition. Less costs more processor time for each record, as
# kafka-python's batches and requests are dear; more only adds to what an append takes.
_LINGER_MILLISECONDS = 5
# Some hundred callbacks.
_BATCH_BYTES = 131_072
# Takes a twelfth more processor time here. Five callbacks shrink to 28 %, twenty to 16 %, for every broker that copies
# and keeps them.
_COMPRESSION = "lz4"
# What topics take at most, and the fields of a batch beside it.
_RECORD_BYTES = 8 * 1024 * 1024
_REQUEST_BYTES = _RECORD_BYTES + 65_536
# Offsets, lengths and the future of a record while it waits.
_RECORD_OVERHEAD = 100
# kafka-python ends what has waited too long within this; where it does not, it waits for what may never come.
_GRACE_SECONDS = 1.0
# Without an acknowledgement for this many times `append_seconds`, the client itself may be what is stuck.
_STUCK_TIMES = 3
_GLANCE_SECONDS = 0.02
_ASK_AGAIN_SECONDS = 0.5
_END_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class Appender:
    """Appends records over one producer of kafka-python, which it replaces when that can't go on.

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
        self._waiting: set[PendingAppend] = set()
        self._heard_at = time.monotonic()
        self._closed = False
        self._wakeup: Wakeup | None = None
        self._known: set[str] = set()
        self._learning: dict[str, asyncio.Task[int]] = {}
        self._ending: list[threading.Thread] = []
        self._producer: KafkaProducer | None = None
        self._usable()

    async def append(self, records: Sequence[NewRecord]) -> list[tuple[int, int]]:
        """Append records and return partition and offset of each; see `KafkaLog.append`."""
        sizes = [_checked_size(record) for record in records]
        if not sizes:
            return []
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        self._reserve(sum(sizes))
        try:
            topics = {record.topic for record in records}
            counts = {topic: await self._count(topic, deadline) for topic in topics}
            targets = [_target(record, counts[record.topic]) for record in records]
            append = PendingAppend(self._usable(), self._wakeup_on(loop), sizes)
        except BaseException:
            self._release(sum(sizes))
            raise
        self._send(append, records, targets)
        try:
            async with asyncio.timeout_at(deadline):
                return await append.future
        except TimeoutError:
            loop.call_later(_GRACE_SECONDS, self._retire_if_stuck, append)
            raise LogUnavailableError(
                f"the brokers did not acknowledge within {self._seconds:g} s; what was appended may still arrive"
            ) from None

    def close(self) -> None:
        """Wait for what is on its way, as long as it may take, then end; a second call does nothing."""
        self._closed = True
        until = time.monotonic() + self._seconds
        while self._waiting and time.monotonic() < until:
            time.sleep(_GLANCE_SECONDS)
        self._retire(self._producer)
        for thread in self._ending:
            thread.join()

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
        if self._producer is None:
            self._producer = KafkaProducer(**self._options)
            self._heard_at = time.monotonic()
        return self._producer

    def _wakeup_on(self, loop: asyncio.AbstractEventLoop) -> Wakeup:
        if self._wakeup is None or self._wakeup.loop is not loop:
            self._wakeup = Wakeup(loop)
        return self._wakeup

    async def _count(self, topic: str, deadline: float) -> int:
        """Give the partitions of a topic as the producer knows them, once it does."""
        with contextlib.suppress(KafkaTimeoutError):
            return len(self._usable().partitions_for(topic))
        learning = self._learning.get(topic)
        if learning is None or learning.done():
            # One for all who wait, as there may be thousands.
            learning = self._learning[topic] = asyncio.create_task(self._learn(topic, deadline))
        return await asyncio.shield(learning)

    async def _learn(self, topic: str, deadline: float) -> int:
        loop = asyncio.get_running_loop()
        while loop.time() < deadline:
            if topic not in self._known:
                # The producer never ends asking for a topic that is not there, so somebody else is asked first.
                try:
                    async with asyncio.timeout_at(deadline):
                        await self._partitions(topic)
                    self._known.add(topic)
                except (LogUnavailableError, TimeoutError):
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
                    continue
            with contextlib.suppress(KafkaTimeoutError):
                return len(self._usable().partitions_for(topic))
            await asyncio.sleep(_GLANCE_SECONDS)
        raise LogUnavailableError(f"the brokers did not tell of {topic} within {self._seconds:g} s; try again")

    def _send(self, append: PendingAppend, records: Sequence[NewRecord], targets: Sequence[int | None]) -> None:
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
                # What the producer knew of the topic a moment ago is gone, or it has just been ended.
                self._note(append, place, error)
            else:
                sent.add_both(lambda outcome, place=place: self._note(append, place, outcome))

    def _note(self, append: PendingAppend, place: int, outcome: Any) -> None:
        """Note a record's acknowledgement or error, in the producer's thread."""
        if not isinstance(outcome, BaseException):
            append.places[place] = outcome.partition, outcome.offset
            self._heard_at = time.monotonic()
        else:
            append.error = outcome
            if not isinstance(outcome, RetriableError | IllegalStateError):
                # kafka-python's idempotent producer takes no more records after an error that no repetition mends.
                self._retire(append.producer)
        with self._lock:
            append.left -= 1
            if append.left:
                return
            self._waiting_bytes -= append.size
            self._waiting.discard(append)
        append.wakeup.put(append)

    def _retire_if_stuck(self, append: PendingAppend) -> None:
        """End a producer that holds on to what it should have given up, so that it is not sent after hours."""
        silent = time.monotonic() - self._heard_at
        if append in self._waiting or silent > _STUCK_TIMES * self._seconds:
            self._retire(append.producer)

    def _retire(self, producer: KafkaProducer | None) -> None:
        """End a producer in a thread of its own; the next append makes another."""
        with self._lock:
            if producer is None or self._producer is not producer:
                return
            self._producer = None
            thread = threading.Thread(target=_end, args=(producer,), name="kafka-producer-end", daemon=True)
            self._ending = [other for other in self._ending if other.is_alive()] + [thread]
            thread.start()
        if not self._closed:
            _logger.warning("the producer can't go on, and is replaced")


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
        "max_request_size": _REQUEST_BYTES,
        # What it does not know of a topic is waited for without blocking; see `_count`.
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
    if size > _RECORD_BYTES:
        raise ValueError(f"a record for {record.topic} has {size} bytes; {_RECORD_BYTES} at most are taken")
    return size


def _target(record: NewRecord, partitions: int) -> int | None:
    """Choose the partition; None leaves a record without a key to the producer, which spreads them."""
    if record.partition is None:
        return None if record.key is None else partition_for(record.key, partitions)
    if not 0 <= record.partition < partitions:
        raise KeyError(f"{record.topic} has no partition {record.partition}, but {partitions}")
    return record.partition


def _end(producer: KafkaProducer) -> None:
    """End a producer at once; `KafkaProducer.close` by itself gives up when anything is still on its way."""
    sender = producer._sender  # noqa: SLF001 - the only way to end without waiting for brokers that may never come
    sender.force_close()
    sender.join(_END_SECONDS)
    try:
        producer.close(timeout=0)
    except KafkaError as error:
        _logger.warning("a producer did not end cleanly: %s", error)
