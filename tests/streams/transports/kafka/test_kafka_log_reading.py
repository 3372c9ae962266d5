from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from schemas.log import NewRecord
from schemas.settings import Settings
from streams.transports.kafka.log import KafkaLog
from streams.transports.kafka.reading import PositionError

pytestmark = pytest.mark.kafka

Make = Callable[..., str]


@pytest.fixture
def admin(kafka: str) -> Iterator[KafkaAdminClient]:
    """Give a client that changes topics from outside."""
    client = KafkaAdminClient(bootstrap_servers=kafka.split(","))
    yield client
    client.close()


@pytest.fixture
def log(kafka: str) -> Iterator[KafkaLog]:
    """Give a log on the shared broker."""
    opened = KafkaLog.open(Settings(broker=f"kafka://{kafka}"))
    yield opened
    asyncio.run(opened.close())


@pytest.fixture
def make_topic(admin: KafkaAdminClient) -> Make:
    """Give a function that makes a topic of one partition and gives its name."""

    def make(**configs: str) -> str:
        name = f"ringwatch-{uuid.uuid4().hex}"
        settings = {key.replace("_", "."): value for key, value in configs.items()}
        admin.create_topics(
            {name: {"num_partitions": 1, "replication_factor": 1, "configs": settings}}, wait_for_metadata=True
        )
        return name

    return make


async def offsets(log: KafkaLog, topic: str, last: int, start: int = 0) -> list[int]:
    """Read from an offset on until the last one came; give all that came."""
    reader = await log.reader({(topic, 0): start})
    found: list[int] = []
    until = time.monotonic() + 30
    while last not in found:
        assert time.monotonic() < until, found
        found += [record.offset for record in await reader.fetch(1_000, 0.5)]
    await reader.close()
    return found


def test_a_position_beyond_the_end_is_refused(log: KafkaLog, make_topic: Make) -> None:
    """A reader that claims to have read what is not there is told so; the end itself is a position."""
    topic = make_topic()

    async def run() -> None:
        await log.append([NewRecord(topic, b"k", b"x")])
        with pytest.raises(PositionError, match=f"{topic}, partition 0: position 2 lies beyond the log's end 1"):
            await log.reader({(topic, 0): 2})
        reader = await log.reader({(topic, 0): 1})
        assert await reader.fetch(10, 0.1) == []
        await reader.close()

    asyncio.run(run())


def test_retention_overtakes_a_reader(log: KafkaLog, make_topic: Make, admin: KafkaAdminClient, kafka: str) -> None:
    """Records that are dropped while a reader stands before them are passed over."""
    topic = make_topic()

    async def run() -> None:
        await log.append([NewRecord(topic, b"k", b"x")])
        reader = await log.reader({(topic, 0): 0})
        # Fills and drops while nobody polls, so that the reader's next question is for what is gone.
        producer = KafkaProducer(bootstrap_servers=kafka.split(","))
        for _ in range(5):
            producer.send(topic, key=b"k", value=b"x", partition=0)
        producer.close()
        admin.delete_records({TopicPartition(topic, 0): 4})
        found: list[int] = []
        while 5 not in found:
            found += [record.offset for record in await reader.fetch(10, 0.5)]
        assert found == [4, 5]
        await reader.close()

    asyncio.run(run())


def test_offsets_that_are_not_there_are_passed_over(log: KafkaLog, make_topic: Make, kafka: str) -> None:
    """What a transaction's markers use up and what was undone by compaction is no record, and nothing is waited for."""
    topic = make_topic()
    producer = KafkaProducer(bootstrap_servers=kafka.split(","), transactional_id=uuid.uuid4().hex)
    producer.init_transactions()
    for _ in range(3):
        producer.begin_transaction()
        producer.send(topic, key=b"k", value=b"x", partition=0)
        producer.commit_transaction()
    producer.close()
    assert asyncio.run(log.ends(topic)) == {0: 6}
    assert asyncio.run(offsets(log, topic, 4)) == [0, 2, 4]
    assert asyncio.run(offsets(log, topic, 4, start=3)) == [4]


def test_records_of_others_can_be_read(log: KafkaLog, make_topic: Make, kafka: str) -> None:
    """Whatever compression and headers another client uses, its records come out the same."""
    topic = make_topic()
    for compression in (None, "gzip", "lz4"):
        producer = KafkaProducer(bootstrap_servers=kafka.split(","), compression_type=compression)
        producer.send(topic, key=b"k", value=b"x" * 5_000, headers=[("h", b"\x00")], partition=0)
        producer.close()
    assert asyncio.run(offsets(log, topic, 2)) == [0, 1, 2]


def test_silence_is_not_the_end_while_there_is_more(log: KafkaLog, make_topic: Make) -> None:
    """Records that are slow to come are waited for: a reader that gives none after seconds stands at the end."""
    topic = make_topic()

    async def run() -> None:
        await log.append([NewRecord(topic, b"k", b"x")])
        reader = await log.reader({(topic, 0): 0})
        consumer = reader._consumer  # what a slow broker does, in the time of a test
        assert consumer is not None
        consumer.pause(TopicPartition(topic, 0))
        fetching = asyncio.create_task(reader.fetch(10, 2.1))
        await asyncio.sleep(3)
        assert not fetching.done()
        consumer.resume(TopicPartition(topic, 0))
        assert [record.offset for record in await fetching] == [0]
        started = time.monotonic()
        assert await reader.fetch(10, 2.1) == []
        assert time.monotonic() - started < 5
        await reader.close()

    asyncio.run(run())


def test_readers_beside_one_another(log: KafkaLog, make_topic: Make) -> None:
    """Several readers of one log follow it each at its own pace, while it is written."""
    topic = make_topic()

    async def write() -> None:
        for _ in range(20):
            await log.append([NewRecord(topic, b"k", b"x") for _ in range(50)])

    async def run() -> None:
        _, *read = await asyncio.gather(write(), *(offsets(log, topic, 999) for _ in range(3)))
        assert all(found == list(range(1_000)) for found in read)

    asyncio.run(run())
