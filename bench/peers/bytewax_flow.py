"""Bytewax: Kafka input, an event clock, sliding windows and a fold; one worker, recovery snapshots as it advises."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]  # not in the project's own environment
import bytewax.operators.windowing as win  # type: ignore[import-not-found]  # as above
import orjson
from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]  # as above
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]  # as above
from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found]  # as above
from bytewax.testing import TestingSink, run_main  # type: ignore[import-not-found]  # as above

from bench.windows.calls import GRACE, HOP, SAMPLED, WINDOW, Windows
from bench.windows.task import Report, read_task, write_report

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Bytewax's own interval between snapshots.
_SNAPSHOT_SECONDS = 10

_Counts = tuple[int, int]

task = read_task()
seen = 0
began = latest = 0.0


def parse(record: Any) -> dict[str, Any]:
    """Read a record's JSON."""
    global seen, began  # noqa: PLW0603 - a flow's functions have no object to share
    if seen == task.warm:
        began = time.perf_counter()
    seen += 1
    call: dict[str, Any] = orjson.loads(record.value)
    return call


def add(counts: _Counts, call: dict[str, Any]) -> _Counts:
    """Count a call in one window."""
    global latest  # noqa: PLW0603 - as above
    latest = time.perf_counter()
    return counts[0] + 1, counts[1] + call["answered"]


def main() -> None:
    """Run the flow to the end of the topic; windows that are open there close with it."""
    closed: list[tuple[str, tuple[int, _Counts]]] = []
    flow = Dataflow("rolling")
    records = op.input("calls", flow, KafkaSource([task.bootstrap], [task.topic], tail=False))
    parsed = op.map("parse", records, parse)
    keyed = op.key_on("number", parsed, lambda call: call["number"])
    clock = win.EventClock(
        lambda call: datetime.fromtimestamp(call["at"] / 1_000, UTC),
        wait_for_system_duration=timedelta(milliseconds=GRACE),
    )
    windows = win.SlidingWindower(
        length=timedelta(milliseconds=WINDOW), offset=timedelta(milliseconds=HOP), align_to=_EPOCH
    )
    counted = win.fold_window(
        "count", keyed, clock, windows, lambda: (0, 0), add, lambda one, other: (one[0] + other[0], one[1] + other[1])
    )
    op.output("keep", counted.down, TestingSink(closed))
    snapshots = Path(task.folder)
    init_db_dir(snapshots, 1)
    run_main(flow, epoch_interval=timedelta(seconds=_SNAPSHOT_SECONDS), recovery_config=RecoveryConfig(snapshots))
    found: dict[str, Windows] = {number: {} for number in SAMPLED}
    for number, (window, counts) in closed:
        if number in found:
            # Windows are numbered from the one that starts at the epoch.
            found[number][window * HOP] = counts
    write_report(task, Report(seen - task.warm, latest - began, found))


if __name__ == "__main__":
    main()
