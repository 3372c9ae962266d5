"""An interval around a share, for people to read; no rule decides by it."""

from __future__ import annotations

from math import sqrt

from schemas.alert import Scalar

Z_95 = 1.959963984540054
"""The normal quantile of a two-sided interval of 95 %."""


def wilson_interval(successes: float, trials: float, z: float = Z_95) -> tuple[float, float] | None:
    """Wilson's score interval of a share.

    Args:
        successes: how many of the trials succeeded.
        trials: how many there were.
        z: the normal quantile of the interval; 95 % by default.

    Returns:
        The lower and the upper end, from 0 to 1; None without trials.

    References:
        Wilson, E. B. (1927), Journal of the American Statistical Association 22:209-212.

    >>> [round(end, 4) for end in wilson_interval(3, 10)]
    [0.1078, 0.6032]
    """
    if trials <= 0:
        return None
    share = successes / trials
    middle = successes + z * z / 2
    spread = z * sqrt(trials * share * (1 - share) + z * z / 4)
    whole = trials + z * z
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def shown_interval(successes: float, trials: float) -> list[Scalar] | None:
    """The interval of 95 % as evidence shows it, to four digits; None without trials.

    >>> shown_interval(3, 10)
    [0.1078, 0.6032]
    """
    interval = wilson_interval(successes, trials)
    return None if interval is None else [round(end, 4) for end in interval]
