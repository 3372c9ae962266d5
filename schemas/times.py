"""Times as they travel: integer milliseconds since 1970-01-01 UTC inside, ISO 8601 with a Z outside."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

# The Unix epoch was a Thursday; hour-of-week counts from Monday 00:00 UTC.
_EPOCH_HOUR_OF_WEEK = 3 * 24


def to_iso(at: int) -> str:
    """Write milliseconds since the epoch as ISO 8601 in UTC.

    >>> to_iso(1_795_442_401_250)
    '2026-11-23T14:00:01.250Z'
    """
    moment = datetime.fromtimestamp(at // 1_000, UTC).replace(microsecond=at % 1_000 * 1_000)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """Read ISO 8601 with an offset or a Z into milliseconds since the epoch.

    Raises:
        ValueError: the text is no ISO 8601 time, or names no offset.

    >>> from_iso("2026-11-23T14:00:01.250Z")
    1795442401250
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone; write it with a Z or an offset")
    return round(moment.timestamp() * 1_000)


def hour_of_week(at: int) -> int:
    """Number the hour of the week, 0 to 167, from Monday 00:00 UTC.

    >>> hour_of_week(from_iso("2026-11-23T14:00:00Z"))  # a Monday
    14
    """
    return (at // HOUR + _EPOCH_HOUR_OF_WEEK) % 168
