"""The Faust transport on Apache Kafka, in slices, on Faust's own aiokafka driver."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import aiokafka
from aiokafka.errors import KafkaTimeoutError
from faust.transport.drivers import aiokafka as faust_driver
from faust.types import TP

from schemas.log import LogUnavailableError, NewRecord, Record
from streams.transports.kafka.metadata_pause import pause_between_questions
from streams.transports.kafka.records import as_record
from streams.transports.local.partitioner import partition_for
from streams.transports.slicing import SlicingConsumer

# How soon a stop is noticed while brokers are away.
_GLANCE_SECONDS: Final = 0.2
# What was sent is waited for this long once the program is asked to end; the slice is not applied then.
_PATIENCE_AT_STOP_SECONDS: Final = 5.0


class Consumer(SlicingConsumer, faust_driver.Consumer):
    """Reads slices from Kafka."""

    # What a slice emits goes to each partition of several topics, so a short one makes batches of few records. No
    # gateway has to answer beside a worker.
    records_a_slice = 2_000

    async def _fetch(self, wanted: set[TP], timeout: float) -> Mapping[TP, Sequence[Record]]:  # noqa: ASYNC109 - Faust's way
        fetched = await self._thread.getmany(wanted, timeout)
        return {TP(*tp): [as_record(record) for record in records] for tp, records in fetched.items()}

    def _position_of(self, tp: TP) -> int | None:
        state = self._state_of(tp)
        position: int | None = state.position if state is not None and state.has_valid_position else None
        return position

    def _end(self, tp: TP) -> int | None:
        state = self._state_of(tp)
        end: int | None = None if state is None else state.highwater
        return end

    def _state_of(self, tp: TP) -> Any:
        """What aiokafka knows of a partition, without asking a broker; None if it is not assigned.

        aiokafka's thread may assign anew at any moment, so each object on the way is looked at once.
        """
        subscription = self._thread._ensure_consumer()._subscription.subscription  # noqa: SLF001 - it tells it nowhere else without a request
        assignment = None if subscription is None else subscription.assignment
        return None if assignment is None else assignment.state_value(aiokafka.TopicPartition(*tp))

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take partitions over; changelogs are not read by the group's consumer but by the tables themselves."""
        changelogs = [aiokafka.TopicPartition(*tp) for tp in assigned if self._is_changelog_tp(tp)]
        await self._thread.call_thread(self._pause, changelogs)
        await super().on_partitions_assigned(assigned, generation_id)

    async def _pause(self, partitions: Sequence[aiokafka.TopicPartition]) -> None:
        consumer = self._thread._ensure_consumer()  # noqa: SLF001 - as above
        pause_between_questions(consumer._client)  # noqa: SLF001 - as above
        consumer.pause(*(partition for partition in partitions if partition in consumer.assignment()))


class Producer(faust_driver.Producer):
    """Writes to Kafka, idempotent and acknowledged by all replicas in sync.

    The order of what is written to a partition holds whatever fails: aiokafka's idempotent producer tries a batch again
    until it is written, before any later one. That matters, as who reads takes what does not ascend for a repetition.
    """

    def _new_producer(self, transactional_id: str | None = None) -> aiokafka.AIOKafkaProducer:
        producer = super()._new_producer(transactional_id)
        pause_between_questions(producer.client)
        return producer

    def _settings_extra(self) -> Mapping[str, Any]:
        return {"acks": "all", "enable_idempotence": True}

    async def publish(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records in order; give partition and offset of each once all are durable.

        Brokers that are away are waited for.

        Raises:
            LogUnavailableError: the program is asked to end while brokers are away; what was written of the records
                is a beginning of each partition's.
            KafkaError: what no repetition would mend; the process must not go on.
        """
        groups: dict[TP, list[int]] = {}
        count = self.app.conf.topic_partitions
        for place, record in enumerate(records):
            # A dead letter has no key, and no place of its own.
            partition = partition_for(record.key or b"", count) if record.partition is None else record.partition
            groups.setdefault(TP(record.topic, partition), []).append(place)
        sent: list[tuple[asyncio.Future[Any], list[int]]] = []
        for tp, places in groups.items():
            await self._send(tp, places, records, sent)
        await self._wait({future for future, _ in sent})
        found: list[tuple[int, int]] = [(-1, -1)] * len(records)
        for future, places in sent:
            written = future.result()
            for index, place in enumerate(places):
                found[place] = (written.partition, written.offset + index)
        return found

    async def _send(
        self,
        tp: TP,
        places: Sequence[int],
        records: Sequence[NewRecord],
        sent: list[tuple[asyncio.Future[Any], list[int]]],
    ) -> None:
        now = time.time_ns() // 1_000_000
        producer = self._ensure_producer()
        batch = producer.create_batch()
        held: list[int] = []
        for place in places:
            record = records[place]
            timestamp = now if record.timestamp is None else record.timestamp
            headers = list(record.headers)
            while batch.append(timestamp=timestamp, key=record.key, value=record.value, headers=headers) is None:
                sent.append((await self._hand_over(batch, tp), held))
                batch, held = producer.create_batch(), []
            held.append(place)
        sent.append((await self._hand_over(batch, tp), held))

    async def _hand_over(self, batch: Any, tp: TP) -> asyncio.Future[Any]:
        batch.close()
        since: float | None = None
        while True:
            try:
                future: asyncio.Future[Any] = await self._ensure_producer().send_batch(
                    batch, tp.topic, partition=tp.partition
                )
            except KafkaTimeoutError as error:
                # Not taken, so it may be handed over again without being written twice.
                since = self._check_stop(since, error)
            else:
                return future

    async def _wait(self, futures: set[asyncio.Future[Any]]) -> None:
        since: float | None = None
        while futures:
            _, futures = await asyncio.wait(futures, timeout=_GLANCE_SECONDS)
            if futures:
                since = self._check_stop(since, None)

    def _check_stop(self, since: float | None, error: Exception | None) -> float | None:
        if not self.app.should_stop:
            return None
        now = time.monotonic()
        if since is not None and now - since > _PATIENCE_AT_STOP_SECONDS:
            raise LogUnavailableError("the program ends while brokers are away") from error
        return now if since is None else since

    async def flush(self) -> None:
        """Wait for what Faust itself has sent; `publish` waits for its own."""
        await self.buffer.flush()


class Transport(faust_driver.Transport):
    """Apache Kafka, in slices."""

    Consumer: ClassVar[type[Consumer]] = Consumer
    Producer: ClassVar[type[Producer]] = Producer
