"""What a stage is: records of its log in; emissions and changed state out; nothing else.

A stage is a function of its log. It knows no clock and does no I/O; whoever drives it (a Faust agent, or a replay in
memory) carries the effects out in the order that `streams.agents.effects` guarantees.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.log import NewRecord, Record
from schemas.topics import DEADLETTERS, Topic
from schemas.wire import UnreadableRecordError
from streams.windows.packing import UnreadableStateError

CACHED_STATES = 10_000
"""Decoded states that a stage keeps beside their bytes, all partitions together: at some 20 kB each, 200 MB at most."""

# A partition alone keeps this many, however many there are, so that the keys of a slice are not all decoded anew.
_LEAST_CACHED_STATES = 500


class StateChange(msgspec.Struct, frozen=True, gc=False):
    """One key's new state; None removes it. `partition` is that of the source, and of the changelog."""

    partition: int
    key: bytes
    value: bytes | None


class Effects(msgspec.Struct):
    """What a slice asks for: emissions first, then the state, in this order, then the source offset."""

    emissions: list[NewRecord] = []
    changes: list[StateChange] = []


class Stage(Protocol):
    """One step of the flow.

    Attributes:
        name: of its table of states.
        sources: the topics it reads.
    """

    name: str
    sources: tuple[Topic, ...]

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply a slice of one partition, in order of offset.

        Raises:
            PoisonError: one record can't be applied; nothing was changed, call again without it.
        """
        ...

    def forget(self) -> None:
        """Drop what was derived from the table's data, which is about to be restored or taken away."""
        ...


StageOf = Callable[[MutableMapping[bytes, bytes]], Stage]
"""Makes a stage over the states of one partition."""


class PoisonError(Exception):
    """One record of a slice can't be applied.

    Args:
        record: the record.
        reason: one line.
    """

    def __init__(self, record: Record, reason: str) -> None:
        super().__init__(f"{record.topic}[{record.partition}]@{record.offset}: {reason}")
        self.record = record
        self.reason = reason


def cached_of(partitions: int) -> int:
    """How many decoded states a stage keeps of each partition.

    Args:
        partitions: of the topic; one worker may have all of them.

    >>> cached_of(1), cached_of(12), cached_of(256)
    (10000, 833, 500)
    """
    return max(_LEAST_CACHED_STATES, CACHED_STATES // partitions)


def apply_each(
    records: Sequence[Record], apply: Callable[[Record], Iterable[NewRecord]], abandon: Callable[[], None]
) -> list[NewRecord]:
    """Apply records one by one; give all their emissions.

    Args:
        records: of one partition, in order of offset.
        apply: applies one record and gives what it asks to emit.
        abandon: undoes what was applied, should a record turn out to be poison.

    Raises:
        PoisonError: one record can't be applied; nothing was changed.
        UnreadableStateError: the state of a key can't be read; the program must not go on.
    """
    emissions: list[NewRecord] = []
    for record in records:
        try:
            emissions.extend(apply(record))
        except UnreadableStateError:
            # Not the record is bad but what was kept of its key: setting records aside would lose them one by one.
            raise
        except Exception as error:
            abandon()
            reason = str(error) if isinstance(error, UnreadableRecordError) else f"{type(error).__name__}: {error}"
            raise PoisonError(record, reason) from error
    return emissions


def process_all(stage: Stage, records: Sequence[Record]) -> Effects:
    """Apply a slice; records that can't be applied become dead letters and stop nobody."""
    remaining = list(records)
    whole = Effects([], [])
    while True:
        try:
            done = stage.process(remaining)
        except PoisonError as poison:
            # What came before it is applied for good, so that many such records cost no more than twice the work.
            place = remaining.index(poison.record)
            done = stage.process(remaining[:place])
            done.emissions.append(_dead_letter(poison))
            remaining = remaining[place + 1 :]
        else:
            remaining = []
        whole.emissions.extend(done.emissions)
        whole.changes.extend(done.changes)
        if not remaining:
            return whole


def _dead_letter(poison: PoisonError) -> NewRecord:
    record = poison.record
    letter = DeadLetter(
        source=f"{record.topic}[{record.partition}]@{record.offset}",
        reason=poison.reason,
        at=record.timestamp,
        key=record.key,
        body=record.value or b"",
    )
    return NewRecord(topic=DEADLETTERS.name, key=None, value=letter.encode(), timestamp=record.timestamp)


S = TypeVar("S")


class States(Generic[S]):
    """Decoded states over a table of bytes: read through, written once per touched key and slice.

    Args:
        data: the table's data, key to bytes.
        decode: reads a state from its key and bytes.
        encode: writes one.
        create: makes the state of a key that has none.
        cached: decoded states kept after a flush at most; see `cached_of`.
    """

    def __init__(
        self,
        data: MutableMapping[bytes, bytes],
        *,
        decode: Callable[[bytes, bytes], S],
        encode: Callable[[S], bytes],
        create: Callable[[bytes], S],
        cached: int,
    ) -> None:
        self._data = data
        self._cached = cached
        self._decode = decode
        self._encode = encode
        self._create = create
        self._cache: OrderedDict[bytes, S] = OrderedDict()
        self._touched: dict[bytes, None] = {}
        # With the last state of those that were changed before they were removed.
        self._removed: dict[bytes, S | None] = {}

    def get(self, key: bytes) -> S | None:
        """The state of a key, if there is one; to be passed to `touch` before it is changed."""
        found = self._cache.get(key)
        if found is not None:
            return found
        if key in self._removed:
            return None
        packed = self._data.get(key)
        if packed is None:
            return None
        state = self._cache[key] = self._decode(key, packed)
        return state

    def touch(self, key: bytes) -> S:
        """The state of a key, made if there is none, to be changed and written at the end of the slice."""
        state = self.get(key)
        if state is None:
            state = self._cache[key] = self._create(key)
            self._removed.pop(key, None)
        self._touched[key] = None
        return state

    def replace(self, key: bytes, state: S) -> S:
        """Put another state in a key's place, to be written at the end of the slice."""
        self._cache[key] = state
        self._touched[key] = None
        return state

    def remove(self, key: bytes) -> None:
        """Let go of a key at the end of the slice; what was changed of it before is written all the same."""
        last = self._cache.pop(key, None)
        self._removed[key] = last if key in self._touched else None
        self._touched.pop(key, None)

    def is_touched(self, key: bytes) -> bool:
        """Whether a key's state was changed since the last flush."""
        return key in self._touched

    def put_right(self, key: bytes, packed: bytes) -> None:
        """Put other bytes in a key's place, as if they had been there at the last flush."""
        self._data[key] = packed
        self._cache.pop(key, None)

    def flush(self, partition: int) -> tuple[list[StateChange], list[StateChange]]:
        """Write the touched states into the table; give the changes and the removals, each in order of touch.

        A crash may come between the two. So the last state of a removed key is among the changes, or the table would go
        back to the one before the slice.
        """
        changes = []
        for key in self._touched:
            packed = self._encode(self._cache[key])
            # What was touched last is dropped last; here, as most keys are touched many times a slice.
            self._cache.move_to_end(key)
            self._data[key] = packed
            changes.append(StateChange(partition, key, packed))
        removals = []
        for key, last in self._removed.items():
            if self._data.pop(key, None) is None:
                continue
            if last is not None:
                changes.append(StateChange(partition, key, self._encode(last)))
            removals.append(StateChange(partition, key, None))
        self._touched.clear()
        self._removed.clear()
        while len(self._cache) > self._cached:
            self._cache.popitem(last=False)
        return changes, removals

    def abandon(self) -> None:
        """Forget what was changed since the last flush."""
        self._cache.clear()
        self._touched.clear()
        self._removed.clear()

    def stored(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and their bytes as of the last flush."""
        return iter(self._data.items())
