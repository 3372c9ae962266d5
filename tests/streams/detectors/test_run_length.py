from __future__ import annotations

from random import Random

import numpy as np
import pytest

from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.run_length import average_run_length, least_threshold, threshold


def exact_run_length(height: float, rate: float, ratio: float, states: int = 500) -> float:
    """Brook and Evans (1972): the CUSUM as a Markov chain on a fine grid, solved for its mean time to alarm."""
    miss = -np.log(1 - rate + ratio * rate)
    width = height / states
    scores = np.arange(states) * width
    chain = np.zeros((states, states))
    rows = np.arange(states)
    for weight, chance in ((miss, 1 - rate), (miss + np.log(ratio), rate)):
        place = np.maximum(0, (scores + weight) / width)
        left = np.floor(place).astype(int)
        # A score between two grid points goes to both in proportion, which keeps the drift exact.
        for column, part in ((left, 1 - (place - left)), (left + 1, place - left)):
            kept = column < states
            np.add.at(chain, (rows[kept], column[kept]), chance * part[kept])
    return float(np.linalg.solve(np.eye(states) - chain, np.ones(states))[0])


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2, 0.35, 0.5, 0.75])
@pytest.mark.parametrize("ratio", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("wanted", [1_000, 80_000])
def test_thresholds_keep_the_wanted_run_length(rate: float, ratio: float, wanted: float) -> None:
    """Against the exact chain the mean is at most 5 % too short and at most 50 % too long."""
    exact = exact_run_length(threshold(rate, ratio, wanted), rate, ratio)
    assert 0.95 < exact / wanted < 1.5


def test_approximation_and_threshold_agree() -> None:
    """The threshold of a run length has that run length, between grid points as on them."""
    for rate in (0.2, 0.33, 0.35, 0.511):
        assert average_run_length(threshold(rate, 0.3, 10_000), rate, 0.3) == pytest.approx(10_000, rel=0.01)


def test_simulation_agrees_with_the_threshold() -> None:
    """On a seeded stream of 400,000 calls with nothing wrong the alarms are as far apart as wanted, or farther."""
    random, cusum, alarms, calls = Random(7), BernoulliCusum(), 0, 400_000
    height = threshold(0.35, 0.35, 1_000)
    for call in range(calls):
        if cusum.update(call, random.random() < 0.35, 0.35, 0.35) >= height:
            alarms += 1
            cusum.reset()
    assert 1_000 <= calls / alarms <= 1_400


def test_no_rate_has_a_threshold_below_the_least() -> None:
    """The least threshold is a lower bound for every rate that is ever expected."""
    least = least_threshold(0.3, 80_000)
    assert all(threshold(rate / 1_000, 0.3, 80_000) >= least for rate in range(1_001))
