"""Where a client of the stream stands: the next offset of each partition, written into the id of each event."""

from __future__ import annotations

import re

from schemas.log import Log, Positions, ends_of
from sinks.feed.events import FEED_TOPICS

# One letter a topic, its partitions' next offsets in order; at most 19 digits fit into a log's 64-bit offset.
_CURSOR = re.compile(r"a([0-9]{1,19}(?:\.[0-9]{1,19})*)-s([0-9]{1,19}(?:\.[0-9]{1,19})*)")


class CursorError(ValueError):
    """A cursor that this feed did not write, or wrote over another log."""


async def end_positions(log: Log) -> Positions:
    """The positions past everything that the log holds now, in a cursor's order.

    Raises:
        LogUnavailableError: the log can't be read now.
    """
    return await ends_of(log, FEED_TOPICS)


def write_cursor(positions: Positions) -> str:
    """Write positions as a cursor.

    >>> write_cursor({("alerts", 0): 7, ("alerts", 1): 0, ("suppressions", 0): 12, ("suppressions", 1): 3})
    'a7.0-s12.3'
    """
    alerts, suppressions = (
        ".".join(str(offset) for (name, _), offset in positions.items() if name == topic) for topic in FEED_TOPICS
    )
    return f"a{alerts}-s{suppressions}"


def read_cursor(text: str, ends: Positions) -> Positions:
    """Read a cursor that this feed wrote.

    Args:
        text: the cursor.
        ends: the log's ends, to tell a cursor of another log.

    Raises:
        CursorError: the text is no cursor, or not of this log.

    >>> read_cursor("a7-s12", {("alerts", 0): 9, ("suppressions", 0): 12})
    {('alerts', 0): 7, ('suppressions', 0): 12}
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise CursorError(
            "Last-Event-ID is no cursor of this feed; send the id of the last event as it came, or none to start at now"
        )
    offsets = [int(offset) for group in found.groups() for offset in group.split(".")]
    counts = [group.count(".") + 1 for group in found.groups()]
    expected = [sum(name == topic for name, _ in ends) for topic in FEED_TOPICS]
    if counts != expected or any(offset > end for offset, end in zip(offsets, ends.values(), strict=False)):
        raise CursorError(
            "Last-Event-ID is a cursor of another log; connect without it, or with ?from=beginning, to start anew"
        )
    return dict(zip(ends, offsets, strict=True))
