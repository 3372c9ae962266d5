"""Limits on the calls of five minutes that do not know how today is going: one limit per weekday and time of day."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, exp, lgamma, log, sqrt

from schemas.rules import VolumeSpike
from schemas.times import WEEK
from streams.detectors.negative_binomial import limit_of

Limit = Callable[[Sequence[int]], int]
"""From a slot's past counts to the highest count that is not yet too many."""


def poisson_limit(counts: Sequence[int], tail: float) -> int:
    """The smallest n with P(X > n) < tail for a Poisson count of the slot's mean.

    >>> poisson_limit([10], 1e-3)
    21
    """
    mean = max(sum(counts) / len(counts), 0.01)
    # Far enough beyond the mean that the rest of the tail is nothing.
    count = ceil(mean + 12 * sqrt(mean) + 20)
    beyond = 0.0
    while True:
        term = exp(count * log(mean) - mean - lgamma(count + 1))
        if beyond + term >= tail:
            return count
        beyond += term
        count -= 1


def three_sigma(counts: Sequence[int]) -> int:
    """The slot's mean and three standard deviations.

    >>> three_sigma([8, 10, 12])
    16
    """
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / max(len(counts) - 1, 1)
    return int(mean + 3 * sqrt(variance))


def limits_by_slot(days: Sequence[dict[int, int]], limit: Limit) -> dict[int, int]:
    """A limit for every slot of the week that was seen."""
    slots: dict[int, list[int]] = {}
    for day in days:
        for at, calls in day.items():
            slots.setdefault(at % WEEK, []).append(calls)
    return {slot: limit(counts) for slot, counts in slots.items()}


def all_limits(days: Sequence[dict[int, int]], settings: VolumeSpike) -> dict[str, dict[int, int]]:
    """Each kind of limit by its name, at the rule's own tail where it has one."""

    def negative_binomial(counts: Sequence[int]) -> int:
        return limit_of(sum(counts) / len(counts), settings.dispersion, settings.tail_probability)

    return {
        "negative binomial without today's level": limits_by_slot(days, negative_binomial),
        "Poisson": limits_by_slot(days, lambda counts: poisson_limit(counts, settings.tail_probability)),
        "mean + 3 sd": limits_by_slot(days, three_sigma),
    }
