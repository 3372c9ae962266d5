"""ringwatch: its rings in a Faust agent on slices, in its own order of effects.

Each slice's changed states are on the broker before the next slice begins, and before the source offset is committed.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Any

import faust
import uvloop
from faust.types import TP

from bench.windows.calls import Windows
from bench.windows.counting import Counts, CountingStage
from bench.windows.task import Report, Task, read_task, write_report
from streams.transports.kafka.driver import Transport
from schemas.topics import CALLS
from streams.agents.effects import emit_then_keep_state
from streams.agents.stage import process_all
from streams.transports.slices import Slice, SlicedTopic


def changelog_of(run: str) -> str:
    """The compacted topic that holds a run's state; made by whoever starts the run."""
    return f"ringwatch-{run}-changelog"


def create_app(task: Task) -> faust.App:
    """Make the app with its one agent."""
    app = faust.App(
        f"ringwatch-{task.run}",
        broker=f"kafka://{task.bootstrap}",
        store="memory://",
        datadir=task.folder,
        Topic=SlicedTopic,
        topic_partitions=task.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=4,
        stream_processing_timeout=3_600.0,
        broker_commit_livelock_soft_timeout=3_600.0,
    )
    app.transport = Transport(app.conf.broker, app)
    _count(app, task)
    return app


def _count(app: faust.App, task: Task) -> None:
    transport: Any = app
    states: dict[bytes, bytes] = {}
    stage = CountingStage(states)
    changelog = changelog_of(task.run)

    async def run(stream: Any) -> None:
        seen = before = 0
        began: float | None = None
        try:
            async for event in stream.noack().events():
                slice_: Slice = event.value
                started = time.perf_counter()
                if began is None and seen >= task.warm:
                    began, before = started, seen
                effects = process_all(stage, slice_.records)
                worked = time.perf_counter() - started
                await emit_then_keep_state(effects, changelog, transport.producer.publish)
                records = len(slice_.records)
                tp = TP(CALLS.name, slice_.records[0].partition)
                transport.consumer.applied(tp, slice_.next_offset, records=records, seconds=worked)
                await stream.ack(event)
                seen += records
                if seen >= task.events:
                    assert began is not None
                    write_report(task, Report(seen - before, time.perf_counter() - began, _sampled(states, task)))
                    os._exit(0)
        except Exception:
            logging.getLogger(__name__).critical("the contestant can't go on", exc_info=True)
            os._exit(70)

    app.agent(app.topic(CALLS.name, value_type=bytes, value_serializer="raw", key_serializer="raw"))(run)


def _sampled(states: dict[bytes, bytes], task: Task) -> dict[str, Windows]:
    """The windows of the sampled numbers, read from what was made durable."""
    return {number: Counts.from_bytes(states[number.encode()]).windows() for number in task.numbers}


def main() -> None:
    """Run until all is counted."""
    task = read_task()
    sys.argv = [sys.argv[0]]
    logging.basicConfig(level=logging.WARNING)

    async def work() -> None:
        app = create_app(task)
        await app.start()
        await app.wait_until_stopped()

    uvloop.run(work())


if __name__ == "__main__":
    main()
