from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringwatch.appends import WatchedLog
from ringwatch.topics import create_topics
from schemas.log import LogUnavailableError, NewRecord
from schemas.topics import CALLS
from streams.transports.local.log import LocalLog

_RECORD = NewRecord(CALLS.name, b"key", b"value")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    """A log with its topics."""
    log = LocalLog.open(tmp_path / "log")
    create_topics(log, 1)
    yield log
    log.close()


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def test_a_failed_append_is_no_readiness_until_one_succeeds(log: LocalLog) -> None:
    """After a failed append the log counts as taking nothing, and as well again with the next that succeeds."""
    watched = WatchedLog(log, Clock())

    async def run() -> None:
        assert watched.readiness() is True
        await watched.append([_RECORD])
        assert watched.readiness() is True
        connection = log._storage._connection
        connection.execute("PRAGMA max_page_count = 1")
        with pytest.raises(LogUnavailableError):
            await watched.append([NewRecord(CALLS.name, b"key", bytes(1_000_000))])
        assert watched.readiness() == "the log takes no records; the program's log says why"
        connection.execute("PRAGMA max_page_count = 1000000")
        await watched.append([_RECORD])
        assert watched.readiness() is True

    asyncio.run(run())


def test_a_failure_is_believed_for_some_seconds(log: LocalLog) -> None:
    """Who is told to stay away is let in again after some seconds, as only an append shows whether the log is well."""
    clock = Clock()
    watched = WatchedLog(log, clock)

    async def run() -> None:
        with pytest.raises(KeyError):
            await watched.append([NewRecord("no such topic", b"key", b"value")])

    asyncio.run(run())
    clock.now += 9.0
    assert watched.readiness() is not True
    clock.now += 2.0
    assert watched.readiness() is True


def test_everything_else_is_passed_on(log: LocalLog) -> None:
    """Partitions, ends and readers are the log's own."""
    watched = WatchedLog(log)

    async def run() -> None:
        await watched.append([_RECORD])
        assert await watched.partitions(CALLS.name) == 1
        assert await watched.ends(CALLS.name) == {0: 1}
        reader = await watched.reader({(CALLS.name, 0): 0})
        [record] = await reader.fetch(10, 1.0)
        assert record.value == b"value"
        await reader.close()

    asyncio.run(run())
