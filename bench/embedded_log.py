"""The embedded log alone: appends that are each awaited until they are on disk, and reads."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import local_log
from bench.results import Result
from schemas.topics import Cleanup
from streams.transports.local.log import LocalLog

_RECORDS = 100_000
_PARTITIONS = 8


def measure() -> list[Result]:
    """Records a second, in large and in single appends, and the latency of a single one."""
    with TemporaryDirectory() as name:
        return asyncio.run(_measure(Path(name)))


async def _measure(folder: Path) -> list[Result]:
    log = LocalLog.open(folder / "log")
    try:
        log.create_topic("callbacks", _PARTITIONS, Cleanup.DELETE, None)
        large = await local_log._append_all(log, _RECORDS, 1, 1_000)  # noqa: SLF001 - a module of the same programme
        single = await local_log._append_all(log, _RECORDS // 4, 256, 1)  # noqa: SLF001 - as above
        latencies = await local_log._latencies(log, 100, 40, 0.1)  # noqa: SLF001 - as above
        _, read = local_log._read_all(log, lambda _: 0)  # noqa: SLF001 - as above
    finally:
        log.close()
    return [
        Result(name="log: appends of 1,000 records", unit="records/s", value=large, note="700 bytes each, awaited"),
        Result(
            name="log: appends of one record from 256 tasks",
            unit="records/s",
            value=single,
            against="appends of 1,000",
            ratio=single / large,
            note="each awaited until on disk",
        ),
        Result(
            name="log: one append, p99 at 1,000/s",
            unit="ms",
            value=statistics.quantiles(latencies, n=100)[98],
            note="from 100 tasks, until on disk",
        ),
        Result(name="log: read", unit="records/s", value=read, note="from the file and from memory"),
    ]
