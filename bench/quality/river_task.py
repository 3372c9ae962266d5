"""What is asked of river's detectors, and how it is run in their own environment."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.quality.trials import Judged, Streams

_ROOT = Path(__file__).parents[2]
_SECONDS = 900.0


class Entry(msgspec.Struct):
    """One detector.

    Attributes:
        detector: its name in river's papers, as `river_detectors.DETECTORS` has it.
        settings: those that are not its own defaults.
        numbers: how many numbers it is run on; fewer for what is slow.
    """

    detector: str
    settings: dict[str, float]
    numbers: int


class Task(msgspec.Struct):
    """Detectors, and streams with the same calls and different falls."""

    entries: list[Entry]
    streams: list[Streams]


class RiverFailedError(Exception):
    """River's detectors did not end well; the text is what they said."""


def run_river(python: Path, task: Task) -> list[list[Judged]]:
    """Run the detectors; returns by entry, then by streams.

    Args:
        python: the interpreter of the environment that has river.
        task: what to run.

    Raises:
        RiverFailedError: the program failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, told = Path(folder) / "task", Path(folder) / "judged"
        given.write_bytes(msgspec.msgpack.encode(task))
        command: Sequence[str] = [str(python), "-m", "bench.quality.river_detectors", str(given), str(told)]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            raise RiverFailedError(f"{' '.join(command)} failed: {done.stderr[-2_000:]}")
        return msgspec.msgpack.decode(told.read_bytes(), type=list[list[Judged]])
