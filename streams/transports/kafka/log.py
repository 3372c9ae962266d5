"""Apache Kafka as the log of gateway and sinks, over kafka-python."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from schemas.log import NewRecord, Positions
from schemas.settings import Settings
from streams.transports.kafka.connection import connect, kafka_python_options
from streams.transports.kafka.metadata import Topics
from streams.transports.kafka.producing import Appender
from streams.transports.kafka.reading import KafkaReader


class KafkaLog:
    """Implements `schemas.log.Log`; `open` makes one, `close` must be called in the end.

    For use by one event loop at a time. kafka-python works in threads of its own; nothing here blocks the loop.

    Args:
        settings: where the brokers are, and how they are used.
        topics: asked about topics.
        version: that the brokers speak.
    """

    def __init__(self, settings: Settings, topics: Topics, version: tuple[int, ...]) -> None:
        self._options = kafka_python_options(settings)
        self._topics = topics
        self._version = version
        self._appender = Appender(self._options, version, settings.kafka, topics.partitions)

    @classmethod
    def open(cls, settings: Settings) -> KafkaLog:
        """Connect to the brokers and prove who we are; waits some seconds for brokers that are being started.

        Raises:
            ConfigurationError: certificates, name or password are refused; the text names the keys.
            LogUnavailableError: no broker answers.
        """
        admin, version = connect(settings)
        topics = Topics(admin)
        try:
            return cls(settings, topics, version)
        except BaseException:
            topics.close()
            raise

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append records in order and return partition and offset of each once all in-sync replicas have them.

        After LogUnavailableError the caller must take none as accepted, and yet some or all of them may still be
        written: a request that was sent can't be called back, and what waits is sent when brokers come back within
        `kafka.append_seconds` of the append. Records of one partition keep their order in any case.

        Raises:
            KeyError: no such topic or partition.
            TypeError: a key, value or header that is not bytes.
            ValueError: a record without key and value, or larger than 8 MiB or than its topic takes.
            LogUnavailableError: `kafka.buffer_bytes` wait already (said at once), the brokers did not acknowledge
                within `kafka.append_seconds`, or the log is closed.
        """
        return await self._appender.append(records)

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: no broker answers.
        """
        return await self._topics.partitions(topic)

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offset to be written, by partition.

        The last record that can be read may lie before it: compaction takes records away, and transactions use up
        offsets.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: the leader of a partition does not answer.
        """
        return await self._topics.ends(topic)

    async def reader(self, positions: Positions) -> KafkaReader:
        """Read from the given positions on; a position below what retention has left starts at what is left.

        Raises:
            KeyError: no such topic or partition.
            LogUnavailableError: the brokers do not answer.
            PositionError: a position beyond the log's end.
        """
        for topic in {topic for topic, _ in positions}:
            count = await self._topics.partitions(topic)
            for name, partition in positions:
                if name == topic and not 0 <= partition < count:
                    raise KeyError(f"{topic} has no partition {partition}, but {count}")
        reader = KafkaReader(self._options, self._version)
        await reader.open(positions)
        return reader

    async def close(self) -> None:
        """Wait for appends on their way, at most `kafka.append_seconds`, then end. Readers have their own `close`."""
        await asyncio.to_thread(self._appender.close)
        await asyncio.to_thread(self._topics.close)
