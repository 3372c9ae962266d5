"""How fast the embedded log appends and reads: `python bench/local_log.py [--records N] [--folder DIR]`."""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from schemas.log import NewRecord
from schemas.topics import Cleanup
from streams.transports.local.log import LocalLog

_PARTITIONS = 8
_VALUE_BYTES = 700
_READ_LIMIT = 1_000
_SINGLE_APPENDS = 1_000


def _records(count: int, begin: int) -> list[NewRecord]:
    # Random bytes: neither the file system nor the disk can make less of them.
    return [
        NewRecord("callbacks", b"CA%032x" % (begin + index), os.urandom(_VALUE_BYTES), timestamp=begin + index)
        for index in range(count)
    ]


async def _append_all(log: LocalLog, total: int, submitters: int, batch: int) -> float:
    """Append `total` records from so many tasks, each waiting for its batch; records a second."""
    rounds = max(total // submitters // batch, 1)
    prepared = [[_records(batch, (s * rounds + r) * batch) for r in range(rounds)] for s in range(submitters)]

    async def submit_all(batches: list[list[NewRecord]]) -> None:
        for records in batches:
            await log.append(records)

    begin = time.perf_counter()
    await asyncio.gather(*(submit_all(batches) for batches in prepared))
    return submitters * rounds * batch / (time.perf_counter() - begin)


async def _latencies(log: LocalLog, tasks: int, appends: int, pause: float) -> list[float]:
    """Append single records from so many tasks with a pause between; milliseconds until each was on disk, sorted."""
    took: list[float] = []

    async def submit_all(number: int) -> None:
        await asyncio.sleep(pause * number / tasks)
        for record in _records(appends, number * appends):
            begin = time.perf_counter()
            await log.append([record])
            took.append((time.perf_counter() - begin) * 1_000)
            await asyncio.sleep(pause)

    await asyncio.gather(*(submit_all(number) for number in range(tasks)))
    return sorted(took)


def _read_all(log: LocalLog, first: Callable[[int], int]) -> tuple[int, float]:
    """Read every partition from an offset to its end; count and records a second."""
    count = 0
    begin = time.perf_counter()
    for partition in range(_PARTITIONS):
        offset = first(partition)
        while records := log.read("callbacks", partition, offset, _READ_LIMIT):
            count += len(records)
            offset = records[-1].offset + 1
    return count, count / (time.perf_counter() - begin)


def _report(name: str, figure: str) -> None:
    print(f"{name:<58} {figure:>28}")


def _percentiles(sorted_values: list[float]) -> str:
    cuts = statistics.quantiles(sorted_values, n=100)
    return f"p50 {cuts[49]:.2f}  p99 {cuts[98]:.2f}  max {sorted_values[-1]:.1f} ms"


async def _run(folder: Path, total: int) -> None:
    path = folder / "log.db"
    log = LocalLog.open(path)
    try:
        log.create_topic("callbacks", _PARTITIONS, Cleanup.DELETE, None)
        cases: list[tuple[int, int, int]] = [
            (1, 1_000, total),
            (32, 32, total),
            (256, 1, total // 4),
            (32, 1, total // 8),
        ]
        for submitters, batch, count in cases:
            speed = await _append_all(log, count, submitters, batch)
            _report(f"append, {submitters} submitters x {batch} records, each awaited", f"{speed:,.0f} records/s")
        tasks: list[tuple[str, Awaitable[list[float]]]] = [
            ("single awaited append, alone", _latencies(log, 1, _SINGLE_APPENDS, 0)),
            ("single awaited append, 1,000 a second from 100 tasks", _latencies(log, 100, 40, 0.1)),
        ]
        for name, measured in tasks:
            _report(name, _percentiles(await measured))
        # The newest tail is what memory holds: a few thousand of each partition.
        ends = await log.ends("callbacks")
        count, speed = _read_all(log, lambda partition: max(ends[partition] - 5_000, 0))
        _report(f"read from memory, {count:,} records", f"{speed:,.0f} records/s")
    finally:
        log.close()
    begin = time.perf_counter()
    log = LocalLog.open(path)
    _report(f"open, with a check of {path.stat().st_size / 1e6:,.0f} MB", f"{time.perf_counter() - begin:.2f} s")
    try:
        count, speed = _read_all(log, lambda _: 0)
        _report(f"read from the file, {count:,} records", f"{speed:,.0f} records/s")
    finally:
        log.close()
    _report("bytes a record in the file (700 of value, 34 of key)", f"{path.stat().st_size / count:,.0f}")


def main() -> None:
    """Measure in a temporary folder, or in one on the disk that matters."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000, help="how many to append in the largest cases")
    parser.add_argument("--folder", type=Path, help="where to make the temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        asyncio.run(_run(Path(folder), arguments.records))


if __name__ == "__main__":
    main()
