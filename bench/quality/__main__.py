"""`python -m bench.quality [NAME…]`: measure how good the detectors are; all parts renew `docs/quality.md` as well."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from rich.console import Console

from bench.quality import bad_day, comparison, day_noise, oracle, run_lengths, shares, spikes, sweep
from bench.quality.figures import FILE, Figure, terminal, write
from bench.quality.page import renew

PARTS: dict[str, Callable[[], list[Figure]]] = {
    "run_lengths": run_lengths.measure,
    "comparison": comparison.measure,
    "sweep": sweep.measure,
    "day_noise": day_noise.measure,
    "bad_day": bad_day.measure,
    "shares": shares.measure,
    "spikes": spikes.measure,
    "oracle": oracle.measure,
}
"""Every part by its name on the command line, in the order of the page."""

LONGEST_FIRST = ("run_lengths", "sweep", "comparison", "day_noise", "shares", "bad_day", "spikes", "oracle")
"""The order in which they are begun, so that both processes end at about the same time."""

PROCESSES = 2
WIDTH = 170
"""Characters that the widest table needs."""


def timed(name: str) -> tuple[list[Figure], float]:
    """Measure one part; returns its figures and the seconds that it took."""
    began = time.perf_counter()
    return PARTS[name](), time.perf_counter() - began


def run(names: Sequence[str], file: Path | None, everything: bool) -> list[Figure]:
    """Measure parts, two at a time, and print their tables.

    Args:
        names: the parts.
        file: where to keep the figures; None keeps them nowhere.
        everything: whether to renew the page, too.
    """
    console = Console()
    if console.width < WIDTH:
        console = Console(width=WIDTH)
    if {"comparison", "sweep", "spikes"} & set(names):
        # Once, before two processes want it at the same time.
        comparison.river_python()
    with ProcessPoolExecutor(PROCESSES) as pool, console.status("measuring"):
        begun = {name: pool.submit(timed, name) for name in sorted(names, key=LONGEST_FIRST.index)}
        done = {name: begun[name].result() for name in PARTS if name in begun}
    for name, (figures, seconds) in done.items():
        console.print(terminal(name, figures))
        console.print(f"{name}: {seconds:.0f} s")
    whole = [figure for figures, _ in done.values() for figure in figures]
    if file is not None:
        write(file, whole)
        console.print(f"written to {file}")
    if everything:
        renew(whole)
    return whole


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.quality", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(PARTS)}; default all")
    parser.add_argument("--out", type=Path, help=f"file of the figures; default {FILE.name} if all are measured")
    chosen = parser.parse_args()
    unknown = sorted(set(chosen.names) - set(PARTS))
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    # Some of the parts would take the place of all of them.
    file = chosen.out or (None if chosen.names else FILE)
    run(chosen.names or list(PARTS), file, everything=file == FILE and not chosen.names)


if __name__ == "__main__":
    main()
