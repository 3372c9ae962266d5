"""What the embedded log and Apache Kafka must do alike."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from kafka import KafkaAdminClient, TopicPartition

from schemas.log import Log, LogUnavailableError, NewRecord, Reader, Record
from schemas.settings import Settings
from schemas.topics import Cleanup
from streams.transports.kafka.log import KafkaLog
from streams.transports.local.log import LocalLog
from streams.transports.local.partitioner import partition_for

# Above any time of a record that is written here, so that retention takes it.
_FAR_AHEAD = 1 << 45


class Opened(NamedTuple):
    """A log, and what is done to it from outside.

    Attributes:
        log: the log.
        make_topic: makes a topic of so many partitions and gives its name.
        drop: takes the first three records of partition 0 away, as retention would.
    """

    log: Log
    make_topic: Callable[[int], str]
    drop: Callable[[str], None]


def _local(path: Path) -> Iterator[Opened]:
    log = LocalLog.open(path / "log")

    def make_topic(partitions: int) -> str:
        log.create_topic("calls", partitions, Cleanup.DELETE, 1)
        return "calls"

    try:
        yield Opened(log, make_topic, lambda topic: log.expire(topic, _FAR_AHEAD))
    finally:
        log.close()


def _kafka(bootstrap: str) -> Iterator[Opened]:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    log = KafkaLog.open(Settings(broker=f"kafka://{bootstrap}"))

    def make_topic(partitions: int) -> str:
        name = f"ringwatch-{uuid.uuid4().hex}"
        configs = {"max.message.bytes": str(8 << 20)}
        admin.create_topics(
            {name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs}}, wait_for_metadata=True
        )
        return name

    try:
        yield Opened(log, make_topic, lambda topic: admin.delete_records({TopicPartition(topic, 0): 3}))
    finally:
        asyncio.run(log.close())
        admin.close()


@pytest.fixture(params=["local", pytest.param("kafka", marks=pytest.mark.kafka)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Give each of the two logs."""
    if request.param == "local":
        yield from _local(tmp_path)
    else:
        yield from _kafka(request.getfixturevalue("kafka"))


async def read(reader: Reader, count: int) -> list[Record]:
    """Read exactly so many records, and see that no more come."""
    found: list[Record] = []
    for _ in range(100):
        found += await reader.fetch(count, 0.2)
        if len(found) >= count:
            break
    found += await reader.fetch(10, 0.05)
    assert len(found) == count
    return found


def test_records_are_read_as_they_were_appended(opened: Opened) -> None:
    """Key, value, headers, time, None, empty bytes and megabytes are the same when read, in order of offset."""
    topic = opened.make_topic(1)
    new = [
        NewRecord(topic, b"key", b"\x00\xff" * 300, timestamp=7, headers=(("a", b"1"), ("a", b""))),
        NewRecord(topic, None, b""),
        NewRecord(topic, b"", None),
        NewRecord(topic, b"big", b"x" * 3_000_000),
        NewRecord(topic, b"bigger", bytes(range(256)) * 32_000),
    ]

    async def run() -> list[Record]:
        assert await opened.log.append(new) == [(0, offset) for offset in range(len(new))]
        assert await opened.log.ends(topic) == {0: len(new)}
        reader = await opened.log.reader({(topic, 0): 0})
        found = await read(reader, len(new))
        await reader.close()
        return found

    found = asyncio.run(run())
    assert found[0].timestamp == 7
    assert found[1].timestamp > 1_700_000_000_000
    assert found == [
        Record(topic, 0, offset, found[offset].timestamp, record.key, record.value, record.headers)
        for offset, record in enumerate(new)
    ]


def test_a_key_has_one_partition(opened: Opened) -> None:
    """A key goes where Kafka's murmur2 sends it, a partition that is named is taken, and others are spread."""
    topic = opened.make_topic(4)
    keys = [b"key-%d" % number for number in range(50)]

    async def run() -> None:
        assert await opened.log.partitions(topic) == 4
        placed = await opened.log.append([NewRecord(topic, key, b"") for key in keys])
        assert [partition for partition, _ in placed] == [partition_for(key, 4) for key in keys]
        named = await opened.log.append([NewRecord(topic, keys[0], b"", partition=number) for number in range(4)])
        assert [partition for partition, _ in named] == [0, 1, 2, 3]
        assert len(await opened.log.append([NewRecord(topic, None, b"") for _ in range(8)])) == 8
        assert sum((await opened.log.ends(topic)).values()) == len(keys) + 4 + 8

    asyncio.run(run())


def test_wrong_records_are_refused_whole(opened: Opened) -> None:
    """A record that can't be written is refused before anything of its append is."""
    topic = opened.make_topic(2)
    good = NewRecord(topic, b"", b"", partition=0)
    wrong = {
        NewRecord("ringwatch-nothing", b"", b""): KeyError,
        NewRecord(topic, b"", b"", partition=2): KeyError,
        NewRecord(topic, "text", b""): TypeError,  # type: ignore[arg-type]  # the mistake that is tested
        NewRecord(topic, b"", b"", headers=(("h", "text"),)): TypeError,  # type: ignore[arg-type]  # as above
    }

    async def run() -> None:
        for record, error in wrong.items():
            with pytest.raises(error):
                await opened.log.append([good, record])
        with pytest.raises(KeyError):
            await opened.log.partitions("ringwatch-nothing")
        with pytest.raises(KeyError):
            await opened.log.reader({("ringwatch-nothing", 0): 0})
        with pytest.raises(KeyError):
            await opened.log.reader({(topic, 2): 0})
        assert await opened.log.ends(topic) == {0: 0, 1: 0}

    asyncio.run(run())


def test_many_appends_at_once_have_each_their_place(opened: Opened) -> None:
    """Concurrent appends get offsets of their own, and each caller's follow one another."""
    topic = opened.make_topic(2)

    async def caller(number: int) -> list[tuple[int, int]]:
        return [(await opened.log.append([NewRecord(topic, b"%d" % number, b"x")]))[0] for _ in range(20)]

    async def run() -> list[list[tuple[int, int]]]:
        return await asyncio.gather(*(caller(number) for number in range(32)))

    places = asyncio.run(run())
    assert all(mine == sorted(mine) and len({partition for partition, _ in mine}) == 1 for mine in places)
    for partition in (0, 1):
        offsets = sorted(offset for mine in places for number, offset in mine if number == partition)
        assert offsets == list(range(len(offsets)))
    assert sum(map(len, places)) == 32 * 20


def test_a_reader_starts_where_it_is_told_and_waits_for_more(opened: Opened) -> None:
    """Reading begins at the positions, gives at most the limit in each partition's order, and wakes for a record."""
    topic = opened.make_topic(3)

    async def run() -> None:
        for partition, count in ((0, 50), (2, 30)):
            await opened.log.append([NewRecord(topic, None, b"%d" % n, partition=partition) for n in range(count)])
        reader = await opened.log.reader({(topic, 0): 10, (topic, 1): 0, (topic, 2): 0})
        first = await reader.fetch(7, 5)
        assert 1 <= len(first) <= 7
        found = [*first, *await read(reader, 70 - len(first))]
        assert [r.offset for r in found if r.partition == 0] == list(range(10, 50))
        assert [r.value for r in found if r.partition == 2] == [b"%d" % n for n in range(30)]
        waiting = asyncio.create_task(reader.fetch(10, 20))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await opened.log.append([NewRecord(topic, None, b"late", partition=1)])
        assert [record.value for record in await waiting] == [b"late"]
        await reader.close()
        await reader.close()

    asyncio.run(run())


def test_a_cancelled_fetch_loses_nothing(opened: Opened) -> None:
    """Whoever stops waiting for records gets them with the next fetch."""
    topic = opened.make_topic(1)

    async def run() -> None:
        reader = await opened.log.reader({(topic, 0): 0})
        offsets: list[int] = []
        for number in range(5):
            waiting = asyncio.create_task(reader.fetch(10, 1))
            await asyncio.sleep(0.02)
            await opened.log.append([NewRecord(topic, None, b"%d" % number)])
            waiting.cancel()
            await asyncio.wait([waiting])
            # It may have had its record before it was cancelled.
            offsets += [] if waiting.cancelled() else [record.offset for record in waiting.result()]
        offsets += [record.offset for record in await read(reader, 5 - len(offsets))]
        assert offsets == [0, 1, 2, 3, 4]
        await reader.close()

    asyncio.run(run())


def test_a_position_that_retention_took_starts_at_what_is_left(opened: Opened) -> None:
    """A reader of old positions begins with the first record that is left."""
    topic = opened.make_topic(1)

    async def run(positions: dict[tuple[str, int], int]) -> list[int]:
        reader = await opened.log.reader(positions)
        found = await read(reader, 2)
        await reader.close()
        return [record.offset for record in found]

    asyncio.run(opened.log.append([NewRecord(topic, None, b"%d" % number) for number in range(3)]))
    opened.drop(topic)
    asyncio.run(opened.log.append([NewRecord(topic, None, b"%d" % number) for number in range(3, 5)]))
    assert asyncio.run(run({(topic, 0): 1})) == [3, 4]


def test_a_closed_log_says_so(opened: Opened) -> None:
    """Appending to a log that was closed is refused as unavailable."""
    topic = opened.make_topic(1)
    if isinstance(opened.log, LocalLog):
        opened.log.close()
    elif isinstance(opened.log, KafkaLog):
        asyncio.run(opened.log.close())
    with pytest.raises(LogUnavailableError, match="closed"):
        asyncio.run(opened.log.append([NewRecord(topic, None, b"x")]))
