"""A worker and `ringwatch up` with 100,000 numbers and 1,000 campaigns: until they are at work again, and their memory.

`python -m bench restart`.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from bench import fleet_states
from bench.apache_kafka import KafkaUnavailableError, start_cluster
from bench.fleet_states import FLEET, FLEET_CAMPAIGNS, States
from bench.fleet_traffic import as_records, fleet_lines, tick
from bench.kafka_processes import (
    HEAP_MEGABYTES,
    PARTITIONS,
    Part,
    peak_bytes,
    processor_seconds,
    resident_bytes,
    ringwatch,
    settings_of,
    wait_until_held,
    with_log,
)
from bench.load import Load
from bench.processes import Up, ringwatch_up, send
from bench.results import Result
from bench.traffic import write_requests
from ringwatch.topics import create_topics as create_local_topics
from schemas.log import Log, NewRecord
from schemas.settings import load_settings
from schemas.times import HOUR
from streams.agents.app import CHANGELOGS
from streams.ingest.simulator.line import Line
from streams.transports.kafka.topics import create_topics
from streams.transports.local.log import LocalLog

_WAITING = 1_000
_SECONDS = 60
# What one worker takes with ease, so that it works all the time and is not only behind.
_RATE = 2_000
# The gateway is in the same process.
_RATE_OVER_HTTP = 500
_CONNECTIONS = 32
_TARGET_SECONDS = "<= 15"
_TARGET_MEBIBYTES = "<= 1536"
_GLANCE_SECONDS = 0.05
_PATIENCE_SECONDS = 300.0
_MEBIBYTE = 2**20


class Found(msgspec.Struct, frozen=True):
    """What was measured on one log.

    Attributes:
        first: seconds from the first start until what was waiting is applied.
        again: the same of the start after the traffic.
        busy: processor seconds of that, user and system.
        resident: bytes after the first start.
        resident_after: bytes after the traffic.
        peak: the most bytes until then.
    """

    first: float
    again: float
    busy: float
    resident: int
    resident_after: int
    peak: int


class _Program(Protocol):
    """What runs."""

    @property
    def pid(self) -> int:
        """Its process."""
        ...


P = TypeVar("P", bound=_Program)


def measure() -> list[Result]:
    """Seconds and memory on Kafka and on the embedded log."""
    now = time.time_ns() // 1_000_000
    states = fleet_states.grow(PARTITIONS, now // HOUR * HOUR)
    lines = fleet_lines(_RATE * _SECONDS + 2 * _WAITING, now // HOUR * HOUR + HOUR)
    with tempfile.TemporaryDirectory(prefix="ringwatch-restart-") as name:
        folder = Path(name)
        try:
            on_kafka = _results("a worker on Kafka", f"{_RATE:,}", _on_kafka(folder, states, lines))
        except KafkaUnavailableError as error:
            on_kafka = [Result(name=_restart("a worker on Kafka"), unit="s", value=None, note=str(error))]
        embedded = _on_embedded_log(folder / "embedded", states, lines)
    return [*on_kafka, *_results("`ringwatch up` on the embedded log", f"{_RATE_OVER_HTTP:,}", embedded)]


def _on_kafka(folder: Path, states: States, lines: Sequence[Line]) -> Found:
    with start_cluster(folder / "kafka", heap_megabytes=HEAP_MEGABYTES) as cluster:
        settings = settings_of(cluster.bootstrap, folder)
        create_topics(settings, CHANGELOGS)
        records = as_records(lines, settings)
        asyncio.run(with_log(settings, lambda log: fleet_states.keep(log, states, PARTITIONS, tick())))

        def append(some: Sequence[NewRecord]) -> None:
            asyncio.run(with_log(settings, lambda log: log.append(some)))

        def work(worker: Part) -> None:
            asyncio.run(with_log(settings, lambda log: _pace(log, records[2 * _WAITING :])))
            _wait_until_idle(lambda: list(worker.lags().values()))

        def start() -> AbstractContextManager[Part]:
            return ringwatch("worker", cluster.bootstrap, folder)

        def wait(worker: Part) -> None:
            wait_until_held([worker])
            _wait_until_idle(lambda: list(worker.lags().values()))

        append(records[:_WAITING])
        return _start_twice(start, wait, work, lambda: append(records[_WAITING : 2 * _WAITING]))


async def _pace(log: Log, records: Sequence[NewRecord]) -> None:
    """Append records at the rate, a batch a second."""
    began = time.perf_counter()
    for turn, start in enumerate(range(0, len(records), _RATE), 1):
        await log.append(records[start : start + _RATE])
        await asyncio.sleep(began + turn - time.perf_counter())


def _on_embedded_log(folder: Path, states: States, lines: Sequence[Line]) -> Found:
    folder.mkdir()
    settings = load_settings(data=folder)
    requests = folder / "requests"
    write_requests(requests, lines[2 * _WAITING :][: _RATE_OVER_HTTP * _SECONDS])

    def append(some: Sequence[Line]) -> None:
        with closing(LocalLog.open(settings.log_path)) as log:
            asyncio.run(_append(log, as_records(some, settings)))

    def work(up: Up) -> None:
        load = Load(port=up.port, requests=str(requests), connections=_CONNECTIONS, rate=float(_RATE_OVER_HTTP))
        if send(load).refused:
            raise RuntimeError(f"callbacks were refused; see {folder / 'stderr'}")
        _wait_until_idle(up.lags)

    with closing(LocalLog.open(settings.log_path)) as log:
        create_local_topics(log, settings.partitions)
        asyncio.run(fleet_states.keep(log, states, settings.partitions, tick()))
    append(lines[:_WAITING])
    return _start_twice(
        lambda: ringwatch_up(folder),
        lambda up: _wait_until_idle(up.lags),
        work,
        lambda: append(lines[_WAITING : 2 * _WAITING]),
    )


async def _append(log: Log, records: Sequence[NewRecord]) -> None:
    await log.append(records)


def _start_twice(
    start: Callable[[], AbstractContextManager[P]],
    wait: Callable[[P], None],
    work: Callable[[P], None],
    between: Callable[[], None],
) -> Found:
    """Start, work, stop, and start again; callbacks wait in the log each time."""
    began = time.perf_counter()
    with start() as program:
        wait(program)
        first = time.perf_counter() - began
        resident = resident_bytes(program.pid)
        work(program)
        after, peak = resident_bytes(program.pid), peak_bytes(program.pid)
    between()
    began = time.perf_counter()
    with start() as program:
        wait(program)
        again = time.perf_counter() - began
        return Found(first, again, processor_seconds(program.pid), resident, after, peak)


def _wait_until_idle(lags: Callable[[], Sequence[float]]) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while any(lags()):
        if time.monotonic() > until:
            raise TimeoutError(f"still behind after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_GLANCE_SECONDS)


def _restart(who: str) -> str:
    return f"{who}, {FLEET:,} numbers: from start until callbacks that waited are applied"


def _results(who: str, rate: str, found: Found) -> list[Result]:
    fleet = f"{FLEET:,} numbers of {FLEET_CAMPAIGNS:,} campaigns"
    traffic = f"{_SECONDS} s of {rate} callbacks/s of random numbers"
    return [
        Result(
            name=_restart(who),
            unit="s",
            value=found.again,
            target=_TARGET_SECONDS,
            note=f"{fleet}; started again after {traffic}; {found.busy:.1f} s of it on a processor; "
            f"the first start took {found.first:.1f} s",
        ),
        Result(
            name=f"{who}, {FLEET:,} numbers: resident memory after start",
            unit="MiB",
            value=found.resident / _MEBIBYTE,
            note=fleet,
        ),
        Result(
            name=f"{who}, {FLEET:,} numbers: resident memory after traffic",
            unit="MiB",
            value=found.resident_after / _MEBIBYTE,
            target=_TARGET_MEBIBYTES,
            note=f"{fleet}; after {traffic}; {found.peak / _MEBIBYTE:,.0f} MiB at most",
        ),
    ]
