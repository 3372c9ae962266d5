"""How many calls an ordinary bucket may hold: the upper limit of a negative binomial count."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, exp, floor, lgamma, log

STEP = log(1.02)
"""Means are rounded up to the next of a ladder with steps of 2 %, so that limits can be kept; it is far less than the
hour-of-week mean is known by."""

_LEAST_MEAN = 1e-3
# Terms this far below the tail no longer change it in the digits that matter.
_NEGLIGIBLE = 1e-9


def limit_of(mean: float, dispersion: float, tail: float) -> int:
    """The smallest n with P(X > n) < tail, for the mean rounded up by at most 2 %.

    Args:
        mean: the expected count.
        dispersion: alpha of var = mu + alpha mu^2 (NB2).
        tail: the chance that an ordinary count passes the limit.

    >>> limit_of(10.0, 0.02, 1e-6), limit_of(0.0, 0.02, 1e-6)
    (32, 1)
    """
    return _limit(ceil(log(max(mean, _LEAST_MEAN)) / STEP - 1e-9), dispersion, tail)


@lru_cache(maxsize=8192)
def _limit(rung: int, dispersion: float, tail: float) -> int:
    return exact_limit(exp(rung * STEP), dispersion, tail)


def exact_limit(mean: float, dispersion: float, tail: float) -> int:
    """The smallest n with P(X > n) < tail, for exactly this mean.

    The probabilities follow from one another by P(n+1) / P(n) = (n + r) / (n + 1) (1 - p) with r = 1 / alpha and
    p = r / (r + mu), from the mean on in log space; the tail is summed from its far end, where nothing cancels. The
    limit is never below the mean.

    >>> exact_limit(10.0, 0.02, 1e-6)
    31
    """
    size = 1 / dispersion
    miss = mean / (size + mean)
    start = floor(mean)
    log_term = lgamma(start + size) - lgamma(start + 1) - lgamma(size) + size * log(1 - miss) + start * log(miss)
    terms: list[float] = []
    count = start
    while True:
        term = exp(log_term)
        terms.append(term)
        if term < tail * _NEGLIGIBLE and count > mean:
            break
        log_term += log((count + size) / (count + 1) * miss)
        count += 1
    beyond = 0.0
    for index in range(len(terms) - 1, -1, -1):
        # `beyond` is P(X > start + index).
        if beyond + terms[index] >= tail:
            return start + index
        beyond += terms[index]
    return start
