"""Which topics and partitions there are, and which partition a record goes to."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType

from schemas.log import NewRecord
from schemas.topics import Cleanup
from streams.transports.local.errors import PartitionCountError
from streams.transports.local.partitioner import partition_for
from streams.transports.local.partitions import PartitionState, TopicState
from streams.transports.local.storage import Storage

# Other buffers would be written and come back as something else.
_CONTENT = {bytes, NoneType}


class Directory:
    """All topics of an open log; read from any thread, changed in the writer's alone.

    Args:
        storage: the file that the topics are kept in.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._topics: Mapping[str, TopicState] = storage.load_topics()

    def all(self) -> list[TopicState]:
        """Give all topics."""
        return list(self._topics.values())

    def topic(self, name: str) -> TopicState:
        """Give a topic.

        Raises:
            KeyError: no such topic.
        """
        topic = self._topics.get(name)
        if topic is None:
            raise KeyError(f"no topic {name!r} in this log; create it first")
        return topic

    def partition(self, topic: str, number: int) -> PartitionState:
        """Give a partition of a topic.

        Raises:
            KeyError: no such topic or partition.
        """
        partitions = self.topic(topic).partitions
        if not 0 <= number < len(partitions):
            raise KeyError(f"topic {topic!r} has partitions 0 to {len(partitions) - 1}, not {number}")
        return partitions[number]

    def is_as(self, name: str, partitions: int, cleanup: Cleanup, retention: int | None) -> bool:
        """Tell whether a topic is there just so.

        Raises:
            PartitionCountError: it is there with another number of partitions.
        """
        topic = self._topics.get(name)
        if topic is None:
            return False
        if len(topic.partitions) != partitions:
            raise PartitionCountError(
                f"topic {name} has {len(topic.partitions)} partitions, not {partitions}: a key's records must stay in "
                f"one partition; set {len(topic.partitions)} again, or begin with a new log"
            )
        return (topic.cleanup, topic.retention) == (cleanup, retention)

    def make(self, name: str, partitions: int, cleanup: Cleanup, retention: int | None) -> None:
        """Make a topic durable, or change the one that is there."""
        if self.is_as(name, partitions, cleanup, retention):
            return
        topic = self._topics.get(name)
        if topic is None:
            topic = self._storage.save_topic(name, partitions, cleanup, retention)
            # A new dictionary, because other threads may be going through this one.
            self._topics = {**self._topics, name: topic}
        else:
            self._storage.change_topic(topic, cleanup, retention)
            topic.cleanup = cleanup
            topic.retention = retention

    def target(self, record: NewRecord) -> PartitionState:
        """Choose the partition of a record: its own, else by its key's hash, else each in turn.

        Raises:
            KeyError: no such topic or partition.
            TypeError: a key, value or header that is not bytes.
            ValueError: a record without a key in a compacted topic.
        """
        topic, key, value = self.topic(record.topic), record.key, record.value
        if not {type(key), type(value)} <= _CONTENT:
            raise TypeError(f"topic {topic.name!r} takes bytes or None as key and value; encode them first")
        for name, content in record.headers:
            if (type(name), type(content)) != (str, bytes):
                raise TypeError(f"topic {topic.name!r} takes headers of text and bytes; encode {name!r} first")
        if key is None and topic.cleanup is Cleanup.COMPACT:
            raise ValueError(f"topic {topic.name!r} is compacted by key; give the record a key")
        if record.partition is not None:
            return self.partition(topic.name, record.partition)
        if key is not None:
            return topic.partitions[partition_for(key, len(topic.partitions))]
        topic.turn = (topic.turn + 1) % len(topic.partitions)
        return topic.partitions[topic.turn]
