"""Rolling counts of one subject: a ring, a watermark, and what is late."""

from __future__ import annotations

from typing import NamedTuple, Self

import msgspec

from schemas.call import CallFact
from schemas.times import HOUR
from streams.windows.packing import pack, unpack
from streams.windows.ring import Ring, RingState, Span
from streams.windows.tally import Change, Tally, changes

VERSION = 1


class Applied(NamedTuple):
    """What one fact did.

    Attributes:
        changes: the counts that moved; empty if the fact is late, not counted, or changes nothing.
        late: whether the fact came too late and only the counter of late facts moved.
    """

    changes: list[Change]
    late: bool


_NOT_COUNTED = Applied([], late=False)


IDLE = 2 * HOUR
"""How far a partition may lie behind the newest and still be waited for; one further behind has no calls to tell of."""


class _State(msgspec.Struct, array_like=True):
    watermarks: dict[int, int]
    late: int
    ring: RingState


_decoder = msgspec.msgpack.Decoder(_State)


class RollingCounts:
    """The rolling counts of one number, campaign or account.

    A subject's facts come from several partitions of `callbacks`, each in its own order, and after a standstill one may
    be worked off hours before the other. So each partition has its own watermark: the highest event time seen of the
    subject in it.

    A fact is applied whole or not at all, and it is late if its partition's watermark, before this fact moves it, is
    more than the lateness past the time that the fact speaks of. That time is the earliest of the counts it changes, so
    that nothing is taken back which was itself too late to be counted; for the first fact of a call, which takes
    nothing back, it is the latest: a long call that only tells of its end is no late call. So whatever the order, as
    long as each fact comes before the watermark has passed its time by the lateness, all are applied, and the state is
    the same byte for byte.

    Args:
        lateness: how late a fact may be and still count, in milliseconds. Below 60 minutes, the length of the
            minute ring.

    Attributes:
        watermark: the highest event time seen; None before the first fact.
        watermarks: the same by partition of `callbacks`.
        late: how many facts came too late.
    """

    __slots__ = ("late", "lateness", "ring", "watermark", "watermarks")

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness
        self.watermark: int | None = None
        self.watermarks: dict[int, int] = {}
        self.late = 0
        self.ring = Ring()

    def apply(self, fact: CallFact) -> Applied:
        """Count one fact, and say which counts moved."""
        if not fact.counted:
            return _NOT_COUNTED
        partition = fact.origin.partition
        before = self.watermarks.get(partition)
        at = fact.at
        moved = changes(fact.before, fact.after)
        late = False
        if moved:
            if before is not None:
                floor = before - self.lateness
                # Tuples compare by their time first, so these are the latest and the earliest.
                late = (max(moved) if fact.before is None else min(moved))[0] < floor
            if late:
                self.late += 1
                moved = []
            else:
                self.ring.add_all(moved)
        if before is None or at > before:
            self.watermarks[partition] = at
            if self.watermark is None or at > self.watermark:
                self.watermark = at
                self.ring.advance(at)
        return Applied(moved, late)

    def settled(self) -> int | None:
        """The event time up to which no partition is expected to tell more, but for what is late.

        With one partition it is the watermark; else the lowest of those that are not idle.
        """
        if self.watermark is None or len(self.watermarks) == 1:
            return self.watermark
        floor = self.watermark - IDLE
        # A list, as a generator takes half as long again, and this runs for every call.
        return min([watermark for watermark in self.watermarks.values() if watermark >= floor])

    def read(self, span: Span, as_of: int | None = None) -> Tally:
        """Sum a window; see `Ring.read`.

        Args:
            span: how far back.
            as_of: the event time to read at; the watermark if None.
        """
        moment = self.watermark if as_of is None else as_of
        return Tally() if moment is None else self.ring.read(span, moment)

    def to_bytes(self) -> bytes:
        """The counts as bytes, version first."""
        return pack(VERSION, _State(dict(sorted(self.watermarks.items())), self.late, self.ring.to_state()))

    @classmethod
    def from_bytes(cls, data: bytes, lateness: int) -> Self:
        """The counts from their bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        state = unpack(VERSION, _decoder, data, "rolling counts")
        counts = cls(lateness)
        counts.watermarks = state.watermarks
        counts.watermark = max(state.watermarks.values(), default=None)
        counts.late = state.late
        counts.ring = Ring.from_state(state.ring)
        return counts
