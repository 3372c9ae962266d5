"""Calls between false alarms and delays of the CUSUM: exact, simulated, and as the rule computes them.

The simulation runs the product's own chart; its thresholds come from the product's own approximation.
"""

from __future__ import annotations

from math import sqrt

import msgspec
import numpy as np

from bench.quality.figures import Figure
from bench.quality.markov_chain import average_run_length, exact_threshold, odds_ratio, steady_state_delay, with_odds
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.run_length import threshold

PART = "run_lengths"
SEED = 11

FALLS = (
    (0.60, 0.30),
    (0.50, 0.25),
    (0.40, 0.20),
    (0.35, 0.175),
    (0.35, 0.12),
    (0.35, 0.10),
    (0.20, 0.10),
    (0.20, 0.05),
    (0.10, 0.05),
    (0.10, 0.03),
    (0.05, 0.02),
)
"""Rates of answered calls, before and after."""

RISES = (0.01, 0.05, 0.10)
"""Shares of faulty calls that rise: their charts count the calls without the fault."""

RISE = 3.0
"""The odds ratio that a rise is looked for at."""

WANTED = (1_000.0, 10_000.0, 100_000.0)
"""Calls between false alarms."""

CALLS = 5_000_000
"""Calls simulated per figure at most: 400 runs of 1,000 and of 10,000, 50 of 100,000."""

RUNS = 400
WARM_CALLS = 500
"""Calls before a change, so that the chart is where long running leaves it."""

_CHUNK = 4_096


class Simulated(msgspec.Struct, frozen=True):
    """The mean of simulated runs and its standard error."""

    mean: float
    error: float


class Calls:
    """Outcomes drawn in pieces, as drawing them one by one would cost more than the chart."""

    def __init__(self, random: np.random.Generator, probability: float) -> None:
        self._random = random
        self._probability = probability
        self._drawn: list[bool] = []

    def next(self) -> bool:
        """One outcome."""
        if not self._drawn:
            self._drawn = (self._random.random(_CHUNK) < self._probability).tolist()
        return self._drawn.pop()


def simulated_run_length(limit: float, probability: float, ratio: float, runs: int, seed: int) -> Simulated:
    """Mean calls until a false alarm of the product's chart.

    Args:
        limit: the threshold h, in nats.
        probability: p, the constant chance of a success.
        ratio: R, the change that is looked for.
        runs: how many runs to simulate.
        seed: of the random numbers.
    """
    calls = Calls(np.random.default_rng([SEED, seed]), probability)
    lengths = [_until_alarm(BernoulliCusum(), calls, limit, probability, ratio) for _ in range(runs)]
    return _mean(lengths)


def simulated_delay(limit: float, probability: float, ratio: float, changed: float, runs: int, seed: int) -> Simulated:
    """Mean calls from a change, long after the start, until the alarm of the product's chart."""
    random = np.random.default_rng([SEED, seed, 1])
    before, after = Calls(random, probability), Calls(random, changed)
    delays = []
    for _ in range(runs):
        cusum = BernoulliCusum()
        for call in range(WARM_CALLS):
            if cusum.update(call, before.next(), probability, ratio) >= limit:
                cusum.reset()
        delays.append(_until_alarm(cusum, after, limit, probability, ratio))
    return _mean(delays)


def measure() -> list[Figure]:
    """Give the figures of every change at every wanted run length."""
    figures: list[Figure] = []
    for before, after in FALLS:
        for wanted in WANTED:
            name = f"{before:g} to {after:g}, {wanted:,.0f}"
            figures += _figures(name, before, odds_ratio(before, after), after, wanted)
    for share in RISES:
        for wanted in WANTED:
            name = f"fault {share:g} to {with_odds(share, RISE):.3f}, {wanted:,.0f}"
            figures += _figures(name, 1 - share, 1 / RISE, 1 - with_odds(share, RISE), wanted)
    return figures


def _figures(name: str, before: float, ratio: float, after: float, wanted: float) -> list[Figure]:
    limit = threshold(before, ratio, wanted)
    exact = average_run_length(limit, before, ratio)
    delay = steady_state_delay(limit, before, ratio, after)
    runs = min(RUNS, int(CALLS / wanted))
    seed = round(before * 1_000) * 1_000_000 + round(after * 1_000) * 10 + round(wanted)
    length = simulated_run_length(limit, before, ratio, runs, seed)
    late = simulated_delay(limit, before, ratio, after, RUNS, seed)

    def figure(measure: str, unit: str, value: float, against: float | None = None, note: str = "") -> Figure:
        return Figure(
            part=PART, name=name, measure=measure, unit=unit, value=round(value, 4), against=against, note=note
        )

    return [
        figure("threshold of the rule", "nats", limit),
        figure("exact threshold", "nats", exact_threshold(before, ratio, wanted)),
        figure("run length, exact", "calls", exact, wanted, "against: the wanted one, which the threshold is set for"),
        figure("simulated", "calls", length.mean, exact, f"{runs} runs"),
        figure("± 2 standard errors", "calls", 2 * length.error),
        figure("delay, exact", "calls", delay.mean),
        figure("delay, simulated", "calls", late.mean, delay.mean, f"{RUNS} runs"),
        figure("± 2 standard errors of it", "calls", 2 * late.error),
        figure("median delay", "calls", delay.median),
        figure("95 % within", "calls", delay.late),
    ]


def _until_alarm(cusum: BernoulliCusum, calls: Calls, limit: float, probability: float, ratio: float) -> int:
    count = 0
    while True:
        count += 1
        if cusum.update(count, calls.next(), probability, ratio) >= limit:
            return count


def _mean(lengths: list[int]) -> Simulated:
    return Simulated(float(np.mean(lengths)), float(np.std(lengths, ddof=1)) / sqrt(len(lengths)))
