"""The evidence of unanswered calls in a row: the chance that all of them go unanswered."""

from __future__ import annotations

from math import log, log1p
from typing import Final

import msgspec

HIGHEST_RATE: Final = 0.95
"""An expected rate is kept below this, or a single call would be worth more than any estimate is."""


class UnansweredStreak(msgspec.Struct, array_like=True):
    """Unanswered calls in a row, each weighed by the chance that it would have been answered.

    Attributes:
        calls: how many there are.
        expected: the sum of their chances of an answer.
        evidence: the sum of ln(1 - p) over them: the log of the chance that all go unanswered.
        since: when the first of them ended, in milliseconds since the epoch; None without any.

    >>> streak = UnansweredStreak()
    >>> for call in range(22):
    ...     streak.add(call, 0.35)
    >>> round(streak.log10_chance, 2), streak.is_out_of_chance(1e-4, 11), streak.is_out_of_chance(1e-5, 11)
    (-4.12, True, False)
    """

    calls: int = 0
    expected: float = 0.0
    evidence: float = 0.0
    since: int | None = None

    def add(self, at: int, expected: float) -> None:
        """Take in one more unanswered call.

        Args:
            at: when it ended, in milliseconds since the epoch.
            expected: the chance that it would be answered, from 0 to 1.
        """
        if not 0.0 <= expected <= HIGHEST_RATE:
            expected = min(max(expected, 0.0), HIGHEST_RATE)
        self.calls += 1
        self.expected += expected
        self.evidence += log1p(-expected)
        if self.since is None:
            self.since = at

    def is_out_of_chance(self, chance: float, least_calls: int) -> bool:
        """Whether an ordinary number goes so long unanswered with less than this chance; it takes so many calls."""
        return self.calls >= least_calls and self.evidence < log(chance)

    @property
    def log10_chance(self) -> float:
        """The chance's power of ten, which does not run out of digits as the chance itself does."""
        return self.evidence / log(10)
