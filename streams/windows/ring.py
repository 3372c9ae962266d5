"""Rings of event-time buckets: 60 of a minute and 168 of an hour."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self

import msgspec

from schemas.times import HOUR, MINUTE
from streams.windows.packing import pack, unpack
from streams.windows.tally import Cell, Change, Tally

MINUTES = 60
HOURS = 168
VERSION = 1

_CELLS = len(Cell)


class Span(StrEnum):
    """The windows a ring can be read as."""

    FIVE_MINUTES = "5m"
    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"


_MINUTES_OF = {Span.FIVE_MINUTES: 5, Span.HOUR: 60}
_HOURS_OF = {Span.DAY: 24, Span.WEEK: 168}


class RingState(msgspec.Struct, array_like=True):
    """A ring as it is stored.

    Attributes:
        newest: the highest event time the ring has seen; None if it is empty.
        minutes: packed buckets by minutes since the epoch.
        hours: packed buckets by hours since the epoch.
    """

    newest: int | None
    minutes: dict[int, bytes]
    hours: dict[int, bytes]


_decoder = msgspec.msgpack.Decoder(RingState)
_bucket_encoder = msgspec.msgpack.Encoder()
_bucket_decoder = msgspec.msgpack.Decoder(dict[int, int])


class _Buckets:
    """Buckets of one length, packed but for those touched since they were last packed.

    Attributes:
        packed: in ascending order.
        open: counts by cell; what `packed` holds of such a bucket, if anything, is out of date.
    """

    __slots__ = ("open", "packed")

    def __init__(self, packed: dict[int, bytes]) -> None:
        self.packed = packed
        self.open: dict[int, dict[int, int]] = {}

    def take(self, index: int) -> dict[int, int]:
        """Open a bucket that is not open yet."""
        packed = self.packed.get(index)
        bucket = self.open[index] = {} if packed is None else _bucket_decoder.decode(packed)
        return bucket

    def drop(self, last: int) -> None:
        """Let go of the buckets up to `last`."""
        packed, opened = self.packed, self.open
        while packed and (first := next(iter(packed))) <= last:
            del packed[first]
        for gone in [index for index in opened if index <= last]:
            del opened[gone]

    def pack(self) -> dict[int, bytes]:
        """Close the open buckets; give all, without counts that are zero."""
        packed, opened = self.packed, self.open
        ascending = True
        for index in sorted(opened):
            bucket = opened[index]
            held = {cell: bucket[cell] for cell in sorted(bucket) if bucket[cell]}
            if not held:
                packed.pop(index, None)
                continue
            ascending = ascending and (index in packed or index > next(reversed(packed), -1))
            packed[index] = _bucket_encoder.encode(held)
        opened.clear()
        if not ascending:
            self.packed = packed = dict(sorted(packed.items()))
        return packed

    def sum(self, last: int, count: int) -> Tally:
        """Add up the `count` buckets that end with `last`."""
        totals = [0] * _CELLS
        first = last - count
        for index in self.packed.keys() | self.open.keys():
            if first < index <= last:
                bucket = self.open.get(index)
                for cell, amount in (_bucket_decoder.decode(self.packed[index]) if bucket is None else bucket).items():
                    totals[cell] += amount
        return Tally(*totals)


class Ring:
    """Counts by event time, read as 5 minutes, 1 hour, 24 hours or 7 days.

    Only buckets that hold something are kept, and only counts that are not zero. A bucket is unpacked when it is
    touched and packed again when the ring is stored, so storing a busy number (all 228 buckets full) costs little more
    than the few buckets that changed. A bucket is dropped once the newest event time is 60 minutes or 168 hours past
    it. What is stored depends on the sum of what was added and on the newest time, never on the order.

    >>> ring = Ring()
    >>> ring.add(0, Cell.ATTEMPTS, 1)
    True
    >>> ring.add(6 * MINUTE, Cell.ATTEMPTS, 2)
    True
    >>> ring.read(Span.FIVE_MINUTES, 6 * MINUTE).attempts, ring.read(Span.HOUR, 6 * MINUTE).attempts
    (2, 3)
    """

    __slots__ = ("_hours", "_minutes", "newest")

    def __init__(self) -> None:
        self.newest: int | None = None
        self._minutes = _Buckets({})
        self._hours = _Buckets({})

    def advance(self, at: int) -> None:
        """Let the newest time be at least `at`, and drop the buckets that leave the ring."""
        newest = self.newest
        if newest is None:
            self.newest = at
            return
        if at <= newest:
            return
        self.newest = at
        if at // MINUTE != newest // MINUTE:
            self._minutes.drop(at // MINUTE - MINUTES)
            if at // HOUR != newest // HOUR:
                self._hours.drop(at // HOUR - HOURS)

    def add(self, at: int, cell: int, amount: int) -> bool:
        """Move one count.

        Args:
            at: the event time it belongs to, in milliseconds since the epoch.
            cell: which count.
            amount: how far it moves.

        Returns:
            False if `at` is older than the ring and nothing was counted.
        """
        return self.add_all(((at, cell, amount),))

    def add_all(self, moved: Iterable[Change]) -> bool:
        """Move several counts; False if one of them was older than the ring and so not counted."""
        whole = True
        moment: int | None = None
        hour: dict[int, int] | None = None
        minute: dict[int, int] | None = None
        for at, cell, amount in moved:
            # All but the attempt of a call move at its end: the buckets are looked up once.
            if at != moment:
                moment = at
                hour, minute = self._buckets_of(at)
            if hour is None:
                whole = False
                continue
            hour[cell] = hour.get(cell, 0) + amount
            if minute is not None:
                minute[cell] = minute.get(cell, 0) + amount
        return whole

    def _buckets_of(self, at: int) -> tuple[dict[int, int] | None, dict[int, int] | None]:
        """The hour and the minute of a time, open; None for what has left the ring."""
        newest = self.newest
        if newest is None or at > newest:
            self.advance(at)
            newest = at
        index = at // HOUR
        if index <= newest // HOUR - HOURS:
            return None, None
        hour = self._hours.open.get(index)
        if hour is None:
            hour = self._hours.take(index)
        index = at // MINUTE
        if index <= newest // MINUTE - MINUTES:
            return hour, None
        minute = self._minutes.open.get(index)
        return hour, self._minutes.take(index) if minute is None else minute

    def read(self, span: Span, as_of: int) -> Tally:
        """Sum the bucket of `as_of` and those before it that the span covers.

        Args:
            span: how far back. 5 minutes and 1 hour are whole minutes, 24 hours and 7 days whole hours, each with the
                running one as its last.
            as_of: the event time to read at, in milliseconds since the epoch.

        Returns:
            The sum over what the ring still holds.
        """
        if span in _MINUTES_OF:
            return self._minutes.sum(as_of // MINUTE, _MINUTES_OF[span])
        return self._hours.sum(as_of // HOUR, _HOURS_OF[span])

    def to_state(self) -> RingState:
        """What is stored: buckets and counts in ascending order, nothing that is zero.

        The buckets are the ring's own: write them before the ring changes.
        """
        return RingState(self.newest, self._minutes.pack(), self._hours.pack())

    @classmethod
    def from_state(cls, state: RingState) -> Self:
        """A ring from what was stored; it takes the state's buckets over."""
        ring = cls()
        ring.newest = state.newest
        ring._minutes = _Buckets(state.minutes)
        ring._hours = _Buckets(state.hours)
        return ring

    def to_bytes(self) -> bytes:
        """The ring as bytes, version first."""
        return pack(VERSION, self.to_state())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The ring from its bytes.

        Raises:
            UnreadableStateError: the bytes are damaged, or of another version.
        """
        return cls.from_state(unpack(VERSION, _decoder, data, "ring"))
