"""Speed of the history: from the log's topics to committed rows, the write alone, and a day's ASR per number."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry

from bench.history_records import batches, callbacks, facts, fill, timed
from bench.results import Result
from schemas.log import NewRecord, Record
from schemas.settings import History as HistorySettings
from schemas.topics import Cleanup
from sinks.history.columns import callback_table
from sinks.history.rows import read_rows
from sinks.history.sink import TOPICS, HistorySink
from sinks.history.store import History
from streams.transports.local.log import LocalLog

# A whole number of batches, as the last part of one waits for more to come; and of calls with three callbacks each.
_CALLBACKS = 180_000
_CALLS = 10_000_000
_SPACING = 20.0
_QUERIES = 5


def measure() -> list[Result]:
    """All figures of the history."""
    requests = list(callbacks(_CALLBACKS // 3, _SPACING))
    of_calls = list(facts(_CALLBACKS // 3, _SPACING))
    with TemporaryDirectory() as name:
        folder = Path(name)
        alone = len(requests) / asyncio.run(_topic_to_row(folder / "callbacks", requests))
        both = len(requests) / asyncio.run(_topic_to_row(folder / "both", [*requests, *of_calls]))
        arrow = len(requests) / _write_alone(folder, requests)
        idle, busy, rate = _query(folder, requests)
    what = f"{len(requests):,} callbacks"
    return [
        Result(
            name="history: topic to committed row, callbacks",
            unit="callbacks/s",
            value=alone,
            against="the write of ready columns",
            ratio=alone / arrow,
            target=">= 30000",
            note=what,
        ),
        Result(
            name="history: topic to committed row, with the facts of their calls",
            unit="callbacks/s",
            value=both,
            against="callbacks without their facts",
            ratio=both / alone,
            note=f"{what} and {len(of_calls):,} facts",
        ),
        Result(name="history: write of ready columns", unit="rows/s", value=arrow, target=">= 100000", note=what),
        Result(
            name="history: ASR per number of a day, while it ingests",
            unit="s",
            value=busy,
            against="the same while nothing is written",
            ratio=busy / idle,
            target="<= 1",
            note=f"{_CALLS:,} calls; median; {rate:,.0f} callbacks/s written meanwhile",
        ),
    ]


async def _topic_to_row(folder: Path, records: list[Record]) -> float:
    """Seconds from the start of the sink to the last committed row, records being in the embedded log."""
    log = LocalLog.open(folder / "log")
    history = History.open(folder / "history.duckdb")
    try:
        for topic in TOPICS:
            log.create_topic(topic, 4, Cleanup.DELETE, None)
        for batch in batches(records):
            await log.append([NewRecord(one.topic, one.key, one.value, one.partition) for one in batch])
        sink, stop = HistorySink(log, history, HistorySettings(), CollectorRegistry()), asyncio.Event()
        began = time.perf_counter()
        task = asyncio.create_task(sink.run(stop))
        await sink.caught_up()
        taken = time.perf_counter() - began
        stop.set()
        await task
        return taken
    finally:
        history.close()
        log.close()


def _write_alone(folder: Path, records: list[Record]) -> float:
    """Seconds to insert and commit columns that are ready."""
    tables = [callback_table(read_rows(batch).callbacks) for batch in batches(records)]
    history = History.open(folder / "arrow.duckdb")
    cursor = history._connection.cursor()  # noqa: SLF001 - the insert alone, without the reading before it
    began = time.perf_counter()
    for table in tables:
        cursor.register("batch", table)
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO callbacks BY NAME SELECT * FROM batch")
        cursor.execute("COMMIT")
    taken = time.perf_counter() - began
    cursor.close()
    history.close()
    return taken


def _query(folder: Path, records: list[Record]) -> tuple[float, float, float]:
    """Seconds of a query alone and beside a writer, and callbacks a second that were written meanwhile."""
    history = History.open(folder / "asr.duckdb")
    fill(history, _CALLS)
    history._connection.execute("CHECKPOINT")  # noqa: SLF001 - as after a while
    idle = statistics.median(timed(history) for _ in range(_QUERIES))
    written = 0

    def write() -> None:
        nonlocal written
        for batch in batches(records):
            history.write(batch)
            written += len(batch)

    writer = threading.Thread(target=write)
    began = time.perf_counter()
    writer.start()
    busy = []
    while writer.is_alive():
        busy.append(timed(history))
        time.sleep(0.2)
    writer.join()
    rate = written / (time.perf_counter() - began)
    history.close()
    return idle, statistics.median(busy), rate
