"""Rolling state: pure functions of what is fed in, without a clock, input or output."""

from __future__ import annotations

from streams.windows.hour_of_week_rate import HourOfWeekRate
from streams.windows.packing import UnreadableStateError
from streams.windows.ring import Ring, Span
from streams.windows.rolling import Applied, RollingCounts
from streams.windows.tally import Cell, Change, Tally, changes

__all__ = [
    "Applied",
    "Cell",
    "Change",
    "HourOfWeekRate",
    "Ring",
    "RollingCounts",
    "Span",
    "Tally",
    "UnreadableStateError",
    "changes",
]
