"""Quix Streams: a hopping window with two aggregations; all settings but the addresses are its own."""

from __future__ import annotations

import time
from typing import Any

from quixstreams import Application  # type: ignore[import-not-found]  # not in the project's own environment
from quixstreams.dataframe.windows import Count, Sum  # type: ignore[import-not-found]  # as above

from bench.windows.calls import GRACE, HOP, SAMPLED, WINDOW, Windows
from bench.windows.task import Report, read_task, write_report


def main() -> None:
    """Count attempts and answered calls."""
    task = read_task()
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=f"quix-{task.run}",
        auto_offset_reset="earliest",
        state_dir=task.folder,
        loglevel="WARNING",
    )
    topic = app.topic(
        task.topic,
        key_deserializer="str",
        value_deserializer="json",
        timestamp_extractor=lambda value, _headers, _timestamp, _kind: value["at"],
    )
    found: dict[str, Windows] = {number: {} for number in SAMPLED}
    seen = 0
    began = latest = 0.0

    def notice(_: Any) -> None:
        nonlocal seen, began
        if seen == task.warm:
            began = time.perf_counter()
        seen += 1
        if seen == task.events:
            # It ends once this record is through; its own count of records counts results.
            app.stop()

    def keep(result: Any, key: str, _timestamp: int, _headers: Any) -> None:
        nonlocal latest
        windows = found.get(key)
        if windows is not None:
            windows[result["start"]] = result["attempts"], result["answered"]
        latest = time.perf_counter()

    calls = app.dataframe(topic).update(notice)
    counted = calls.hopping_window(WINDOW, HOP, grace_ms=GRACE).agg(attempts=Count(), answered=Sum("answered"))
    # Each change is passed on: a window that speaks when it closes speaks minutes late.
    counted.current().update(keep, metadata=True)
    app.run()
    write_report(task, Report(seen - task.warm, latest - began, found))


if __name__ == "__main__":
    main()
