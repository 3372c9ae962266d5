"""What `abandonment` counts: calls that a person answered, by the law's 30-day blocks and by the last 30 days."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from schemas.times import DAY, HOUR
from streams.detectors.detector import DetectorState

BLOCK: Final = 30 * DAY
"""The law's period."""

ROLLING_DAYS: Final = 30
"""The early warning looks at as many days as the law's period has."""

GRACE: Final = HOUR
"""How long after a block's end it is judged: what a call came to may be told half an hour after it has ended."""

Counts: TypeAlias = tuple[int, int]
"""Calls answered by a person, and those of them that were abandoned."""


class AbandonmentState(DetectorState, array_like=True):
    """What is kept of a campaign.

    Attributes:
        start: when block 0 begins, in milliseconds since the epoch; None before the first call.
        judge_at: when the next block is judged; None while no block has calls.
        judged: the last block that was judged; None before the first.
        newest: event time of the newest fact.
        blocks: counts of blocks that are not judged yet, by their number.
        days: counts of the last 30 days, by days since the epoch.
        rolling: whether the alert under way is the early warning of the rolling days.

    >>> state = AbandonmentState()
    >>> state.begin(0)
    >>> for day in range(45):
    ...     state.add(day * DAY, 10, 1)
    >>> state.window(44 * DAY), state.pop_ended(30 * DAY), state.pop_ended(30 * DAY + HOUR), state.blocks
    ((300, 30), None, (0, (300, 30)), {1: (150, 15)})
    """

    start: int | None = None
    judge_at: int | None = None
    judged: int | None = None
    newest: int = 0
    blocks: dict[int, Counts] = msgspec.field(default_factory=dict)
    days: dict[int, Counts] = msgspec.field(default_factory=dict)
    rolling: bool = False

    def begin(self, start: int) -> None:
        """Fix where block 0 begins; where that is new, blocks are counted anew."""
        if start != self.start:
            self.start, self.judge_at, self.judged, self.blocks = start, None, None, {}

    def block_of(self, at: int) -> int:
        """The number of the block that a time lies in."""
        assert self.start is not None
        return (at - self.start) // BLOCK

    def border(self, block: int) -> int:
        """When a block begins, in milliseconds since the epoch; the one before it ends then."""
        assert self.start is not None
        return self.start + block * BLOCK

    def add(self, at: int, answered: int, abandoned: int) -> None:
        """Count calls, or take them back.

        Args:
            at: when they were attempted, in milliseconds since the epoch.
            answered: how many a person answered; negative takes back.
            abandoned: how many of them were abandoned.
        """
        self.newest = max(self.newest, at)
        _add(self.days, at // DAY, answered, abandoned)
        oldest = self.newest // DAY - ROLLING_DAYS
        if min(self.days) <= oldest:
            self.days = {day: counts for day, counts in self.days.items() if day > oldest}
        block = self.block_of(at)
        if self.judged is None or block > self.judged:
            _add(self.blocks, block, answered, abandoned)
            self._set_judgement()

    def window(self, at: int) -> Counts:
        """The counts of the 30 days up to the one that a time lies in."""
        oldest = at // DAY - ROLLING_DAYS
        counts = [counts for day, counts in self.days.items() if day > oldest]
        return sum(answered for answered, _ in counts), sum(abandoned for _, abandoned in counts)

    def pop_ended(self, at: int) -> tuple[int, Counts] | None:
        """Take out the oldest block that is to be judged by a time: its number and counts; None if there is none."""
        if self.judge_at is None or at < self.judge_at:
            return None
        block = min(self.blocks)
        counts = self.blocks.pop(block)
        self.judged = block
        self._set_judgement()
        return block, counts

    def _set_judgement(self) -> None:
        self.judge_at = self.border(min(self.blocks) + 1) + GRACE if self.blocks else None


def _add(counts: dict[int, Counts], key: int, answered: int, abandoned: int) -> None:
    before = counts.get(key, (0, 0))
    # What is taken back may have been counted before the counts began anew.
    counts[key] = max(before[0] + answered, 0), max(before[1] + abandoned, 0)
