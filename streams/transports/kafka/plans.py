"""What each topic in Apache Kafka must be: partitions, copies and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from schemas.settings import Settings
from schemas.times import DAY, HOUR, MINUTE
from schemas.topics import TOPICS, Cleanup, Topic

# One may be lost while another is down for maintenance.
_COPIES = 3
# With three copies one broker may be away and every append still lies on two disks. With fewer copies a second disk
# can't be asked for without stopping all appends whenever one broker is away.
_COPIES_FOR_TWO_IN_SYNC = 3

# An Event Streams body may be 4 MiB, and is kept with its parameters and as JSON, which escapes some characters.
_MESSAGE_BYTES = 8 * 1024 * 1024
_NO_LIMIT = -1

# The newest segment is never compacted, and a restart reads it whole: a tenth of a second at this size.
_SEGMENT_BYTES = 32 * 1024 * 1024
# A quiet topic never fills a segment; without this, its old states would stay for a week.
_SEGMENT_TIME = 30 * MINUTE
# A restart reads at most a quarter more than the states themselves. Half as much would double what compaction writes.
_DIRTY_RATIO = 0.2
# A worker that was taken for dead may still write an old state after its successor wrote a newer one. Whoever reads
# tells them apart, so long as both are there; an hour is far beyond any session.
_COMPACT_AFTER = HOUR
# What was removed is to be gone from disk soon, however small its share of the log.
_COMPACT_WITHIN = DAY
# Whoever reads from the beginning must meet the tombstone of each state that was met; no restart takes a day.
_TOMBSTONES_STAY = DAY


class PlannedTopic(msgspec.Struct, frozen=True):
    """What a topic must be.

    Attributes:
        name: its name in the log.
        partitions: how many; can't be changed once there are data, as keys would move.
        copies: the replication factor.
        configs: Kafka's settings of a topic, by their name.
    """

    name: str
    partitions: int
    copies: int
    configs: Mapping[str, str]


AT_LEAST: Final = frozenset({"retention.ms", "retention.bytes", "max.message.bytes", "min.compaction.lag.ms"})
"""Settings that somebody may raise; what is above the plan is left as it is."""

REQUIRED: Final = AT_LEAST | {
    "min.insync.replicas",
    "cleanup.policy",
    "message.timestamp.type",
    "unclean.leader.election.enable",
}
"""Settings without which records are refused, lost or misread. The others are about speed and space."""


def plan(settings: Settings, changelogs: Sequence[str], brokers: int) -> list[PlannedTopic]:
    """Say what every topic and changelog must be.

    Args:
        settings: partitions and replication factor.
        changelogs: names of the changelogs, which are compacted.
        brokers: how many the cluster has; by default there are no more copies than brokers.
    """
    copies = settings.kafka.replication_factor or min(_COPIES, brokers)
    compacted = [Topic(name, "as its table", Cleanup.COMPACT, None) for name in changelogs]
    return [
        PlannedTopic(topic.name, settings.partitions, copies, configs_of(topic, copies))
        for topic in (*TOPICS, *compacted)
    ]


def configs_of(topic: Topic, copies: int) -> dict[str, str]:
    """Give Kafka's settings of a topic that has so many copies."""
    configs = {
        "cleanup.policy": topic.cleanup.value,
        "retention.ms": str(_NO_LIMIT if topic.retention is None else topic.retention),
        # Time alone decides: a cluster's default by size could drop records that are to be kept.
        "retention.bytes": str(_NO_LIMIT),
        "min.insync.replicas": str(in_sync(copies)),
        "max.message.bytes": str(_MESSAGE_BYTES),
        # Stored as the sender compressed it; the brokers need not do it again.
        "compression.type": "producer",
        # Retention counts from when a record came into the log, so that old calls that are played in stay as long; and
        # no sender's wrong clock can have a record refused.
        "message.timestamp.type": "LogAppendTime",
        # A copy that lags has not all that was acknowledged; better no leader than that one.
        "unclean.leader.election.enable": "false",
    }
    if topic.retention is not None and topic.retention < DAY:
        # What is in the newest segment stays, however old.
        configs["segment.ms"] = str(topic.retention)
    if topic.cleanup is Cleanup.COMPACT:
        configs |= {
            "segment.bytes": str(_SEGMENT_BYTES),
            "segment.ms": str(_SEGMENT_TIME),
            "min.cleanable.dirty.ratio": str(_DIRTY_RATIO),
            "min.compaction.lag.ms": str(_COMPACT_AFTER),
            "max.compaction.lag.ms": str(_COMPACT_WITHIN),
            "delete.retention.ms": str(_TOMBSTONES_STAY),
        }
    return configs


def in_sync(copies: int) -> int:
    """How many copies must have a record before it is acknowledged."""
    return 2 if copies >= _COPIES_FOR_TWO_IN_SYNC else 1


def satisfies(name: str, found: str, planned: str) -> bool:
    """Whether a setting is as planned, or above where that is as good."""
    if found == planned:
        return True
    if name == "min.cleanable.dirty.ratio":
        return float(found) == float(planned)
    return name in AT_LEAST and _amount(found) >= _amount(planned)


def _amount(text: str) -> float:
    """A number of bytes or milliseconds, of which -1 is all there are."""
    return float("inf") if int(text) == _NO_LIMIT else int(text)
