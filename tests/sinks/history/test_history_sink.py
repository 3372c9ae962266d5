from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from prometheus_client import CollectorRegistry

from schemas.log import NewRecord
from schemas.settings import History as HistorySettings
from schemas.topics import Cleanup
from sinks.history.sink import TOPICS, HistorySink
from sinks.history.store import History
from streams.transports.local.log import LocalLog

QUICK = HistorySettings(batch_rows=100, flush_seconds=0.05)


async def running(
    log: Any,
    history: History,
    registry: CollectorRegistry,
    work: Callable[[HistorySink], Awaitable[None]],
    settings: HistorySettings = QUICK,
) -> None:
    """Run a sink while `work` does, then stop it."""
    sink, stop = HistorySink(log, history, settings, registry), asyncio.Event()
    task = asyncio.create_task(sink.run(stop))
    try:
        await asyncio.wait_for(work(sink), 20)
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


def appended(make: Any, topic: str, count: int, partition: int = 0) -> list[NewRecord]:
    """Readable callbacks and facts, or unreadable dead letters."""
    values: Callable[[int], bytes] = {
        "callbacks": lambda n: make.callback(n).encode(),
        "calls": lambda n: make.fact(n, 0, n).encode(),
        "deadletters": lambda _number: b"junk",
    }[topic]
    return [NewRecord(topic, b"k", values(n), partition) for n in range(count)]


def test_what_the_log_gets_is_written(log: Any, history: History, rows: Any, make: Any) -> None:
    """Records of several topics and partitions, there before and coming later, are in the history once caught up."""
    registry = CollectorRegistry()

    async def work(sink: HistorySink) -> None:
        await log.append(appended(make, "callbacks", 350) + appended(make, "calls", 30, partition=1))
        await sink.caught_up()
        assert len(rows("from callbacks")) == 350
        await log.append(appended(make, "callbacks", 20, partition=1) + appended(make, "deadletters", 1))
        await sink.caught_up()
        await asyncio.sleep(0.1)
        assert registry.get_sample_value("ringwatch_history_lag_records") == 0

    asyncio.run(running(log, history, registry, work))
    assert [len(rows(f"from {table}")) for table in ("callbacks", "calls", "dead_letters")] == [370, 30, 1]
    assert registry.get_sample_value("ringwatch_history_rows_total", {"table": "callbacks"}) == 370
    assert registry.get_sample_value("ringwatch_history_unreadable_records_total") == 1


def test_an_empty_log_is_caught_up(log: Any, history: History) -> None:
    """With nothing in the log there is nothing to wait for, and a stop is heeded at once."""
    asyncio.run(running(log, history, CollectorRegistry(), lambda sink: sink.caught_up()))


def test_a_batch_waits_for_more_but_not_for_long(log: Any, history: History, rows: Any, make: Any) -> None:
    """Records are gathered for the flush time, so that a trickle does not become a transaction each."""

    async def work(sink: HistorySink) -> None:
        for _ in range(10):
            await log.append(appended(make, "callbacks", 1))
            await asyncio.sleep(0.01)
        await sink.caught_up()

    registry = CollectorRegistry()
    asyncio.run(running(log, history, registry, work, HistorySettings(batch_rows=100, flush_seconds=0.4)))
    assert len(rows("from callbacks")) == 10


def test_a_second_run_reads_on(path: Path, log: Any, make: Any) -> None:
    """Stopped and started again, the sink goes on behind what was written and skips nothing."""
    for turn in (1, 2):
        history = History.open(path)
        registry = CollectorRegistry()

        async def work(sink: HistorySink) -> None:
            await log.append(appended(make, "callbacks", 50))
            await sink.caught_up()

        asyncio.run(running(log, history, registry, work))
        assert history.query("from callbacks").num_rows == 50 * turn
        assert registry.get_sample_value("ringwatch_history_skipped_records_total") == 0
        history.close()


def test_a_log_that_goes_away_is_waited_for(
    log: Any, history: History, rows: Any, make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """While the log is away the sink tries again, says so, is not ready, and goes on when it is back."""
    registry = CollectorRegistry()

    async def work(sink: HistorySink) -> None:
        log.away = True
        await asyncio.sleep(0.6)
        assert sink.readiness() == "nothing can be written, trying again; the program's log says why"
        log.away = False
        await log.append(appended(make, "callbacks", 5))
        await sink.caught_up()
        while sink.readiness() is not True:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)

    log.away = True
    with caplog.at_level(logging.ERROR):
        asyncio.run(running(log, history, registry, work))
    assert len(rows("from callbacks")) == 5
    assert registry.get_sample_value("ringwatch_history_retries_total")
    assert "the log is away; trying again" in caplog.text


def test_a_write_that_fails_is_made_again(log: Any, history: History, rows: Any, make: Any) -> None:
    """When the file refuses a write the same records are written later, once."""
    registry = CollectorRegistry()
    aside = history._connection.cursor()

    async def work(sink: HistorySink) -> None:
        await log.append(appended(make, "callbacks", 5))
        await sink.caught_up()
        aside.execute("ALTER TABLE opt_outs RENAME TO hidden")
        aside.execute("ALTER TABLE callbacks RENAME TO opt_outs")
        await log.append(appended(make, "callbacks", 5))
        while not registry.get_sample_value("ringwatch_history_retries_total"):  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.02)
        aside.execute("ALTER TABLE opt_outs RENAME TO callbacks")
        aside.execute("ALTER TABLE hidden RENAME TO opt_outs")
        await sink.caught_up()

    asyncio.run(running(log, history, registry, work))
    assert len(rows("from callbacks")) == 10
    aside.close()


def test_a_fault_of_the_program_is_raised(
    log: Any, history: History, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no retry can mend ends the sink with its error: it never dies silently."""

    def broken(*_: object) -> None:
        raise AssertionError("a fault")

    async def work(sink: HistorySink) -> None:
        await log.append(appended(make, "callbacks", 1))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sink.caught_up(), 0.5)

    monkeypatch.setattr(history, "write", broken)
    with pytest.raises(AssertionError, match="a fault"):
        asyncio.run(running(log, history, CollectorRegistry(), work))


def test_stopping_writes_what_was_read(log: Any, history: History, rows: Any, make: Any) -> None:
    """Told to stop in the midst of a long flush time, the sink writes what it holds and ends soon."""

    async def work(_: HistorySink) -> None:
        await log.append(appended(make, "callbacks", 5))
        while log.fetches < 3:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.01)

    asyncio.run(running(log, history, CollectorRegistry(), work, HistorySettings(batch_rows=100, flush_seconds=60)))
    assert len(rows("from callbacks")) == 5
    assert isinstance(history._connection, duckdb.DuckDBPyConnection)


def test_records_that_retention_dropped_are_not_waited_for(log: Any, history: History) -> None:
    """Where the end of a partition lies behind records that are gone, the sink is caught up after a silence."""

    async def ends(_: str) -> dict[int, int]:
        return {0: 7}

    log.ends = ends
    asyncio.run(running(log, history, CollectorRegistry(), lambda sink: sink.caught_up()))


def test_the_embedded_log_is_read_to_its_end(tmp_path: Path, history: History, rows: Any, make: Any) -> None:
    """From the real embedded log every record of each partition is written once, over two runs of the sink."""
    local = LocalLog.open(tmp_path / "log")
    try:
        for topic in TOPICS:
            local.create_topic(topic, 2, Cleanup.DELETE, None)

        async def work(sink: HistorySink) -> None:
            await local.append([*appended(make, "callbacks", 300, 0), *appended(make, "callbacks", 300, 1)])
            await sink.caught_up()

        for _ in range(2):
            asyncio.run(running(local, history, CollectorRegistry(), work))
    finally:
        local.close()
    assert rows("select log_partition as p, count(distinct log_offset) as n from callbacks group by 1 order by 1") == [
        {"p": 0, "n": 600},
        {"p": 1, "n": 600},
    ]
    assert len(rows("from callbacks")) == 1_200
