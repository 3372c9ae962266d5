"""River's drift detectors on the streams of the comparison: `python -m bench.quality.river_detectors IN OUT`.

Runs in the environment of `requirements.txt`. They get a call that nobody answered as the error, 1; FHDDM gets an
answered call as 1, as its code looks for a falling share of ones. They begin anew after an alarm by themselves. All
other settings are their own.

References:
    Montiel, J., et al. (2021), River: machine learning for streaming data in Python,
    Journal of Machine Learning Research 22(110):1-8.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from river import drift  # type: ignore[import-not-found]  # not in the project's own environment
from river.drift import binary  # type: ignore[import-not-found]  # as above

from bench.quality.river_task import Entry, Task
from bench.quality.trials import Judged, judge

DETECTORS: dict[str, Callable[..., Any]] = {
    "DDM": binary.DDM,
    "EDDM": binary.EDDM,
    "FHDDM": binary.FHDDM,
    "HDDM_A": binary.HDDMA,
    "HDDM_W": binary.HDDMW,
    "ADWIN": drift.ADWIN,
    "KSWIN": partial(drift.KSWIN, seed=1),
    "PageHinkley": drift.PageHinkley,
}


LOOKS_FOR_FEWER = {"FHDDM"}
"""Detectors of a falling share of ones."""


class _Stream:
    __slots__ = ("_detector", "_one")

    def __init__(self, detector: Any, one: bool) -> None:
        self._detector = detector
        self._one = one

    def update(self, answered: bool) -> bool:
        self._detector.update(int(answered == self._one))
        return bool(self._detector.drift_detected)


def _begin(entry: Entry) -> _Stream:
    return _Stream(DETECTORS[entry.detector](**entry.settings), entry.detector in LOOKS_FOR_FEWER)


def main() -> None:
    """Read what is to be run, run it, and write how it went."""
    task = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Task)
    judged: list[list[Judged]] = []
    for entry in task.entries:
        begin = partial(_begin, entry)
        judged.append([judge(begin, streams, entry.numbers) for streams in task.streams])
    Path(sys.argv[2]).write_bytes(msgspec.msgpack.encode(judged))


if __name__ == "__main__":
    main()
