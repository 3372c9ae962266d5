"""Who is compared, and how each is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.peers import environment
from bench.windows.calls import Windows
from bench.windows.task import Report, Task, read_report

_ROOT = Path(__file__).parent.parent.parent
# The slowest takes half a minute; on a busy machine several times that.
_PATIENCE_SECONDS = 240.0


class RefusedError(Exception):
    """A contestant gave no figure, or one that can't be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One stream processor.

    Attributes:
        name: for people.
        command: gives the command to run, before the task.
        events: records it is given.
        warm: how many of them pass before time is taken.
        target: the ratio that ringwatch shall reach against it; None if nothing is asked for.
        how: what it does, in a few words.
    """

    name: str
    command: Callable[[], list[str]]
    events: int
    warm: int
    target: float | None
    how: str

    @property
    def key(self) -> str:
        """The name in words that topics and folders may have."""
        return self.name.lower().replace(" ", "-")


def _ours() -> list[str]:
    return [sys.executable, "-m", "bench.windows.ringwatch_windows"]


def _peer(module: str) -> Callable[[], list[str]]:
    return lambda: [str(environment.python()), "-m", f"bench.peers.{module}"]


RINGWATCH = Contestant(
    "ringwatch", _ours, 1_000_000, 0, None, "rings on slices; changed states acknowledged after each slice"
)
KAFKA_STREAMS = Contestant(
    "Kafka Streams",
    environment.kafka_streams,
    1_000_000,
    500_000,
    1.0,
    "one thread, RocksDB, cache and changelog by default; the second half of the calls, so with warm code",
)
QUIX = Contestant("Quix Streams", _peer("quix"), 100_000, 0, 8.0, "RocksDB and changelog by default, commits each 5 s")
FAUST = Contestant(
    "idiomatic Faust", _peer("faust_table"), 10_000, 0, 25.0, "hopping tables in memory, changelog by default"
)
BYTEWAX = Contestant(
    "Bytewax", _peer("bytewax_flow"), 100_000, 0, None, "one worker, windows in memory, snapshots to SQLite each 10 s"
)
CONTESTANTS = (RINGWATCH, KAFKA_STREAMS, QUIX, FAUST, BYTEWAX)


def table_changelogs(name: str) -> list[str]:
    """The changelogs of the idiomatic Faust agent's tables, as Faust names them for a run."""
    return [f"faust-{name}-{table}-changelog" for table in ("attempts", "answered")]


def run(contestant: Contestant, task: Task) -> Report:
    """Run a contestant to its end in a process of its own.

    Raises:
        RefusedError: it failed, or did not end in time.
    """
    output = Path(task.folder).with_suffix(".log")
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*contestant.command(), task.encode()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=_ROOT,
        )
        try:
            code = process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise RefusedError(f"no end within {_PATIENCE_SECONDS:.0f} s: {_tail(output)}") from error
        finally:
            process.kill()
            process.wait()
    if not Path(task.report).exists():
        raise RefusedError(f"ended with {code} and no report: {_tail(output)}")
    return read_report(Path(task.report))


def _tail(output: Path) -> str:
    return output.read_text(encoding="utf-8", errors="replace")[-2_000:]


def check(report: Report, expected: Mapping[str, Windows], still_open: range) -> None:
    """Compare a contestant's counts with those made directly.

    Every window that is open at the end must be there, for every sampled number; a closed one may have been let go of,
    and must be right if it is there.

    Raises:
        RefusedError: a count is wrong or missing.
    """
    for number, windows in expected.items():
        counted = report.counts.get(number, {})
        wrong = {start: counts for start, counts in counted.items() if counts != windows.get(start)}
        missing = {start for start in still_open if start in windows} - counted.keys()
        if wrong or missing:
            raise RefusedError(
                f"{number}: {len(wrong)} windows are wrong and {len(missing)} missing; of {sorted(wrong)[:1]} it says "
                f"{[counted[start] for start in sorted(wrong)[:1]]}, right is "
                f"{[windows.get(start) for start in sorted(wrong)[:1]]}"
            )
