from __future__ import annotations

from schemas.log import Record
from streams.transports.slices import BYTES_A_SLICE, RECORDS_A_SLICE, SliceLimits


def _records(count: int, size: int) -> list[Record]:
    return [Record("calls", 0, offset, 0, None, bytes(size)) for offset in range(count)]


def test_a_slice_is_bounded_in_records() -> None:
    """However many records there are, a slice takes its share."""
    assert SliceLimits().count(_records(3 * RECORDS_A_SLICE, 1)) == RECORDS_A_SLICE
    assert SliceLimits().count(_records(3, 1)) == 3
    assert SliceLimits().count([]) == 0


def test_a_slice_is_bounded_in_bytes() -> None:
    """Large records make short slices, but one record always goes, whatever its size."""
    assert SliceLimits().count(_records(100, BYTES_A_SLICE // 4)) == 4
    assert SliceLimits().count(_records(2, 2 * BYTES_A_SLICE)) == 1


def test_a_slice_is_bounded_in_time() -> None:
    """An agent that was slow gets shorter slices at once, never less than ten records, and longer ones step by step."""
    limits = SliceLimits()
    limits.note(500, 1.0)
    assert limits.records == 50
    limits.note(50, 10.0)
    assert limits.records == 10
    for records in (20, 40, 80, 160, 320, 500, 500):
        limits.note(limits.records, 0.001)
        assert limits.records == records
    limits.note(5, 0.001)
    assert limits.records == RECORDS_A_SLICE


def test_a_short_slice_says_nothing_of_longer_ones() -> None:
    """Slices are made longer only after one that used all it was allowed."""
    limits = SliceLimits()
    limits.note(500, 1.0)
    limits.note(49, 0.0001)
    assert limits.records == 50
