"""An idiomatic Faust agent: typed records, hopping tables, JSON; all settings but the addresses are Faust's own."""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from typing import Any

import faust

from bench.windows.calls import HOP, SAMPLED, WINDOW, Windows
from bench.windows.task import Report, read_task, write_report

# Faust drops windows by the wall clock, and the calls lie up to an hour back.
_EXPIRES = timedelta(hours=3)

task = read_task()


class Call(faust.Record, serializer="json"):
    """The record of a call."""

    call_sid: str
    number: str
    contact: str
    campaign: str
    at: int
    answered: bool
    status: str
    talk_seconds: int
    ring_seconds: int


app = faust.App(
    f"faust-{task.run}",
    broker=f"kafka://{task.bootstrap}",
    store="memory://",
    datadir=task.folder,
    topic_partitions=task.partitions,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
topic = app.topic(task.topic, key_type=bytes, value_type=Call)
# Windows go by the record's timestamp, Faust's default, which is the call's event time here.
attempts: Any = app.Table("attempts", default=int).hopping(WINDOW / 1_000, HOP / 1_000, expires=_EXPIRES)
answered: Any = app.Table("answered", default=int).hopping(WINDOW / 1_000, HOP / 1_000, expires=_EXPIRES)


@app.agent(topic)
async def count(calls: Any) -> None:
    """Count attempts and answered calls."""
    seen = 0
    began = 0.0
    async for call in calls:
        if seen == task.warm:
            began = time.perf_counter()
        attempts[call.number] += 1
        if call.answered:
            answered[call.number] += 1
        seen += 1
        if seen == task.events:
            write_report(task, Report(seen - task.warm, time.perf_counter() - began, sampled()))
            os._exit(0)


def sampled() -> dict[str, Windows]:
    """The tables' windows of the sampled numbers."""
    found: dict[str, Windows] = {number: {} for number in SAMPLED}
    of_answered = dict(answered.table.data.items())
    for (number, window), counted in attempts.table.data.items():
        if number in found:
            found[number][round(window[0] * 1_000)] = counted, of_answered.get((number, window), 0)
    return found


if __name__ == "__main__":
    sys.argv = [sys.argv[0], "worker", "-l", "warn", "--without-web"]
    app.main()
