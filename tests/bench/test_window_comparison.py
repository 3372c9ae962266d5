"""Figures of the comparison are believed only if the counts are right."""

from __future__ import annotations

import msgspec
import pytest

from bench.windows.calls import HOP, SAMPLED, WINDOW, calls, encoded, open_windows, true_counts, window_starts
from bench.windows.contestants import RefusedError, check
from bench.windows.counting import CountingStage, Counts
from bench.windows.task import Report
from schemas.log import Record
from streams.agents.stage import process_all

START = 1_790_000_040_000
COUNT = 40_000


def _counted_by_the_ring() -> Report:
    table: dict[bytes, bytes] = {}
    stage = CountingStage(table)
    records = [
        Record("calls", 0, offset, call.at, call.number.encode(), encoded(offset, call))
        for offset, call in enumerate(calls(COUNT, START))
    ]
    for first in range(0, COUNT, 5_000):
        process_all(stage, records[first : first + 5_000])
        # What comes again after a crash changes nothing.
        process_all(stage, records[first : first + 100])
    return Report(COUNT, 1.0, {number: Counts.from_bytes(table[number.encode()]).windows() for number in SAMPLED})


def test_the_ring_reads_as_hopping_windows() -> None:
    """The windows read from the ring's stored states are those counted call by call, and repetitions count once."""
    expected = true_counts(COUNT, START)
    counted = _counted_by_the_ring()
    assert counted.counts == expected
    check(counted, expected, open_windows(COUNT, START))


def test_a_wrong_count_is_refused() -> None:
    """A contestant that miscounts one closed window of one number by one call gives no figure."""
    expected = true_counts(COUNT, START)
    counts = {number: dict(windows) for number, windows in expected.items()}
    first = min(counts[SAMPLED[3]])
    attempts, answered = counts[SAMPLED[3]][first]
    counts[SAMPLED[3]][first] = attempts + 1, answered
    with pytest.raises(RefusedError, match="1 windows are wrong"):
        check(Report(COUNT, 1.0, counts), expected, open_windows(COUNT, START))


def test_a_missing_open_window_is_refused() -> None:
    """A contestant may let go of a closed window, but not of one that is open at the end."""
    expected = true_counts(COUNT, START)
    still_open = open_windows(COUNT, START)
    kept = {
        number: {start: counts for start, counts in windows.items() if start in still_open}
        for number, windows in expected.items()
    }
    check(Report(COUNT, 1.0, kept), expected, still_open)
    del kept[SAMPLED[0]][still_open[0]]
    with pytest.raises(RefusedError, match="1 missing"):
        check(Report(COUNT, 1.0, kept), expected, still_open)


def test_a_call_lies_in_five_windows() -> None:
    """Each window that holds a call begins at or before it and ends after it."""
    for call in calls(50, START + 59_900):
        starts = list(window_starts(call.at))
        assert len(starts) == WINDOW // HOP
        assert all(start <= call.at < start + WINDOW for start in starts)


def test_a_call_is_written_as_json() -> None:
    """The value of a record says number, event time and whether the call was answered."""
    for index, call in enumerate(calls(50, START)):
        read = msgspec.json.decode(encoded(index, call))
        assert (read["number"], read["at"], read["answered"]) == call
