"""`python -m bench.drill [FAULT…]`: break real processes on a real Apache Kafka, and print what came of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from rich.console import Console

from bench.apache_kafka import start_cluster
from bench.drill.faults import FAULTS, Fault
from bench.drill.run import drill
from bench.drill.table import Row, as_json, show, tell
from bench.drill.traffic import simulate_traffic

# Event time of a stretch, and lines a second: some 1,700 lines in half a minute. A worker that is away for ten seconds
# is then twenty minutes behind, which is two thirds of the lateness.
_MINUTES = 60
_RATE = 60.0
_CALLS_PER_DAY = 500.0
_COLUMNS = 120


def main() -> int:
    """Read the command line and drill; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.drill", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="which; default all: " + ", ".join(_names()))
    parser.add_argument("--json", action="store_true", help="print JSON on standard output")
    parser.add_argument("--folder", type=Path, help="where everything is written; default a temporary folder")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(_names())):
        parser.error(f"no fault {', '.join(unknown)}; there are {', '.join(_names())}")
    faults = [fault for fault in FAULTS if not chosen.names or fault.name in chosen.names]
    console = Console(stderr=chosen.json)
    # Written into a file, the table must not lose its columns.
    console.width = max(console.width, _COLUMNS)
    with tempfile.TemporaryDirectory(prefix="ringwatch-drill-") as temporary:
        rows = _run(chosen.folder or Path(temporary), faults, console)
    show(console, rows)
    if chosen.json:
        sys.stdout.buffer.write(as_json(rows) + b"\n")
    return 1 if any(row.differences or row.seconds is None for row in rows) else 0


def _names() -> list[str]:
    return [fault.name for fault in FAULTS]


def _run(folder: Path, faults: Sequence[Fault], console: Console) -> list[Row]:
    rows: list[Row] = []

    for brokers, group in groupby(faults, key=lambda fault: fault.brokers):
        together = list(group)
        traffic = simulate_traffic(len(together), _MINUTES, _CALLS_PER_DAY)
        with console.status(f"drilling on {brokers} brokers"):
            own = folder / f"{brokers}-brokers-{len(rows)}"
            own.mkdir(parents=True)
            with start_cluster(own / "kafka", brokers, brief=True) as cluster:
                rows += asyncio.run(drill(cluster, own, together, traffic, _RATE, partial(tell, console)))
    return rows


if __name__ == "__main__":
    sys.exit(main())
