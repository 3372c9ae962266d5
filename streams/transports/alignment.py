"""Alignment of a topic's partitions in time while there is a backlog.

Each partition of a topic is worked off at its own pace. After a standstill, or where a worker was away, one would be
hours ahead of the other, and what reads the results of both would see calls in an order that never was. So records are
handed out in the order in which they were appended, over all partitions: nothing goes that is newer than what another
partition may still have. That is exact among the partitions of one worker; those of other workers are known by their
word, and may be somewhat behind. Nobody waits for a partition that has stood still for long, as speaking late is worse
than speaking out of order.

The same idea is called watermark alignment in Apache Flink (FLIP-182).
"""

from __future__ import annotations

import msgspec

from schemas.times import MINUTE

AHEAD = MINUTE
"""How far this worker's partitions may be ahead of another worker's: below the lateness, so that what one worker does a
little later is late nowhere, and a backlog of this length is worked off in large slices."""

RECORDS_A_TURN = 10
"""How many records may go each time another worker's partition moves, however far ahead that is: where there are few
calls an hour, workers would else tell each other of every one."""

PATIENCE = 15.0
"""How long a partition that does not move is waited for, in seconds: a worker that is started anew needs less."""


class Place(msgspec.Struct, frozen=True):
    """Where a partition stands.

    Attributes:
        at: all up to this time may go, in ms since the epoch; None if nothing is waiting in it.
        since: since when it stands there, in seconds of a clock that does not jump.
        own: whether it is this worker's.
    """

    at: int | None
    since: float
    own: bool


class Alignment:
    """Says up to which time records may be handed out.

    >>> alignment = Alignment(ahead=60_000)
    >>> alignment.stands(0, 1_000_000, now=0.0, own=True)
    >>> alignment.stands(1, 5_000_000, now=0.0, own=True)
    >>> alignment.limit(now=1.0)
    1000000
    >>> alignment.stands(0, None, now=2.0, own=True)
    >>> alignment.stands(2, 4_000_000, now=2.0, own=False)
    >>> alignment.limit(now=3.0)
    4060000

    Args:
        ahead: how far own partitions may be ahead of others', in milliseconds.
        patience: how long a partition that does not move is waited for, in seconds.

    Attributes:
        turns: how often another worker's partition has moved.
    """

    def __init__(self, ahead: int = AHEAD, patience: float = PATIENCE) -> None:
        self._ahead = ahead
        self._patience = patience
        self._places: dict[int, Place] = {}
        self.turns = 0

    def stands(self, partition: int, at: int | None, now: float, *, own: bool) -> None:
        """Note where a partition stands: all up to this time may go; None if nothing is waiting in it."""
        before = self._places.get(partition)
        if before is None or before.at != at or before.own != own:
            self._places[partition] = Place(at, now, own)
            if not own:
                self.turns += 1

    def expect(self, partition: int, now: float, seconds: float) -> None:
        """Wait some seconds for word of another worker's partition that nothing is known of."""
        if partition not in self._places:
            self._places[partition] = Place(0, now - self._patience + seconds, own=False)

    def forget(self, partition: int) -> None:
        """Let go of what is known of a partition."""
        self._places.pop(partition, None)

    def limit(self, now: float, *, others: bool = True) -> int | None:
        """The time up to which records may go now, in ms since the epoch; None if nobody is to be waited for.

        Args:
            now: in seconds of a clock that does not jump.
            others: whether other workers' partitions count.
        """
        oldest = now - self._patience
        waited_for = [
            place.at if place.own else place.at + self._ahead
            for place in self._places.values()
            if place.at is not None and place.since >= oldest and (place.own or others)
        ]
        return min(waited_for, default=None)
