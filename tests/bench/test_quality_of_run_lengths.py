"""Run lengths of the CUSUM: the Markov chain beside simulation, the rule's approximation and R."""

from __future__ import annotations

from math import log

import pytest

from bench.quality.markov_chain import (
    Lattice,
    average_run_length,
    lattice,
    run_lengths,
    steady_state,
    steady_state_delay,
    with_odds,
)
from bench.quality.oracle import CHARTS, missing, surveillance_run_lengths
from bench.quality.run_lengths import simulated_delay, simulated_run_length
from streams.detectors import run_length

CASES = [(0.35, 0.3), (0.60, 0.3), (0.10, 0.4), (0.95, 1 / 3)]


@pytest.mark.parametrize(("probability", "ratio"), CASES)
def test_chain_agrees_with_simulated_charts(probability: float, ratio: float) -> None:
    """The chain's mean run length lies within four standard errors of 300 runs of the product's own chart."""
    limit = run_length.threshold(probability, ratio, 300)
    simulated = simulated_run_length(limit, probability, ratio, runs=300, seed=1)
    assert abs(average_run_length(limit, probability, ratio) - simulated.mean) < 4 * simulated.error


@pytest.mark.parametrize(("probability", "ratio"), CASES)
def test_chain_agrees_with_simulated_delays(probability: float, ratio: float) -> None:
    """The chain's mean delay of a change long after the start lies within four standard errors of 200 changes."""
    limit = run_length.threshold(probability, ratio, 300)
    changed = with_odds(probability, ratio)
    simulated = simulated_delay(limit, probability, ratio, changed, runs=200, seed=1)
    assert abs(steady_state_delay(limit, probability, ratio, changed).mean - simulated.mean) < 4 * simulated.error


@pytest.mark.parametrize("wanted", [1_000, 10_000, 100_000])
@pytest.mark.parametrize(("probability", "ratio"), CASES)
def test_thresholds_of_the_rule_are_never_much_too_low(probability: float, ratio: float, wanted: int) -> None:
    """At the rule's threshold the exact run length is the wanted one or up to 45 % longer, as its text says."""
    limit = run_length.threshold(probability, ratio, wanted)
    assert 0.97 < average_run_length(limit, probability, ratio) / wanted < 1.45


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.99])
def test_chart_that_alarms_on_the_first_miss_is_geometric(probability: float) -> None:
    """With a threshold that one miss reaches, the run length is 1 / (1 - p)."""
    miss = -log(1 - probability + 0.3 * probability)
    assert average_run_length(miss / 2, probability, 0.3) == pytest.approx(1 / (1 - probability))


def test_chain_of_two_misses_in_a_row_is_as_by_hand() -> None:
    """One step up or down and an alarm at two steps: two misses in a row, (1 + q) / q^2 calls on average."""
    miss = 0.4
    assert run_lengths(Lattice(1.0, 1, 1, 2), 1 - miss)[0] == pytest.approx((1 + miss) / miss**2)


def test_steady_state_is_a_distribution() -> None:
    """The chances of all scores are none below zero and sum to one."""
    found = steady_state(lattice(6.5, 0.35, 0.3), 0.35)
    assert found.min() > -1e-12
    assert found.sum() == pytest.approx(1)


def test_chain_agrees_with_surveillance_of_r() -> None:
    """R's LRCUSUM.runlength gives the chain's run lengths within 5 %, for a low rate and for misses of a rare fault."""
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    charts = CHARTS[0], CHARTS[2]
    for chart, other in zip(charts, surveillance_run_lengths(charts, fineness=4), strict=True):
        assert run_lengths(chart.lattice, chart.probability)[0] == pytest.approx(other, rel=0.05)
