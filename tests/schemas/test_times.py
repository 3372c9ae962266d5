from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.times import HOUR, WEEK, from_iso, hour_of_week, to_iso

# Up to the end of the year 2199, as a float's seconds hold each of its milliseconds.
MOMENTS = st.integers(0, 7_258_118_399_999)


@given(MOMENTS)
@settings(deadline=None)
def test_iso_and_back_is_the_same_millisecond(at: int) -> None:
    """Every moment of the years 1970 to 2199 survives being written and read, to the millisecond."""
    written = to_iso(at)
    assert (from_iso(written), len(written), written[-1]) == (at, 24, "Z")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T14:00:01.250Z",
        "2026-11-23T14:00:01.250+00:00",
        "2026-11-23T09:00:01.250-05:00",
        "2026-11-23 14:00:01.250Z",
        "20261123T140001.250Z",
    ],
)
def test_the_same_moment_in_many_writings(text: str) -> None:
    """Offsets and ISO 8601's other writings name the same moment."""
    assert from_iso(text) == 1_795_442_401_250


@pytest.mark.parametrize("text", ["", "now", "2026-11-23T14:00:01", "2026-11-23", "1795442401250", "14:00Z"])
def test_what_names_no_moment_is_refused(text: str) -> None:
    """A text that is no time, or a time without a zone, raises and is never guessed at."""
    with pytest.raises(ValueError, match=r"\w"):
        from_iso(text)


def test_a_missing_zone_is_named() -> None:
    """The error for a time without an offset says what to write."""
    with pytest.raises(ValueError, match="write it with a Z or an offset"):
        from_iso("2026-11-23T14:00:01")


@given(MOMENTS)
@settings(deadline=None)
def test_the_hour_of_the_week_is_the_calendars(at: int) -> None:
    """Hours count from Monday 00:00 UTC, as the calendar does, and repeat every week."""
    moment = datetime.fromtimestamp(at // 1_000, UTC)
    assert hour_of_week(at) == moment.weekday() * 24 + moment.hour
    assert hour_of_week(at) == hour_of_week(at + WEEK)
    assert hour_of_week(at + HOUR) == (hour_of_week(at) + 1) % 168
