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
_Bucket = bytes | dict[int, int]


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


class Ring:
    """Counts by event time, read as 5 minutes, 1 hour, 24 hours or 7 days.

    Only buckets that hold something are kept, and only counts that are not zero. A bucket stays packed until it is
    touched, so loading and storing a busy number (all 228 buckets full) costs about 30 microseconds each. A bucket is
    dropped once the newest event time is 60 minutes or 168 hours past it. What is stored depends on the sum of what
    was added and on the newest time, never on the order.

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
        self._minutes: dict[int, _Bucket] = {}
        self._hours: dict[int, _Bucket] = {}

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
            _drop(self._minutes, at // MINUTE - MINUTES)
            if at // HOUR != newest // HOUR:
                _drop(self._hours, at // HOUR - HOURS)

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
        minutes, hours = self._minutes, self._hours
        for at, cell, amount in moved:
            newest = self.newest
            if newest is None or at > newest:
                self.advance(at)
                newest = at
            hour = at // HOUR
            if hour <= newest // HOUR - HOURS:
                whole = False
                continue
            bucket = hours.get(hour)
            if bucket.__class__ is not dict:
                bucket = hours[hour] = _open(bucket)
            bucket[cell] = bucket.get(cell, 0) + amount
            minute = at // MINUTE
            if minute > newest // MINUTE - MINUTES:
                bucket = minutes.get(minute)
                if bucket.__class__ is not dict:
                    bucket = minutes[minute] = _open(bucket)
                bucket[cell] = bucket.get(cell, 0) + amount
        return whole

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
            return _sum(self._minutes, as_of // MINUTE, _MINUTES_OF[span])
        return _sum(self._hours, as_of // HOUR, _HOURS_OF[span])

    def to_state(self) -> RingState:
        """What is stored: buckets and counts in ascending order, nothing that is zero."""
        return RingState(self.newest, _close(self._minutes), _close(self._hours))

    @classmethod
    def from_state(cls, state: RingState) -> Self:
        """A ring from what was stored; it takes the state's buckets over."""
        ring = cls()
        ring.newest = state.newest
        ring._minutes = state.minutes  # type: ignore[assignment]  # packed buckets are buckets
        ring._hours = state.hours  # type: ignore[assignment]  # as above
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


def _drop(buckets: dict[int, _Bucket], last: int) -> None:
    for gone in [index for index in buckets if index <= last]:
        del buckets[gone]


def _open(bucket: _Bucket | None) -> dict[int, int]:
    if bucket is None:
        return {}
    return bucket if isinstance(bucket, dict) else _bucket_decoder.decode(bucket)


def _close(buckets: dict[int, _Bucket]) -> dict[int, bytes]:
    packed: dict[int, bytes] = {}
    for index in sorted(buckets):
        bucket = buckets[index]
        if isinstance(bucket, bytes):
            packed[index] = bucket
            continue
        held = {cell: bucket[cell] for cell in sorted(bucket) if bucket[cell]}
        if held:
            packed[index] = _bucket_encoder.encode(held)
    return packed


def _sum(buckets: dict[int, _Bucket], last: int, count: int) -> Tally:
    totals = [0] * _CELLS
    first = last - count
    for index, bucket in buckets.items():
        if first < index <= last:
            for cell, amount in _open(bucket).items():
                totals[cell] += amount
    return Tally(*totals)
