"""`python -m bench [NAME…]`: run measurements one after another, print them and write `bench/results.json`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from bench import (
    alert_latency,
    embedded_log,
    gateway,
    history_speed,
    kafka_alerts,
    kafka_pipeline,
    pipeline,
    replay,
    restart,
    state,
)
from bench.results import FILE, Result, show, this_machine, write
from bench.windows import measure as windows

MEASUREMENTS: dict[str, Callable[[], Sequence[Result]]] = {
    "windows": windows.measure,
    "kafka-pipeline": kafka_pipeline.measure,
    "pipeline": pipeline.measure,
    "gateway": gateway.measure,
    "alerts": alert_latency.measure,
    "kafka-alerts": kafka_alerts.measure,
    "replay": replay.measure,
    "history": history_speed.measure,
    "log": embedded_log.measure,
    "state": state.measure,
    "restart": restart.measure,
}
"""Every measurement by its name on the command line."""


def run(names: Sequence[str], date: str, file: Path | None) -> dict[str, Sequence[Result]]:
    """Run measurements in order; write the results if a file is given."""
    console = Console()
    results: dict[str, Sequence[Result]] = {}
    for name in names:
        began = time.perf_counter()
        with console.status(f"measuring {name}"):
            results[name] = MEASUREMENTS[name]()
        console.print(f"{name}: measured in {time.perf_counter() - began:.0f} s")
    show(console, [result for found in results.values() for result in found])
    if file is not None:
        write(file, this_machine(date), results)
        console.print(f"written to {file}")
    return results


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(MEASUREMENTS)}; default all")
    parser.add_argument("--date", default=datetime.now(UTC).isoformat(timespec="seconds"), help="when, ISO 8601")
    parser.add_argument("--out", type=Path, help=f"file of the results; default {FILE.name} if all are run")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"no measurement {', '.join(unknown)}; there are {', '.join(MEASUREMENTS)}")
    # A part of the results would take the place of all of them.
    file = chosen.out or (None if chosen.names else FILE)
    run(chosen.names or list(MEASUREMENTS), chosen.date, file)


if __name__ == "__main__":
    main()
