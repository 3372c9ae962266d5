"""The chart alone, without what the rule learns: it knows the usual rate."""

from __future__ import annotations

from streams.detectors.bernoulli_cusum import BernoulliCusum


class PlainChart:
    """A Bernoulli CUSUM against one constant rate.

    Args:
        rate: the usual rate.
        ratio: R, the change that is looked for.
        limit: the threshold h, in nats.
    """

    __slots__ = ("_cusum", "_limit", "_rate", "_ratio")

    def __init__(self, rate: float, ratio: float, limit: float) -> None:
        self._cusum = BernoulliCusum()
        self._rate = rate
        self._ratio = ratio
        self._limit = limit

    def update(self, answered: bool) -> bool:
        """Take in one call; returns whether this is an alarm."""
        if self._cusum.update(0, answered, self._rate, self._ratio) < self._limit:
            return False
        self._cusum.reset()
        return True
