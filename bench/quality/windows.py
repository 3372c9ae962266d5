"""Detectors with a window of the last calls: a bare threshold and Wilson's interval. Both know the usual rate."""

from __future__ import annotations

from collections import deque

from bench.quality.traffic import RATE
from streams.detectors.wilson import wilson_interval


class Window:
    """Alarm when the answers among the last calls are at most so many; then the window is emptied.

    Args:
        calls: how many calls the window holds; nothing is said before it is full.
        most: the highest count of answers that is an alarm.
    """

    __slots__ = ("_answers", "_calls", "_most", "_window")

    def __init__(self, calls: int, most: int) -> None:
        self._calls = calls
        self._most = most
        self._window: deque[bool] = deque()
        self._answers = 0

    def update(self, answered: bool) -> bool:
        """Take in one call; returns whether this is an alarm."""
        window = self._window
        window.append(answered)
        self._answers += answered
        if len(window) > self._calls:
            self._answers -= window.popleft()
        if len(window) < self._calls or self._answers > self._most:
            return False
        window.clear()
        self._answers = 0
        return True


def naive(calls: int, share: float) -> Window:
    """Alarm when the rate of the last calls is under a share of the usual one.

    >>> naive(30, 0.5)._most
    5
    """
    return Window(calls, max(answers for answers in range(-1, calls) if answers / calls < share * RATE))


def wilson(calls: int, z: float, share: float = 1.0) -> Window:
    """Alarm when the upper end of Wilson's interval of the last calls is under a share of the usual rate.

    The end grows with the answers, so this is a limit on their count.

    >>> wilson(50, 3.09)._most
    7
    """
    return Window(calls, max((n for n in range(calls) if _upper(n, calls, z) < share * RATE), default=-1))


def _upper(answers: int, calls: int, z: float) -> float:
    interval = wilson_interval(answers, calls, z)
    assert interval is not None
    return interval[1]
