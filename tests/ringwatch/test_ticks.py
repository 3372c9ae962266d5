from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ringwatch.ticks import tick_silent_partitions
from ringwatch.topics import create_topics
from schemas.call import CallFact, CallStatus, Direction, FactKind
from schemas.callback import Callback, CallbackKind
from schemas.log import LogUnavailableError, NewRecord, Record
from schemas.settings import Settings, load_settings
from schemas.topics import CALLBACKS, CALLS
from streams.transports.local.log import LocalLog

AllRecords = Callable[..., Iterator[Record]]

_INTERVAL_SECONDS = 0.05
_PATIENCE_SECONDS = 30.0


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    """A log of two partitions a topic."""
    log = LocalLog.open(tmp_path / "log")
    create_topics(log, 2)
    yield log
    log.close()


def _callback(call_sid: str, at: int) -> Callback:
    return Callback(
        call_sid=call_sid,
        account_sid="AC1",
        kind=CallbackKind.STATUS,
        endpoint="/twilio/voice",
        received_at=at + 500,
        params={},
        happened_at=at,
        status=CallStatus.INITIATED,
        number="+12025550100",
        contact="+12025550199",
        direction=Direction.OUTBOUND_API,
        campaign="spring-sale",
    )


def _now() -> int:
    return time.time_ns() // 1_000_000


def _record(call_sid: str = "CA1", partition: int = 0, at: int | None = None) -> NewRecord:
    callback = _callback(call_sid, _now() if at is None else at)
    return NewRecord(CALLBACKS.name, call_sid.encode(), callback.encode(), partition=partition)


@asynccontextmanager
async def _ticking(
    log: LocalLog, interval: float = _INTERVAL_SECONDS, held: Collection[int] | None = None
) -> AsyncIterator[None]:
    all_partitions = range(log.topics()[CALLBACKS.name])
    stop = asyncio.Event()
    task = asyncio.create_task(
        tick_silent_partitions(log, stop, lambda: all_partitions if held is None else held, interval)
    )
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await task


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


def test_a_silent_partition_gets_ticks_and_one_never_written_gets_none(log: LocalLog, all_records: AllRecords) -> None:
    """Where something once came and nothing follows, ticks tell the time; where nothing ever came, there is no call."""

    async def run() -> None:
        await log.append([_record(partition=1)])
        async with _ticking(log):
            await _until(lambda: log.end(CALLBACKS.name, 1) >= 3)

    began = _now()
    asyncio.run(run())
    assert log.end(CALLBACKS.name, 0) == 0
    ticks = [Callback.decode(record.value or b"") for record in all_records(log, CALLBACKS.name, 1)][1:]
    assert {tick.kind for tick in ticks} == {CallbackKind.TICK}
    assert began <= ticks[0].received_at <= ticks[1].received_at <= _now()


def test_only_partitions_that_are_held_get_ticks(log: LocalLog) -> None:
    """Where another worker holds a partition, its silence is that worker's business; what is held may change."""
    held = {1}

    async def run() -> None:
        await log.append([_record(partition=0), _record(partition=1)])
        async with _ticking(log, held=held):
            await _until(lambda: log.end(CALLBACKS.name, 1) >= 3)
            assert log.end(CALLBACKS.name, 0) == 1
            held.add(0)
            await _until(lambda: log.end(CALLBACKS.name, 0) >= 2)

    asyncio.run(run())


def test_a_busy_partition_gets_no_tick(log: LocalLog, all_records: AllRecords) -> None:
    """As long as something comes in every interval, the clock on the wall stays out of it."""

    async def run() -> None:
        async with _ticking(log, interval=2.0):
            for number in range(50):
                await log.append([_record(f"CA{number}")])
                await asyncio.sleep(0.1)

    asyncio.run(run())
    kinds = {Callback.decode(record.value or b"").kind for record in all_records(log, CALLBACKS.name)}
    assert kinds == {CallbackKind.STATUS}


async def _fill(log: LocalLog) -> None:
    try:
        while True:
            await log.append([NewRecord(CALLS.name, b"k", bytes(3_000))])
    except LogUnavailableError:
        return


def test_ticking_survives_a_full_disk(log: LocalLog) -> None:
    """A log that takes nothing just now is ticked again when it does."""
    connection: Any = log._storage._connection

    async def run() -> None:
        await log.append([_record()])
        connection.execute("PRAGMA max_page_count = 1")
        async with _ticking(log):
            await _fill(log)
            full = log.end(CALLBACKS.name, 0)
            await asyncio.sleep(5 * _INTERVAL_SECONDS)
            connection.execute("PRAGMA max_page_count = 1000000")
            await _until(lambda: log.end(CALLBACKS.name, 0) > full)

    asyncio.run(run())


def test_a_tick_closes_a_call_that_never_ends(
    tmp_path: Path,
    agents_on: Callable[[Settings], AbstractAsyncContextManager[Any]],
    all_records: AllRecords,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call whose last callback lies further back than the timeout is ended as such once the clock was told."""
    monkeypatch.setenv("RINGWATCH_ASSEMBLY__CALL_TIMEOUT_HOURS", "1")
    settings = load_settings(data=tmp_path / "data")

    async def run() -> list[CallFact]:
        async with agents_on(settings) as agents:
            await agents.log.append([_record(at=_now() - 2 * 3_600_000)])
            async with _ticking(agents.log):
                await _until(lambda: agents.log.end(CALLS.name, 0) >= 2)
            return [CallFact.decode(record.value or b"") for record in all_records(agents.log, CALLS.name)]

    placed, ended = asyncio.run(run())
    assert (placed.fact, ended.fact) == (FactKind.PLACED, FactKind.ENDED)
    assert ended.status is None
    assert ended.after.disposition == "unfinished"
    assert ended.after.ended_at == ended.after.attempted_at + 3_600_000
