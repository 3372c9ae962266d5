"""What the process remembers of each topic and partition while the log is open."""

from __future__ import annotations

from collections import deque

from schemas.topics import Cleanup
from streams.transports.local.tail import Tail

# Marks closer than this are one: a minute's lag needs no finer view, and 10,000 commits a second need not be kept.
_MARK_INTERVAL = 5_000


class PartitionState:
    """One partition: `start` is the first offset left, `end` the next to be written; only committed records count.

    Attributes:
        identity: its number in the file.
        cleaned: compaction has been through all records below this offset.
        kept: how many records the last compaction left, None before the first in this process.
        marks: when (ms since the epoch) the records below an offset had been appended, oldest first.
    """

    __slots__ = ("cleaned", "end", "identity", "kept", "marks", "number", "start", "tail", "topic")

    def __init__(self, identity: int, topic: str, number: int, start: int, end: int, cleaned: int) -> None:
        self.identity = identity
        self.topic = topic
        self.number = number
        self.start = start
        self.end = end
        self.cleaned = cleaned
        self.kept: int | None = None
        self.marks: deque[tuple[int, int]] = deque()
        self.tail = Tail()

    def mark(self, appended: int) -> None:
        """Note that all records below the end had been appended by a time."""
        marks = self.marks
        if marks and appended // _MARK_INTERVAL == marks[-1][0] // _MARK_INTERVAL:
            marks.pop()
        marks.append((appended, self.end))

    def appended_by(self, moment: int) -> int:
        """Give the offset below which all records had been appended by a time; forget the marks before it."""
        marks = self.marks
        reached = self.cleaned
        while marks and marks[0][0] <= moment:
            reached = marks.popleft()[1]
        if reached > self.cleaned:
            marks.appendleft((moment, reached))
        return reached


class TopicState:
    """One topic; `turn` is the partition that the next record without a key goes to."""

    __slots__ = ("cleanup", "identity", "name", "partitions", "retention", "turn")

    def __init__(self, identity: int, name: str, cleanup: Cleanup, retention: int | None) -> None:
        self.identity = identity
        self.name = name
        self.cleanup = cleanup
        self.retention = retention
        self.partitions: list[PartitionState] = []
        self.turn = 0
