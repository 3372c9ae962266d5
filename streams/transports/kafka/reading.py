"""The consumer's side: reads on from given positions, in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from schemas.log import LogUnavailableError, Positions, Record
from streams.transports.kafka.records import as_record

# The broker holds a fetch this long while there is nothing; each answer shows that it lives.
_FETCH_WAIT_MILLISECONDS = 500
_REQUEST_MILLISECONDS = 5_000
# Held in memory for each broker at most, but for a record that is larger.
_FETCH_BYTES = 16 * 1024 * 1024
# How long there may be no records before the brokers are asked whether they are there: somewhat below the two seconds
# after which who reads from the beginning takes silence for the end.
_SILENCE_SECONDS = 1.5
_ANSWER_MILLISECONDS = 4_000
# How long records that are there may take to come: a leader is elected, or a large answer comes over a slow link.
_SLOW_SECONDS = 15.0
_GLANCE_MILLISECONDS = 200
_CLOSE_MILLISECONDS = 1_000

_logger = logging.getLogger(__name__)


class PositionError(Exception):
    """A position beyond the log's end: what was read there is no longer, or is of another log."""


class KafkaReader:
    """Reads partitions that it was told, without a consumer group; see `schemas.log.Reader`.

    It goes on by itself when brokers come back. kafka-python's consumer is used by one thread only.

    Args:
        options: of the client; see `kafka_python_options`.
        version: that the brokers speak.
    """

    def __init__(self, options: Mapping[str, Any], version: tuple[int, ...]) -> None:
        self._options = {
            **options,
            # With a version given, making a consumer does not wait for the brokers.
            "api_version": version,
            "enable_auto_commit": False,
            # A position that is out of range is looked at here, never reset in silence.
            "auto_offset_reset": "none",
            "allow_auto_create_topics": False,
            "fetch_max_wait_ms": _FETCH_WAIT_MILLISECONDS,
            "fetch_max_bytes": _FETCH_BYTES,
            "request_timeout_ms": _REQUEST_MILLISECONDS,
            "metrics_enabled": False,
        }
        self._thread = ThreadPoolExecutor(1, "kafka-reader")
        self._consumer: KafkaConsumer | None = None
        self._heard_at = 0.0
        self._closing = False
        self._fetching: asyncio.Future[list[Record]] | None = None
        self._kept: list[Record] = []

    async def open(self, positions: Positions) -> None:
        """Go to the positions; one below what is left goes to what is left.

        Raises:
            LogUnavailableError: the leader of a partition does not answer.
            PositionError: a position beyond the end.
        """
        wanted = {TopicPartition(*place): offset for place, offset in positions.items()}
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._open, wanted)
        except BaseException:
            await self.close()
            raise

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """Give up to `limit` records in order of offset per partition, waiting up to `wait` seconds for the first.

        A fetch that is cancelled loses nothing: the next one gives what it would have given.

        Raises:
            LogUnavailableError: the brokers do not answer; a later call goes on where this one stopped.
            PositionError: the log lost records that were read already.
        """
        if not self._kept:
            if self._fetching is None:
                loop = asyncio.get_running_loop()
                self._fetching = loop.run_in_executor(self._thread, self._fetch, limit, wait)
            # Waits without cancelling it, as what it has taken off the consumer would be lost.
            await asyncio.wait([self._fetching])
            fetched, self._fetching = self._fetching, None
            self._kept = fetched.result()
        records, self._kept = self._kept[:limit], self._kept[limit:]
        return records

    async def close(self) -> None:
        """End the consumer and its thread; a second call does nothing."""
        await asyncio.to_thread(self._close)

    def _open(self, positions: Mapping[TopicPartition, int]) -> None:
        self._consumer = KafkaConsumer(**self._options)
        self._consumer.assign(list(positions))
        for partition, offset in positions.items():
            self._consumer.seek(partition, offset)
        self._correct(positions)
        self._heard_at = time.monotonic()

    def _fetch(self, limit: int, wait: float) -> list[Record]:
        consumer = self._consumer
        if consumer is None:
            raise LogUnavailableError("the reader is closed; open another one")
        if not consumer.assignment():
            time.sleep(wait)
            return []
        try:
            found = consumer.poll(timeout_ms=round(wait * 1_000), max_records=limit)
            if found:
                self._heard_at = time.monotonic()
            elif time.monotonic() - self._heard_at > _SILENCE_SECONDS:
                found = self._make_sure(consumer, limit)
        except OffsetOutOfRangeError as error:
            self._correct(error.args[0])
            return []
        except LogTruncationError as error:
            raise PositionError(
                f"the log lost records that were read already ({error}); read from an earlier position"
            ) from error
        except KafkaError as error:
            raise LogUnavailableError(f"the brokers gave no records ({type(error).__name__}: {error})") from error
        return [as_record(record) for records in found.values() for record in records]

    def _make_sure(self, consumer: KafkaConsumer, limit: int) -> dict[TopicPartition, list[Any]]:
        """Wait for what is there and does not come; an empty poll tells nothing of brokers that are away, or slow.

        Who reads a log from its beginning takes silence for its end.
        """
        until = time.monotonic() + _SLOW_SECONDS
        while True:
            ends = self._offsets("end_offsets", consumer.assignment())
            self._heard_at = time.monotonic()
            # An end that no record leads to is not waited for longer than this.
            if self._closing or self._heard_at > until or not _is_behind(consumer, ends):
                return {}
            found: dict[TopicPartition, list[Any]] = consumer.poll(timeout_ms=_GLANCE_MILLISECONDS, max_records=limit)
            if found:
                self._heard_at = time.monotonic()
                return found

    def _correct(self, positions: Mapping[TopicPartition, int]) -> None:
        """Move positions that lie before what is left; refuse those that lie beyond the end."""
        assert self._consumer is not None
        starts = self._offsets("beginning_offsets", positions)
        ends = self._offsets("end_offsets", positions)
        for partition, offset in positions.items():
            if offset > ends[partition]:
                raise PositionError(
                    f"{partition.topic}, partition {partition.partition}: position {offset} lies beyond the log's end "
                    f"{ends[partition]}; the position is of another log, or this one lost records"
                )
            if offset < starts[partition]:
                # Reading from the beginning is ordinary; a place that was reached and is gone is a gap.
                _logger.log(
                    logging.WARNING if offset else logging.INFO,
                    "%s, partition %d: reading goes on at %d, as retention dropped what lay at %d",
                    partition.topic,
                    partition.partition,
                    starts[partition],
                    offset,
                )
                self._consumer.seek(partition, starts[partition])

    def _offsets(self, which: str, partitions: Any) -> dict[TopicPartition, int]:
        try:
            found: dict[TopicPartition, int] = getattr(self._consumer, which)(
                list(partitions), timeout_ms=_ANSWER_MILLISECONDS
            )
        except (KafkaError, KeyError) as error:
            # kafka-python has a KeyError for a partition without a leader.
            raise LogUnavailableError(
                f"the brokers do not answer ({type(error).__name__}: {error}); the reader goes on when they are back"
            ) from error
        return found

    def _close(self) -> None:
        self._closing = True
        if self._consumer is not None:
            # `poll` has its own limit of time, so the thread is soon free.
            self._thread.submit(self._end).result()
        self._thread.shutdown(wait=True)

    def _end(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(timeout_ms=_CLOSE_MILLISECONDS)


def _is_behind(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
    return any((consumer.position(partition, _ANSWER_MILLISECONDS) or 0) < end for partition, end in ends.items())
