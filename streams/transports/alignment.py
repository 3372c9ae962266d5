"""Alignment of partitions in event time while there is a backlog.

Each partition of a topic is worked off at its own pace. After a standstill, or where a worker was away, one would be
hours of event time ahead of the other, and what reads the results of both would see calls in an order that never was.
So a partition waits while another one that has a backlog lies too far behind it. The slowest never waits, so something
always moves; and nobody waits for a partition that has stood still for long, as speaking late is worse than speaking
out of order.

The same idea is called watermark alignment in Apache Flink (FLIP-182).
"""

from __future__ import annotations

import msgspec

from schemas.times import MINUTE

AHEAD = 10 * MINUTE
"""How far a partition may be ahead of another: no rule has a bucket shorter than this, and a backlog of this length is
long enough to be worked off in large slices."""


class Place(msgspec.Struct, frozen=True):
    """Where a partition stands.

    Attributes:
        at: event time of its next record in ms since the epoch; None if it has none waiting.
        told_at: when this was said, in seconds of a clock that does not jump.
    """

    at: int | None
    told_at: float


class Alignment:
    """Says how far in event time partitions may go.

    >>> alignment = Alignment(ahead=600_000, patience=60.0)
    >>> alignment.stands(0, 1_000_000, now=0.0)
    >>> alignment.stands(1, 5_000_000, now=0.0)
    >>> alignment.limit(now=1.0)
    1600000
    >>> alignment.stands(0, None, now=2.0)
    >>> alignment.limit(now=3.0)
    5600000

    Args:
        ahead: how far a partition may be ahead of the one that is furthest behind, in ms of event time.
        patience: how long a partition that says nothing is waited for, in seconds.
    """

    def __init__(self, ahead: int = AHEAD, patience: float = 60.0) -> None:
        self._ahead = ahead
        self._patience = patience
        self._places: dict[int, Place] = {}

    def stands(self, partition: int, at: int | None, now: float) -> None:
        """Note where a partition stands: the event time of its next record, None if none is waiting."""
        self._places[partition] = Place(at, now)

    def forget(self, partition: int) -> None:
        """Let go of a partition that is somebody else's."""
        self._places.pop(partition, None)

    def limit(self, now: float) -> int | None:
        """The event time up to which records may go now; None if nobody is to be waited for."""
        oldest = now - self._patience
        waiting = [place.at for place in self._places.values() if place.at is not None and place.told_at >= oldest]
        return min(waiting) + self._ahead if waiting else None
