"""How fast `ringwatch replay` runs assembly, windows and detectors over a file."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.results import Result
from bench.traffic import NUMBERS, encoded

_LINES = 100_000
_ROUNDS = 2


def measure() -> list[Result]:
    """Lines a second, the start of the command included."""
    with TemporaryDirectory() as name:
        file = Path(name) / "lines.jsonl"
        file.write_bytes(b"\n".join(encoded(_LINES)) + b"\n")
        taken = min(_replay(file) for _ in range(_ROUNDS))
    return [
        Result(
            name="ringwatch replay --json",
            unit="lines/s",
            value=_LINES / taken,
            note=f"{_LINES:,} lines of {NUMBERS} numbers, best of {_ROUNDS} rounds, start of Python included",
        )
    ]


def _replay(file: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "ringwatch", "replay", str(file), "--json"],
        check=True,
        capture_output=True,
        cwd=Path(__file__).parent.parent,
    )
    return time.perf_counter() - began
