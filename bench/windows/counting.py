"""Rolling counts of numbers as a stage of ringwatch: the rings of the stage of numbers, fed with calls."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Final

import msgspec

from bench.windows.calls import Windows
from schemas.log import Record
from schemas.times import MINUTE
from schemas.topics import CALLS, Topic
from streams.agents.stage import CACHED_STATES, Effects, States, apply_each
from streams.windows import Cell, Ring, Span
from streams.windows.packing import pack, unpack
from streams.windows.ring import MINUTES

_VERSION: Final = 1
# Cells are touched for every call; a member of an enumeration hashes many times slower than an integer.
_ATTEMPTS, _ANSWERED = int(Cell.ATTEMPTS), int(Cell.ANSWERED)


class Call(msgspec.Struct, frozen=True):
    """What is read of a record."""

    number: str
    at: int
    answered: bool


_decode = msgspec.json.Decoder(Call).decode


class _Packed(msgspec.Struct, array_like=True):
    applied: int
    ring: bytes


_packed = msgspec.msgpack.Decoder(_Packed)


class Counts:
    """A number's ring, and the offset of the last record applied to it."""

    __slots__ = ("applied", "ring")

    def __init__(self, applied: int, ring: Ring) -> None:
        self.applied = applied
        self.ring = ring

    def to_bytes(self) -> bytes:
        """The state as bytes, version first."""
        return pack(_VERSION, _Packed(self.applied, self.ring.to_bytes()))

    @classmethod
    def from_bytes(cls, data: bytes) -> Counts:
        """The state from its bytes."""
        packed = unpack(_VERSION, _packed, data, "rolling counts of a number")
        return cls(packed.applied, Ring.from_bytes(packed.ring))

    def windows(self) -> Windows:
        """Attempts and answered calls of every window of 5 minutes that the ring holds whole, by its start."""
        newest = self.ring.newest
        if newest is None:
            return {}
        last = newest // MINUTE
        found: Windows = {}
        for first in range(last - MINUTES + 1, last + 1):
            # A window is read at the last of its five minutes.
            tally = self.ring.read(Span.FIVE_MINUTES, (first + 4) * MINUTE)
            if tally.attempts:
                found[first * MINUTE] = tally.attempts, tally.answered_calls
        return found


class CountingStage:
    """Count attempts and answered calls by number."""

    def __init__(self, data: MutableMapping[bytes, bytes]) -> None:
        self.name = "numbers"
        self.sources: tuple[Topic, ...] = (CALLS,)
        self._states: States[Counts] = States(
            data,
            decode=lambda _, packed: Counts.from_bytes(packed),
            encode=Counts.to_bytes,
            create=lambda _: Counts(-1, Ring()),
            cached=CACHED_STATES,
        )

    def process(self, records: Sequence[Record]) -> Effects:
        """Apply calls of one partition, in order of offset."""
        emissions = apply_each(records, self._apply, self.forget)
        changes, removals = self._states.flush(records[0].partition)
        return Effects(emissions, [*changes, *removals])

    def _apply(self, record: Record) -> tuple[()]:
        call = _decode(record.value or b"")
        state = self._states.touch(record.key or b"")
        if record.offset > state.applied:
            state.applied = record.offset
            attempt = (call.at, _ATTEMPTS, 1)
            state.ring.add_all((attempt, (call.at, _ANSWERED, 1)) if call.answered else (attempt,))
        return ()

    def forget(self) -> None:
        """Drop what was derived from the stored states."""
        self._states.abandon()
