"""Random draws built on `random.Random.random` alone.

Python promises the same sequence from version to version for that method only, so every distribution is made here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

Draw = Callable[[], float]
"""Gives the next number in [0, 1)."""

T = TypeVar("T")
Weighted = Sequence[tuple[T, float]]
"""Values with their shares; the shares sum to 1."""


def digest(*parts: object) -> bytes:
    """Hash the parts into 16 bytes, the same on every machine."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()


def stream(*parts: object) -> Draw:
    """Make an independent stream of draws that its parts name, the seed among them."""
    return Random(int.from_bytes(digest(*parts))).random  # noqa: S311 - a simulation, nothing to keep secret


def between(draw: Draw, low: float, high: float) -> float:
    """Draw evenly from [low, high)."""
    return low + (high - low) * draw()


def exponential(draw: Draw, mean: float) -> float:
    """Draw a waiting time."""
    return -mean * math.log(1.0 - draw())


def normal(draw: Draw) -> float:
    """Draw from the standard normal distribution, by Box and Muller."""
    return math.sqrt(-2.0 * math.log(1.0 - draw())) * math.cos(2.0 * math.pi * draw())


def lognormal(draw: Draw, median: float, sigma: float) -> float:
    """Draw a positive value whose logarithm is normal."""
    return median * math.exp(sigma * normal(draw))


def gamma(draw: Draw, variation: float) -> float:
    """Draw from a gamma distribution with mean 1, by Marsaglia and Tsang (2000).

    Args:
        draw: the stream.
        variation: the standard deviation; 0 gives 1, and it must be below 1.
    """
    if variation == 0.0:
        return 1.0
    shape = variation**-2
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(draw)
        v = (1.0 + c * x) ** 3
        if v > 0.0 and math.log(1.0 - draw()) < 0.5 * x * x + d - d * v + d * math.log(v):
            return d * v / shape


def pick(draw: Draw, choices: Weighted[T]) -> T:
    """Draw one of the values by its share."""
    left = draw()
    for value, share in choices:
        left -= share
        if left < 0.0:
            return value
    return choices[-1][0]
