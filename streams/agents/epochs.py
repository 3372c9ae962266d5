"""Epochs: how a changelog's readers tell the states that hold from those of a worker that was taken for dead.

An epoch is the offset of the claim that a state was written under; see `streams.agents.owned_states`.
"""

from __future__ import annotations

from typing import Final

from schemas.log import Headers, Record

CLAIM_KEY: Final = b"\x00claim"
"""The key of claims; no state has it, as a stage's keys begin with a letter, a digit or a plus sign."""

FOUNDING_KEY: Final = b"\x00founded"
"""The key of the record that says that a partition of the changelog has been begun, and with what was there before."""

_NO_STATES: Final = frozenset({CLAIM_KEY, FOUNDING_KEY})
_EPOCH: Final = "epoch"
_EPOCH_BYTES: Final = 8


def header_of(epoch: int) -> Headers:
    """The header by which a state tells its epoch."""
    return ((_EPOCH, epoch.to_bytes(_EPOCH_BYTES, "big", signed=True)),)


def epoch_of(record: Record) -> int:
    """The claim that a state was written under; -1 for one of a version that wrote no claims."""
    for name, value in record.headers:
        if name == _EPOCH:
            return int.from_bytes(value, "big", signed=True)
    return -1


def is_stale(record: Record, epoch: int, current: int) -> bool:
    """Whether a state was written under an earlier claim, or under one of a changelog that is no more."""
    return epoch < current or epoch >= record.offset


class Epochs:
    """Tells states that hold from claims and stale states, for those who read changelogs in order of offset."""

    def __init__(self) -> None:
        self._epochs: dict[tuple[str, int], int] = {}

    def holds(self, record: Record) -> bool:
        """Whether a changelog's record is a state, or its end, that holds as of this record."""
        place = record.topic, record.partition
        if record.key == CLAIM_KEY:
            self._epochs[place] = record.offset
        if record.key in _NO_STATES:
            return False
        epoch = epoch_of(record)
        if is_stale(record, epoch, self._epochs.get(place, -1)):
            return False
        self._epochs[place] = epoch
        return True
