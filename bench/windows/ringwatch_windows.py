"""ringwatch: its rings as the one stage of its Faust app, with the worker's own settings, slices and order of effects.

Each slice's changed states are on the broker before the next slice of the agent begins, and before the source offset
is committed. Time is taken until the states of the last slice are there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.windows.calls import Windows
from bench.windows.counting import CountingStage, Counts
from bench.windows.task import Report, Task, read_task, write_report
from schemas.log import Record
from schemas.settings import Settings, load_settings
from streams.agents.app import create_app
from streams.agents.stage import Effects, Stage
from streams.transports.kafka.log import KafkaLog

STAGE = "numbers"
# Short against the seconds that are measured.
_GLANCE_SECONDS = 0.002


def app_id(run: str) -> str:
    """The app, and so the consumer group, of a run."""
    return f"ringwatch-{run}"


def changelog_of(run: str) -> str:
    """The topic that holds a run's states; to be made before it begins."""
    return f"{app_id(run)}-{STAGE}-changelog"


def settings_for(bootstrap: str, partitions: int, folder: Path) -> Settings:
    """The settings of a worker on a broker, all others by default."""
    return load_settings(broker=f"kafka://{bootstrap}", partitions=partitions, data=folder)


class _Stopwatch:
    """Counts records as they are processed.

    Args:
        task: says how many come, and how many pass before time is taken.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seen = 0
        self._passed = 0
        self._began: float | None = None
        self.all_seen = asyncio.Event()

    def begin(self) -> None:
        """Note that a slice begins."""
        if self._began is None and self._seen >= self._task.warm:
            self._passed = self._seen
            self._began = time.perf_counter()

    def end(self, records: int) -> None:
        """Note that a slice of so many records has been processed; its states are not durable yet."""
        self._seen += records
        if self._seen >= self._task.events:
            self.all_seen.set()

    def stop(self) -> tuple[int, float]:
        """Records that were timed, and the seconds they took."""
        assert self._began is not None
        return self._seen - self._passed, time.perf_counter() - self._began


class _TimedStage:
    """A stage that tells a stopwatch what it does."""

    def __init__(self, stage: Stage, stopwatch: _Stopwatch) -> None:
        self._stage = stage
        self._stopwatch = stopwatch
        self.name = stage.name
        self.sources = stage.sources

    def process(self, records: Sequence[Record]) -> Effects:
        """Process a slice."""
        self._stopwatch.begin()
        effects = self._stage.process(records)
        self._stopwatch.end(len(records))
        return effects

    def forget(self) -> None:
        """As the stage."""
        self._stage.forget()


async def _run(task: Task) -> Report:
    settings = settings_for(task.bootstrap, task.partitions, Path(task.folder))
    stopwatch = _Stopwatch(task)
    tables: list[MutableMapping[bytes, bytes]] = []

    def stage_of(_: Settings, data: MutableMapping[bytes, bytes]) -> Stage:
        tables.append(data)
        return _TimedStage(CountingStage(data), stopwatch)

    log = KafkaLog.open(settings)
    app: Any = create_app(settings, settings.broker, log, app_id=app_id(task.run), stages=[(STAGE, stage_of)])
    await app.start()
    await stopwatch.all_seen.wait()
    while any(app.consumer.lags().values()):  # noqa: ASYNC110 - a lag is a number that falls, not an event
        await asyncio.sleep(_GLANCE_SECONDS)
    timed, seconds = stopwatch.stop()
    counts = _counts(tables, task)
    await app.stop()
    await log.close()
    return Report(timed, seconds, counts)


def _counts(tables: Sequence[MutableMapping[bytes, bytes]], task: Task) -> dict[str, Windows]:
    """The windows of the sampled numbers, read from the states that were written."""
    found: dict[str, Windows] = {}
    for number in task.numbers:
        packed = [table[number.encode()] for table in tables if number.encode() in table]
        if packed:
            found[number] = Counts.from_bytes(packed[0]).windows()
    return found


def main() -> None:
    """Run until all is counted."""
    logging.basicConfig(level=logging.WARNING)
    task = read_task()
    write_report(task, uvloop.run(_run(task)))


if __name__ == "__main__":
    main()
