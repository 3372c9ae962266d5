"""The agents on Apache Kafka: a backlog of callbacks, worked off by one `ringwatch worker`, then by two.

`python -m bench kafka-pipeline`; a quick look: `python -m bench.kafka_pipeline [--callbacks 50000] [--workers 1 2]`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
from rich.console import Console

from bench import facts_of_traffic
from bench.apache_kafka import Cluster, KafkaUnavailableError, start_cluster
from bench.dense_traffic import CAMPAIGNS, NUMBERS, append, records
from bench.facts_of_traffic import Facts
from bench.kafka_processes import (
    HEAP_MEGABYTES,
    PARTITIONS,
    Part,
    processor_seconds,
    ringwatch,
    settings_of,
    wait_until_held,
    with_log,
)
from bench.results import Result, show
from ringwatch.partitions import find_partitions
from schemas.log import NewRecord
from schemas.settings import Settings, load_settings
from schemas.topics import CALLBACKS
from streams.agents.app import CHANGELOGS
from streams.transports.kafka.topics import create_topics

_CALLBACKS = 300_000
_TARGET = ">= 10000"
# A look at a worker's metrics costs it some milliseconds.
_GLANCE_SECONDS = 0.25
# A worker commits once a second what it has applied.
_COMMIT_SECONDS = 10.0
_PATIENCE_SECONDS = 900.0


class Run(msgspec.Struct, frozen=True):
    """How a backlog was worked off.

    Attributes:
        callbacks: how many were left when all workers were at work.
        seconds: from then until nothing was left in any topic.
        workers: processor seconds of all workers in that time.
        broker: processor seconds of the broker.
        refused: why the figure does not count; None if the facts are right.
    """

    callbacks: float
    seconds: float
    workers: float
    broker: float
    refused: str | None

    @property
    def rate(self) -> float:
        """Callbacks a second."""
        return self.callbacks / self.seconds


def measure(count: int = _CALLBACKS, workers: Sequence[int] = (1, 2), numbers: int = NUMBERS) -> list[Result]:
    """Callbacks a second with so many workers, and what a thousand of them cost."""
    settings = load_settings()
    made = records(count, settings, numbers)
    try:
        expected = facts_of_traffic.of_replay(made, settings)
        runs = {number: _run(number, made, expected) for number in workers}
    except KafkaUnavailableError as error:
        return [Result(name=_name(1), unit="callbacks/s", value=None, target=_TARGET, note=str(error))]
    return [result for number, run in runs.items() for result in _results(number, numbers, run, runs[workers[0]])]


def _run(workers: int, made: Sequence[NewRecord], expected: Facts) -> Run:
    with tempfile.TemporaryDirectory(prefix="ringwatch-pipeline-") as name, ExitStack() as stack:
        folder = Path(name)
        cluster = stack.enter_context(start_cluster(folder / "kafka", heap_megabytes=HEAP_MEGABYTES))
        settings = settings_of(cluster.bootstrap, folder)
        create_topics(settings, CHANGELOGS)
        asyncio.run(with_log(settings, lambda log: append(log, made)))
        with ExitStack() as working:
            parts = [
                working.enter_context(ringwatch("worker", cluster.bootstrap, folder, number + 1))
                for number in range(workers)
            ]
            run = _work_off(parts, cluster, settings)
        found = asyncio.run(with_log(settings, lambda log: facts_of_traffic.of_log(log, settings)))
        return msgspec.structs.replace(run, refused=facts_of_traffic.difference(found, expected))


def _work_off(workers: Sequence[Part], cluster: Cluster, settings: Settings) -> Run:
    wait_until_held(workers)
    began = time.perf_counter()
    left = sum(lag for worker in workers for (topic, _), lag in worker.lags().items() if topic == CALLBACKS.name)
    processes = [*(worker.pid for worker in workers), cluster.pid(1)]
    before = [processor_seconds(pid) for pid in processes]
    while time.perf_counter() - began < _PATIENCE_SECONDS:
        time.sleep(_GLANCE_SECONDS)
        if not _are_idle(workers):
            continue
        ended = time.perf_counter()
        spent = [processor_seconds(pid) - start for pid, start in zip(processes, before, strict=True)]
        if _all_is_committed(workers, settings):
            return Run(left, ended - began, sum(spent[:-1]), spent[-1], None)
    raise TimeoutError(f"still behind after {_PATIENCE_SECONDS:.0f} s: {workers[0].last_words()}")


def _are_idle(workers: Sequence[Part]) -> bool:
    return not any(any(worker.lags().values()) for worker in workers)


def _all_is_committed(workers: Sequence[Part], settings: Settings) -> bool:
    """Whether the workers stay idle until the brokers know of all that they did; what they know of ends may be old."""
    until = time.perf_counter() + _COMMIT_SECONDS
    while time.perf_counter() < until:
        if not any(found.lag for found in find_partitions(settings).partitions):
            return True
        if not _are_idle(workers):
            return False
        time.sleep(_GLANCE_SECONDS)
    return False


def _name(workers: int) -> str:
    return f"agents on Kafka, {workers} {'worker' if workers == 1 else 'workers'}"


def _results(workers: int, numbers: int, run: Run, first: Run) -> list[Result]:
    name = _name(workers)
    if run.refused is not None:
        return [Result(name=name, unit="callbacks/s", value=None, note=f"refused: {run.refused}")]
    traffic = f"{run.callbacks:,.0f} callbacks of {numbers:,} numbers, {CAMPAIGNS} campaigns, {PARTITIONS} partitions"
    compared = run is not first and first.refused is None
    each = 1_000 / run.callbacks
    return [
        Result(
            name=name,
            unit="callbacks/s",
            value=run.rate,
            against="one worker" if compared else None,
            ratio=run.rate / first.rate if compared else None,
            target=_TARGET if workers == 1 else None,
            note=f"{traffic}; from full log until every lag is 0; windows and alerts as those of a replay",
        ),
        Result(
            name=f"{name}: processor time of {'the worker' if workers == 1 else 'both'}",
            unit="s/1,000 callbacks",
            value=run.workers * each,
            note="user and system",
        ),
        Result(
            name=f"{name}: processor time of the broker",
            unit="s/1,000 callbacks",
            value=run.broker * each,
            note="user and system",
        ),
    ]


def main() -> None:
    """Take a quick look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callbacks", type=int, default=_CALLBACKS)
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2))
    given = parser.parse_args()
    console = Console()
    show(console, results := measure(given.callbacks, given.workers))
    for result in results:
        console.print(f"{result.name}: {result.note}")


if __name__ == "__main__":
    main()
