from __future__ import annotations

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from schemas.log import Log, LogUnavailableError, NewRecord, Record
from schemas.topics import Cleanup
from streams.transports.local import submissions
from streams.transports.local.errors import PartitionCountError
from streams.transports.local.log import LocalLog
from streams.transports.local.partitioner import partition_for
from streams.transports.local.writer import Writer


def test_it_is_a_log(log: LocalLog) -> None:
    """The embedded log can be used wherever the small interface is asked for."""
    as_log: Log = log
    log.create_topic("calls", 3, Cleanup.DELETE, None)
    assert asyncio.run(as_log.partitions("calls")) == 3
    assert log.topics() == {"calls": 3}


def test_records_come_back_as_they_went_in(log: LocalLog, log_path: Path) -> None:
    """Key, value, headers, timestamp, None and empty bytes are the same when read, from memory and from the file."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    new = [
        NewRecord("calls", b"key", b"\x00\xff" * 300, timestamp=7, headers=(("a", b"1"), ("a", b""))),
        NewRecord("calls", None, b""),
        NewRecord("calls", b"", None),
        NewRecord("calls", b"big", b"x" * 3_000_000),
    ]
    placed = asyncio.run(log.append(new))
    assert placed == [(0, 0), (0, 1), (0, 2), (0, 3)]
    expected = [
        Record("calls", 0, offset, 1_795_442_400_000 if r.timestamp is None else r.timestamp, r.key, r.value, r.headers)
        for offset, r in enumerate(new)
    ]
    assert log.read("calls", 0, 0, 10) == expected
    log.close()
    again = LocalLog.open(log_path)
    try:
        assert again.read("calls", 0, 0, 10) == expected
        assert again.read("calls", 0, 1, 2) == expected[1:3]
        assert again.read("calls", 0, 4, 1) == []
        assert (again.start("calls", 0), again.end("calls", 0)) == (0, 4)
    finally:
        again.close()


def test_placement(log: LocalLog) -> None:
    """A key goes where its hash says, a partition that is named is taken, and what has neither is spread evenly."""
    log.create_topic("calls", 4, Cleanup.DELETE, None)
    keys = [b"key-%d" % number for number in range(50)]
    placed = asyncio.run(log.append([NewRecord("calls", key, b"") for key in keys]))
    assert [partition for partition, _ in placed] == [partition_for(key, 4) for key in keys]
    assert asyncio.run(log.append([NewRecord("calls", keys[0], b"", partition=3)]))[0][0] == 3
    spread = asyncio.run(log.append([NewRecord("calls", None, b"") for _ in range(8)]))
    assert sorted(partition for partition, _ in spread) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_topic_is_made_once(log: LocalLog, log_path: Path) -> None:
    """Making a topic again changes its retention and cleanup, but another partition count is refused."""
    log.create_topic("calls", 2, Cleanup.DELETE, 5)
    log.create_topic("calls", 2, Cleanup.COMPACT, None)
    with pytest.raises(PartitionCountError, match="calls has 2 partitions, not 3"):
        log.create_topic("calls", 3, Cleanup.COMPACT, None)
    log.close()
    again = LocalLog.open(log_path)
    try:
        with pytest.raises(ValueError, match="give the record a key"):
            asyncio.run(again.append([NewRecord("calls", None, b"")]))
    finally:
        again.close()


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (NewRecord("nothing", b"", b""), KeyError),
        (NewRecord("calls", b"", b"", partition=2), KeyError),
        (NewRecord("calls", "text", b""), TypeError),  # type: ignore[arg-type]  # the mistake that is tested
        (NewRecord("calls", b"", b"", headers=(("h", "text"),)), TypeError),  # type: ignore[arg-type]  # as above
    ],
)
def test_wrong_records_are_refused_whole(log: LocalLog, record: NewRecord, error: type[Exception]) -> None:
    """A record that can't be written is refused before anything of its append is."""
    log.create_topic("calls", 2, Cleanup.DELETE, None)
    with pytest.raises(error):
        asyncio.run(log.append([NewRecord("calls", b"", b"", partition=0), record]))
    assert log.end("calls", 0) == 0


def test_many_appends_share_a_commit(log: LocalLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Concurrent appends become durable in far fewer transactions than there are appends, each with its own offset."""
    log.create_topic("calls", 2, Cleanup.DELETE, None)
    transactions = 0
    write = Writer._write

    def counted(*arguments: object) -> object:
        nonlocal transactions
        transactions += 1
        return write(*arguments)  # type: ignore[arg-type]  # passed through

    monkeypatch.setattr(Writer, "_write", counted)

    async def run() -> list[tuple[int, int]]:
        appends = (log.append([NewRecord("calls", None, b"x")]) for _ in range(1_000))
        return [place for places in await asyncio.gather(*appends) for place in places]

    places = asyncio.run(run())
    assert sorted(places) == [(partition, offset) for partition in range(2) for offset in range(500)]
    assert transactions < 50


def test_what_is_submitted_first_is_durable_first(log: LocalLog) -> None:
    """Futures are settled in the order of submission, offset commits among them."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    order: list[int] = []

    async def run() -> None:
        pending: list[asyncio.Future[Any]] = []
        for number in range(300):
            record = NewRecord("calls", None, b"%d" % number)
            future: asyncio.Future[Any]
            future = log.commit_offsets("group", {("calls", 0): number}) if number % 3 == 2 else log.submit([record])
            future.add_done_callback(partial(lambda number, _: order.append(number), number))
            pending.append(future)
        await asyncio.gather(*pending)

    asyncio.run(run())
    assert order == list(range(300))
    values = [int(record.value or b"") for record in log.read("calls", 0, 0, 1_000)]
    assert values == [number for number in range(300) if number % 3 != 2]


def test_groups_remember_their_positions(log: LocalLog, log_path: Path) -> None:
    """Each consumer group has its own positions, and they are there after opening again."""
    log.create_topic("calls", 2, Cleanup.DELETE, None)

    async def run() -> None:
        await log.commit_offsets("a", {("calls", 0): 5, ("calls", 1): 6})
        await log.commit_offsets("a", {("calls", 1): 7})
        await log.commit_offsets("b", {("calls", 0): 1})

    asyncio.run(run())
    log.close()
    again = LocalLog.open(log_path)
    try:
        assert again.committed("a") == {("calls", 0): 5, ("calls", 1): 7}
        assert again.committed("b") == {("calls", 0): 1}
        assert again.committed("c") == {}
    finally:
        again.close()


def test_waiting_ends_with_the_commit(log: LocalLog) -> None:
    """Who waits is woken by the record it waits for, not by others, and gives up after its time."""
    log.create_topic("calls", 2, Cleanup.DELETE, None)

    async def run() -> None:
        assert not await log.wait_for({("calls", 0): 0}, 0.01)
        waiting = asyncio.create_task(log.wait_for({("calls", 0): 1, ("calls", 1): 0}, 10))
        await log.append([NewRecord("calls", None, b"", partition=0)])
        await asyncio.sleep(0.05)
        assert not waiting.done()
        begin = time.monotonic()
        await log.append([NewRecord("calls", None, b"", partition=1)])
        assert await waiting
        assert time.monotonic() - begin < 5
        assert await log.wait_for({("calls", 0): 0}, 0)

    asyncio.run(run())


def test_reader_is_fair(log: LocalLog) -> None:
    """A full partition takes no more than its share while another has records, and nothing is given twice."""
    log.create_topic("calls", 3, Cleanup.DELETE, None)

    async def run() -> None:
        await log.append([NewRecord("calls", None, b"", partition=0) for _ in range(500)])
        await log.append([NewRecord("calls", None, b"", partition=2) for _ in range(30)])
        reader = await log.reader({("calls", number): 0 for number in range(3)})
        first = await reader.fetch(100, 0)
        assert [sum(r.partition == number for r in first) for number in range(3)] == [50, 0, 30]
        everything = list(first)
        while records := await reader.fetch(100, 0):
            everything += records
        offsets = [[r.offset for r in everything if r.partition == number] for number in range(3)]
        assert offsets == [list(range(500)), [], list(range(30))]
        waiting = asyncio.create_task(reader.fetch(10, 10))
        await asyncio.sleep(0.01)
        await log.append([NewRecord("calls", None, b"late", partition=1)])
        assert [record.value for record in await waiting] == [b"late"]
        await reader.close()

    asyncio.run(run())


def test_too_much_waiting_is_refused(log: LocalLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound of what may wait an append fails at once; when the writer has caught up the next is taken."""
    monkeypatch.setattr(submissions, "_PENDING_RECORDS", 100)
    log.create_topic("calls", 1, Cleanup.DELETE, None)

    async def run() -> None:
        big = [NewRecord("calls", None, b"") for _ in range(60)]
        log._lock.acquire()  # the writer can't finish a transaction while this is held
        try:
            first = log.submit(big)
            with pytest.raises(LogUnavailableError, match="waiting"):
                log.submit(big)
        finally:
            log._lock.release()
        await first
        assert (await log.append(big))[0] == (0, 60)

    asyncio.run(run())


def test_closing_writes_what_was_submitted(log: LocalLog, log_path: Path) -> None:
    """Closing right after submitting loses nothing; afterwards appending and waiting say that the log is closed."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)

    async def run() -> None:
        waiting = asyncio.create_task(log.wait_for({("calls", 0): 1_000}, 10))
        await asyncio.sleep(0)
        futures = [log.submit([NewRecord("calls", None, b"x")]) for _ in range(500)]
        log.close()
        assert [offset for future in futures for _, offset in await future] == list(range(500))
        for attempt in (waiting, log.append([NewRecord("calls", None, b"x")]), log.wait_for({("calls", 0): 999}, 1)):
            with pytest.raises(LogUnavailableError, match="closed"):
                await attempt

    asyncio.run(run())
    again = LocalLog.open(log_path)
    try:
        assert again.end("calls", 0) == 500
    finally:
        again.close()


def test_readers_beside_the_writer_see_whole_commits(log: LocalLog) -> None:
    """Readers that follow the writer, in memory or in the file, see every record once and never a half append."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    rounds, batch = 60, 40

    async def write() -> None:
        for number in range(rounds):
            await log.append([NewRecord("calls", None, b"%d" % number + b"." * 5_000) for _ in range(batch)])

    async def follow(limit: int) -> list[int]:
        seen: list[int] = []
        while len(seen) < rounds * batch:
            assert log.end("calls", 0) % batch == 0
            assert await log.wait_for({("calls", 0): len(seen)}, 10)
            end = log.end("calls", 0)
            run = log._files.read(log._directory.partition("calls", 0), len(seen), end, limit)
            assert run == log.read("calls", 0, len(seen), len(run))
            seen += [record.offset for record in run]
            await asyncio.sleep(0)
        return seen

    async def run() -> None:
        _, *followers = await asyncio.gather(write(), follow(7), follow(333))
        assert all(seen == list(range(rounds * batch)) for seen in followers)

    asyncio.run(run())
