"""What a contestant is asked for and what it reports. Standard library only: peers import it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.windows.calls import GRACE, HOP, SAMPLED, WINDOW, Windows


@dataclass(frozen=True, slots=True)
class Task:
    """One run of one contestant.

    Attributes:
        bootstrap: HOST:PORT of the broker.
        topic: what to read from its beginning.
        partitions: of the topic.
        events: how many records the topic has.
        start: event time of the first, in milliseconds since the epoch.
        warm: records to let pass before time is taken.
        run: names this run, for consumer groups and changelogs.
        folder: for state on disk.
        report: the file to write the report to.
        numbers: whose counts to report.
        window: length of a window in milliseconds.
        hop: from window to window, in milliseconds.
        grace: how late a call may come and still count, in milliseconds.
    """

    bootstrap: str
    topic: str
    partitions: int
    events: int
    start: int
    warm: int
    run: str
    folder: str
    report: str
    numbers: tuple[str, ...] = SAMPLED
    window: int = WINDOW
    hop: int = HOP
    grace: int = GRACE

    def encode(self) -> str:
        """The task as JSON, for a command line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Report:
    """What a contestant has done.

    Attributes:
        timed: records handled while time was taken.
        seconds: from before the first of them to after the last.
        counts: of the sampled numbers, by number and start of the window.
    """

    timed: int
    seconds: float
    counts: Mapping[str, Windows]


def read_task() -> Task:
    """The task on the command line of this process."""
    return Task(**json.loads(sys.argv[1]))


def write_report(task: Task, report: Report) -> None:
    """Leave the report for the parent process."""
    Path(task.report).write_text(json.dumps(asdict(report)), encoding="utf-8")


def read_report(path: Path) -> Report:
    """Read what a contestant has left; JSON knows no integers as keys."""
    content = json.loads(path.read_text(encoding="utf-8"))
    counts = {
        number: {int(start): (attempts, answered) for start, (attempts, answered) in windows.items()}
        for number, windows in content["counts"].items()
    }
    return Report(content["timed"], content["seconds"], counts)
