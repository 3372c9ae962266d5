from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from bench.apache_kafka import Cluster, KafkaUnavailableError, start_cluster
from schemas.log import LogUnavailableError, NewRecord, Reader
from schemas.settings import Kafka, Settings
from streams.transports.kafka import connection
from streams.transports.kafka.log import KafkaLog

pytestmark = pytest.mark.kafka

_APPEND_SECONDS = 3.0


@pytest.fixture(scope="module")
def cluster(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give one broker of these tests' own, to be ended and started again; not the shared one, `kafka`."""
    assert kafka
    try:
        started = start_cluster(tmp_path_factory.mktemp("faults"), brief=True)
    except KafkaUnavailableError as error:
        pytest.skip(f"no Apache Kafka to be ended: {error}")
    with started:
        yield started


@pytest.fixture
def log(cluster: Cluster) -> Iterator[KafkaLog]:
    """Give a log on that broker, whose appends wait for 3 s and whose buffer holds 1 MiB."""
    settings = Settings(
        broker=f"kafka://{cluster.bootstrap}", kafka=Kafka(append_seconds=_APPEND_SECONDS, buffer_bytes=1 << 20)
    )
    opened = KafkaLog.open(settings)
    yield opened
    asyncio.run(opened.close())


def make_topic(bootstrap: str, partitions: int = 1, **configs: str) -> str:
    """Make a topic and give its name."""
    name = f"ringwatch-{uuid.uuid4().hex}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    options = {"num_partitions": partitions, "replication_factor": 1}
    configs = {key.replace("_", "."): value for key, value in configs.items()}
    admin.create_topics({name: {**options, "configs": configs}}, wait_for_metadata=True)
    admin.close()
    return name


async def refused(log: KafkaLog, topic: str, value: bytes = b"x") -> float:
    """Append one record that must be refused as unavailable; give the seconds that took."""
    begin = time.monotonic()
    with pytest.raises(LogUnavailableError):
        await log.append([NewRecord(topic, b"k", value)])
    return time.monotonic() - begin


async def appended_again(log: KafkaLog, topic: str, values: range) -> list[bytes]:
    """Append numbers one after the other, each again until it is taken; give what was taken."""
    taken: list[bytes] = []
    for number in values:
        for _ in range(40):
            try:
                await log.append([NewRecord(topic, b"k", b"%d" % number)])
            except LogUnavailableError:
                await asyncio.sleep(0.5)
                continue
            taken.append(b"%d" % number)
            break
    return taken


async def silenced(reader: Reader) -> float:
    """Fetch nothing until the reader says that the brokers are away; give the seconds that took."""
    begin = time.monotonic()
    while time.monotonic() < begin + 30:
        try:
            assert not await reader.fetch(10, 0.5)
        except LogUnavailableError:
            break
    return time.monotonic() - begin


async def values_until(reader: Reader, last: bytes) -> list[bytes | None]:
    """Read on until a value came, whatever trouble there is on the way."""
    values: list[bytes | None] = []
    until = time.monotonic() + 60
    while last not in values:
        assert time.monotonic() < until, values
        try:
            values += [record.value for record in await reader.fetch(100, 0.5)]
        except LogUnavailableError:
            continue
    return values


def test_a_broker_that_dies_and_comes_back(cluster: Cluster, log: KafkaLog) -> None:
    """Without its broker the log refuses in time and at once when full; afterwards it goes on by itself, in order."""
    topic = make_topic(cluster.bootstrap)

    async def down(reader: Reader) -> None:
        assert await silenced(reader) < 10
        assert await refused(log, topic) < _APPEND_SECONDS + 1
        big = asyncio.gather(*(refused(log, topic, b"x" * 500_000) for _ in range(2)))
        await asyncio.sleep(0.05)
        assert await refused(log, topic, b"x" * 500_000) < 0.2
        assert max(await big) < _APPEND_SECONDS + 1
        for question in (log.ends(topic), log.partitions(topic), log.reader({(topic, 0): 0})):
            with pytest.raises(LogUnavailableError):
                await question

    async def run() -> None:
        reader = await log.reader({(topic, 0): 0})
        await log.append([NewRecord(topic, b"k", b"%d" % number) for number in range(5)])
        assert await values_until(reader, b"4") == [b"%d" % number for number in range(5)]
        cluster.kill(1)
        await down(reader)
        starting = asyncio.create_task(asyncio.to_thread(cluster.start, 1))
        taken = await appended_again(log, topic, range(5, 30))
        assert taken[-1] == b"29"
        found = await values_until(reader, b"29")
        # What was refused may have come all the same, each at its place.
        numbers = [int(value) for value in found if value and value != b"x" and len(value) < 10]
        assert numbers == sorted(numbers)
        assert {b"%d" % number for number in numbers} >= set(taken)
        await starting
        assert sum((await log.ends(topic)).values()) == 5 + len(found)
        await reader.close()

    asyncio.run(run())


def test_a_broker_that_is_silent(cluster: Cluster, log: KafkaLog) -> None:
    """A broker that hangs is told from one with nothing to say, and no append outlasts its time; then all goes on."""
    topic = make_topic(cluster.bootstrap)

    async def run() -> None:
        reader = await log.reader({(topic, 0): 0})
        await log.append([NewRecord(topic, b"k", b"0")])
        assert await values_until(reader, b"0") == [b"0"]
        os.kill(cluster.pid(1), signal.SIGSTOP)
        try:
            waits = await asyncio.gather(*(refused(log, topic, b"x") for _ in range(20)))
            assert await silenced(reader) < 10
        finally:
            os.kill(cluster.pid(1), signal.SIGCONT)
        assert max(waits) < _APPEND_SECONDS + 1
        taken = await appended_again(log, topic, range(1, 10))
        found = [value for value in await values_until(reader, b"9") if value != b"x"]
        assert sorted(set(found)) == taken
        await reader.close()

    asyncio.run(run())


def test_a_record_that_its_topic_does_not_take_harms_no_other(cluster: Cluster, log: KafkaLog) -> None:
    """An error that no repetition mends is the caller's alone; the log takes other records right after."""
    small, large = make_topic(cluster.bootstrap, max_message_bytes="200000"), make_topic(cluster.bootstrap)

    async def run() -> None:
        with pytest.raises(ValueError, match=r"max\.message\.bytes"):
            await log.append([NewRecord(small, b"k", os.urandom(400_000))])
        assert await log.append([NewRecord(large, b"k", os.urandom(400_000))]) == [(0, 0)]
        assert await log.append([NewRecord(small, b"k", b"x")]) == [(0, 0)]
        with pytest.raises(ValueError, match="8388608 at most"):
            await log.append([NewRecord(large, b"k", bytes(9 << 20))])

    asyncio.run(run())


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a log whose broker does not answer says so in time, and leaves no thread behind."""
    monkeypatch.setattr(connection, "_BOOTSTRAP_MILLISECONDS", 1_500)
    begin, threads = time.monotonic(), threading.active_count()
    with pytest.raises(LogUnavailableError, match=r"no broker of Apache Kafka answers at 127\.0\.0\.1:1 "):
        KafkaLog.open(Settings(broker="kafka://127.0.0.1:1", data=tmp_path))
    assert time.monotonic() - begin < 5
    assert threading.active_count() <= threads
