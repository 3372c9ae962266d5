"""Calls of one campaign's numbers: the same for every detector, from fixed seeds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

NUMBERS = 40
CALLS_A_DAY = 60
RATE = 0.35
FIRST_HOUR, HOURS = 9, 12
WARM_UP_DAYS = 14

SWING = 0.07
"""Answer rates go from 28 to 42 % through the day."""

START = 1_793_577_600_000
"""Monday 2026-11-02T00:00:00Z."""

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000


class Day(msgspec.Struct, frozen=True):
    """One day's calls of the campaign, in the order of their ends.

    Attributes:
        at: when each ended, in milliseconds since the epoch.
        number: the index of its number.
        usual: the chance that it would be answered if nothing had happened.
        answered: whether it was.
    """

    at: NDArray[np.int64]
    number: NDArray[np.int64]
    usual: NDArray[np.float64]
    answered: NDArray[np.bool_]


def hourly(hour: int) -> float:
    """The usual rate in an hour of day.

    >>> round(hourly(9), 2), round(hourly(12), 2), round(hourly(18), 2)
    (0.35, 0.42, 0.28)
    """
    return _rates()[hour - FIRST_HOUR]


def a_day(seed: int, day: int, odds: Mapping[int, float] | float = 1.0, spread: float = 0.0) -> Day:
    """Draw one day.

    The hours of the day get a random share of its calls each day, so the day's own rate moves with the mix. The same
    seed and day give the same calls and the same luck whatever the odds.

    Args:
        seed: of the random numbers.
        day: days since the start, which is a Monday.
        odds: by how much the odds of an answer differ from the usual: for all numbers, or by number.
        spread: the intraclass correlation rho of a number's day: its level is drawn from a beta distribution with
            the variance rho p (1 - p).
    """
    random = np.random.default_rng([seed, day])
    calls = NUMBERS * CALLS_A_DAY
    weights = random.exponential(size=HOURS)
    hours = np.repeat(np.arange(HOURS), random.multinomial(calls, weights / weights.sum()))
    within = np.sort(hours * _HOUR + random.integers(0, _HOUR, calls))
    number = random.integers(0, NUMBERS, calls)
    luck = random.random(calls)
    usual = np.asarray(_rates())[hours]
    ratio = np.full(NUMBERS, odds) if isinstance(odds, float) else _by_number(odds)
    changed = ratio[number] * usual / (1 - usual + ratio[number] * usual)
    if spread:
        size = (1 - spread) / spread
        level = random.beta(RATE * size, (1 - RATE) * size, NUMBERS) / RATE
        changed = np.minimum(changed * level[number], 0.95)
    return Day(START + day * _DAY + FIRST_HOUR * _HOUR + within, number, usual, luck < changed)


def _by_number(odds: Mapping[int, float]) -> NDArray[np.float64]:
    ratio = np.ones(NUMBERS)
    for number, value in odds.items():
        ratio[number] = value
    return ratio


@lru_cache(maxsize=1)
def _rates() -> tuple[float, ...]:
    return tuple(RATE + SWING * float(np.sin(2 * np.pi * hour / HOURS)) for hour in range(HOURS))
