from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from streams.detectors.negative_binomial import exact_limit, limit_of
from streams.detectors.wilson import wilson_interval


def brute_limit(mean: Fraction, dispersion: Fraction, tail: Fraction) -> int:
    """The smallest n with P(X > n) < tail, in exact fractions; 1 / dispersion is whole."""
    size = int(1 / dispersion)
    miss = mean / (size + mean)
    below, n = Fraction(0), 0
    while True:
        below += comb(n + size - 1, n) * (1 - miss) ** size * miss**n
        if 1 - below < tail:
            return n
        n += 1


@pytest.mark.parametrize("mean", ["0.05", "0.7", "3", "10", "47.5"])
@pytest.mark.parametrize("tail", ["0.01", "0.000001", "0.000000000001"])
def test_limit_is_exact(mean: str, tail: str) -> None:
    """The limit is that of exact arithmetic, however small the tail."""
    wanted = brute_limit(Fraction(mean), Fraction(1, 50), Fraction(tail))
    assert exact_limit(float(mean), 0.02, float(tail)) == wanted


def test_rounded_mean_never_lowers_the_limit() -> None:
    """The kept limit is that of a mean at most 2 % higher."""
    for mean in (0.01, 0.4, 1.0, 9.9, 140.0, 3_000.0):
        assert exact_limit(mean, 0.02, 1e-6) <= limit_of(mean, 0.02, 1e-6) <= exact_limit(mean * 1.0201, 0.02, 1e-6)


def test_interval_of_nothing_is_unknown() -> None:
    """Without trials there is no interval, and at the ends it stays within 0 and 1."""
    assert wilson_interval(0, 0) is None
    low, high = wilson_interval(0, 5) or (1.0, 0.0)
    assert low == 0.0
    assert high == pytest.approx(0.4345, abs=1e-4)
