"""Rolling counts per number over windows of 5 minutes hopping by 1, on one broker: calls a second of each contestant.

`python -m bench windows`; a quick look: `python -m bench.windows.measure [--share 0.1] [--rounds 1] [NAME…]`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from bench.apache_kafka import KafkaUnavailableError, start_cluster
from bench.peers.environment import PeersUnavailableError
from bench.results import Result, show, shown
from bench.windows.broker import PARTITIONS, fill, make_topics, topic_of
from bench.windows.calls import HOP, MILLISECONDS_A_CALL, NUMBERS, Windows, open_windows, true_counts
from bench.windows.contestants import (
    CONTESTANTS,
    FAUST,
    RINGWATCH,
    Contestant,
    RefusedError,
    check,
    run,
    table_changelogs,
)
from bench.windows.ringwatch_windows import changelog_of
from bench.windows.task import Task

_ROUNDS = 3
_HEAP_MEGABYTES = 1_024


def _run_name(contestant: Contestant, turn: int) -> str:
    return f"{contestant.key}-{turn}"


class _Field:
    """A broker with filled topics, and who has run on it.

    Args:
        bootstrap: HOST:PORT of the broker.
        folder: for states and reports.
        contestants: who will run.
        rounds: how often each.
    """

    def __init__(self, bootstrap: str, folder: Path, contestants: Sequence[Contestant], rounds: int) -> None:
        self._bootstrap = bootstrap
        self._folder = folder
        self._most = max(contestant.events for contestant in contestants)
        # The calls end about now, so that nobody takes them for long expired.
        length = self._most * MILLISECONDS_A_CALL
        self._start = (time.time_ns() // 1_000_000 - length) // HOP * HOP
        counts = sorted({contestant.events for contestant in contestants})
        self._expected: dict[int, dict[str, Windows]] = {count: true_counts(count, self._start) for count in counts}
        topics = {topic_of(count, self._most): count for count in counts}
        make_topics(
            bootstrap,
            topics,
            [changelog_of(_run_name(RINGWATCH, turn)) for turn in range(rounds)],
            [name for turn in range(rounds) for name in table_changelogs(_run_name(FAUST, turn))],
            folder,
        )
        fill(bootstrap, self._start, topics)

    def rate(self, contestant: Contestant, turn: int) -> float:
        """Run a contestant; give its calls a second.

        Raises:
            RefusedError: it failed, or its counts are not right.
        """
        name = _run_name(contestant, turn)
        state = self._folder / name
        state.mkdir()
        task = Task(
            bootstrap=self._bootstrap,
            topic=topic_of(contestant.events, self._most),
            partitions=PARTITIONS,
            events=contestant.events,
            start=self._start,
            warm=contestant.warm,
            run=name,
            folder=str(state),
            report=str(self._folder / f"{name}.json"),
        )
        report = run(contestant, task)
        check(report, self._expected[contestant.events], open_windows(contestant.events, self._start))
        return report.timed / report.seconds


def measure(
    contestants: Sequence[Contestant] = CONTESTANTS, rounds: int = _ROUNDS, console: Console | None = None
) -> list[Result]:
    """Calls a second of each contestant, and what ringwatch's are in those of the others."""
    rates: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="ringwatch-windows-") as name:
        folder = Path(name)
        try:
            with start_cluster(folder / "kafka", heap_megabytes=_HEAP_MEGABYTES) as cluster:
                field = _Field(cluster.bootstrap, folder, contestants, rounds)
                for turn in range(rounds):
                    # Every other round runs backwards, so that nobody always has the same one before it.
                    for contestant in contestants if turn % 2 == 0 else tuple(reversed(contestants)):
                        if contestant.name in refused:
                            continue
                        try:
                            rate = field.rate(contestant, turn)
                        except (RefusedError, PeersUnavailableError, KafkaUnavailableError) as error:
                            refused[contestant.name] = str(error)
                        else:
                            rates[contestant.name].append(rate)
                            if console is not None:
                                console.print(f"{contestant.name}: {shown(rate)} calls/s")
        except (KafkaUnavailableError, PeersUnavailableError) as error:
            refused = {contestant.name: str(error) for contestant in contestants}
    medians = {name: statistics.median(found) for name, found in rates.items() if found and name not in refused}
    return [
        *(_rate(contestant, rates[contestant.name], refused.get(contestant.name)) for contestant in contestants),
        *(_ratio(peer, medians, refused) for peer in contestants if peer.target is not None),
    ]


def _rate(contestant: Contestant, found: Sequence[float], reason: str | None) -> Result:
    name = f"rolling counts: {contestant.name}"
    if reason is not None:
        return Result(name=name, unit="calls/s", value=None, note=reason)
    traffic = f"{contestant.events:,} calls of {NUMBERS:,} numbers in {PARTITIONS} partitions"
    spread = f"median of {len(found)}, {shown(min(found))} to {shown(max(found))}"
    value = statistics.median(found)
    return Result(name=name, unit="calls/s", value=value, note=f"{contestant.how}; {traffic}; {spread}")


def _ratio(peer: Contestant, medians: dict[str, float], refused: dict[str, str]) -> Result:
    name = f"rolling counts: ringwatch against {peer.name}"
    target = f">= {peer.target:g}"
    ours, theirs = medians.get(RINGWATCH.name), medians.get(peer.name)
    if ours is None or theirs is None:
        missing = RINGWATCH if ours is None else peer
        note = f"no figure of {missing.name}: {refused.get(missing.name, 'it did not run')}"
        return Result(name=name, unit="ratio", value=None, target=target, note=note)
    return Result(
        name=name,
        unit="ratio",
        value=ours / theirs,
        against=peer.name,
        ratio=ours / theirs,
        target=target,
        note="medians of the same run",
    )


def main() -> None:
    """Take a quick look at some, or all, of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = {contestant.key: contestant for contestant in CONTESTANTS}
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(known)}; default all")
    parser.add_argument("--share", type=float, default=1.0, help="of the calls that each gets")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    given = parser.parse_args()
    chosen = [
        replace(one, events=round(one.events * given.share), warm=round(one.warm * given.share))
        for one in (known[name] for name in given.names or known)
    ]
    console = Console()
    show(console, results := measure(chosen, given.rounds, console))
    for result in results:
        console.print(f"{result.name}: {result.note}")


if __name__ == "__main__":
    main()
