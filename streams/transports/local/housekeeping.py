"""What becomes due by itself: dropping what is past its retention, and compaction where enough has been superseded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from schemas.times import HOUR, MINUTE, SECOND
from schemas.topics import Cleanup
from streams.transports.local.compaction import MINIMUM_LAG, compact_partition
from streams.transports.local.partitions import PartitionState, TopicState
from streams.transports.local.retention import expire_partition
from streams.transports.local.storage import Storage

# Looking costs a comparison per partition; retention is counted in days.
_RETENTION_INTERVAL = MINUTE
_COMPACTION_INTERVAL = 10 * SECOND
# Even a quiet topic is gone through this often, so that superseded records and old tombstones do not stay for good.
_QUIET_INTERVAL = HOUR
# A pass rewrites what the one before has left, so it waits until as much again is new (Apache Kafka's dirty ratio of
# one half), and at least this much, or small topics would be rewritten all the time.
_NEW_RECORDS = 10_000

Moved = Callable[[PartitionState, int], None]


def expire_steps(storage: Storage, topic: TopicState, now: int, moved: Moved) -> Iterator[None]:
    """Drop what is past the topic's retention at `now` (ms since the epoch), one bounded step for each `next`."""
    if topic.retention is None:
        return
    for partition in topic.partitions:
        yield from expire_partition(storage, partition, now - topic.retention, moved)


def compact_steps(storage: Storage, topic: TopicState, now: int, moved: Moved) -> Iterator[None]:
    """Compact all partitions of a topic at `now` (ms since the epoch), one bounded step for each `next`."""
    for partition in topic.partitions:
        yield from compact_partition(storage, partition, now, lambda _: True, moved)


class Housekeeping:
    """Knows when each kind of chore was last looked for; times in ms since the epoch."""

    def __init__(self, now: int) -> None:
        self._retention_due = now
        self._compaction_due = now + _COMPACTION_INTERVAL
        self._quiet_due = now + _QUIET_INTERVAL

    def due(
        self, storage: Storage, topics: Sequence[TopicState], now: int, moved: Moved
    ) -> Iterator[tuple[str, Iterator[None]]]:
        """Give the name and the steps of each chore that is due."""
        if now >= self._retention_due:
            self._retention_due = now + _RETENTION_INTERVAL
            for topic in topics:
                if topic.retention is not None:
                    yield f"retention of {topic.name}", expire_steps(storage, topic, now, moved)
        if now >= self._compaction_due:
            self._compaction_due = now + _COMPACTION_INTERVAL
            quiet = now >= self._quiet_due
            if quiet:
                self._quiet_due = now + _QUIET_INTERVAL
            for topic in topics:
                if topic.cleanup is Cleanup.COMPACT:
                    for partition in topic.partitions:
                        enough = 1 if quiet else max(_NEW_RECORDS, partition.kept or 0)
                        if partition.appended_by(now - MINIMUM_LAG) - partition.cleaned >= enough:
                            yield (
                                f"compaction of {topic.name}, partition {partition.number}",
                                compact_partition(storage, partition, now, bool, moved),
                            )
