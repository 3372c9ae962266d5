"""False alarms where a number's days differ by more than chance: the rule and the plain chart.

Each number's level of each day is drawn from a beta distribution with the variance rho p (1 - p).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.quality.figures import Figure
from bench.quality.fleet import Fleet, firings
from bench.quality.markov_chain import exact_threshold
from bench.quality.traffic import CALLS_A_DAY, RATE, WARM_UP_DAYS, a_day
from schemas.rules import AnswerRateCollapse
from streams.detectors.answer_states import run_length

PART = "day_noise"
SEED = 41
SPREADS = (0.0, 0.005, 0.01, 0.02, 0.05)
DAYS = WARM_UP_DAYS + 150

CHARTS = 2_000
"""Plain charts that run side by side, each over 40 days: 4.8 million calls."""

CHART_DAYS = 40
TEN_THOUSAND = 10_000.0


def measure() -> list[Figure]:
    """Run the rule and the chart at each spread."""
    settings = AnswerRateCollapse()
    ratio = settings.odds_ratio
    wanted = run_length(settings)
    limits = [exact_threshold(RATE, ratio, TEN_THOUSAND), exact_threshold(RATE, ratio, wanted)]
    # The first alert that the budget allows for is of the fleet; both charts of a call may spend half of it.
    budget = settings.false_alarms_per_day / settings.fleet_calls_per_day * 1e4
    figures: list[Figure] = []
    for index, spread in enumerate(SPREADS):
        random = np.random.default_rng([SEED, index])
        at_ten_thousand, at_same = chart_alarms(random, spread, ratio, limits)
        number, campaign = rule_alarms(settings, spread)
        name = f"rho {spread:g}"

        def figure(measure: str, value: float, target: str | None = None, note: str = "", name: str = name) -> Figure:
            unit = "per 10,000 calls"
            return Figure(
                part=PART, name=name, measure=measure, unit=unit, value=round(value, 3), target=target, note=note
            )

        # The margin is meant for the spread that real days were found to have, about 0.01.
        target = f"<= {budget:g}" if spread <= 0.01 else None
        figures += [
            figure("plain CUSUM set for 1", at_ten_thousand),
            figure(f"plain CUSUM set for {1e4 / wanted:g}", at_same, note="the threshold of the rule's charts"),
            figure("rule, numbers", number),
            figure("rule, campaign", campaign),
            figure("rule", number + campaign, target, "set for one a day in 10,000 calls"),
        ]
    return figures


def chart_alarms(random: np.random.Generator, spread: float, ratio: float, limits: list[float]) -> tuple[float, ...]:
    """False alarms per 10,000 calls of charts that know the usual rate, by threshold.

    Args:
        random: source of the outcomes.
        spread: rho.
        ratio: R that the chart looks for.
        limits: the thresholds; each has charts of its own on the same calls.
    """
    up = -np.log(1 - RATE + ratio * RATE)
    down = up + np.log(ratio)
    thresholds = np.asarray(limits)[:, None]
    score: NDArray[np.float64] = np.zeros((len(limits), CHARTS))
    alarms = np.zeros(len(limits))
    for _ in range(CHART_DAYS):
        level = np.full(CHARTS, RATE)
        if spread:
            size = (1 - spread) / spread
            level = random.beta(RATE * size, (1 - RATE) * size, CHARTS)
        for _ in range(CALLS_A_DAY):
            score = np.maximum(score + np.where(random.random(CHARTS) < level, down, up), 0)
            alarm = score >= thresholds
            alarms += alarm.sum(axis=1)
            score[alarm] = 0
    return tuple(alarms / (CHARTS * CHART_DAYS * CALLS_A_DAY) * 1e4)


def rule_alarms(settings: AnswerRateCollapse, spread: float, days: int = DAYS) -> tuple[float, float]:
    """False alarms of the rule per 10,000 calls after the warm-up: of numbers, and of the campaign."""
    fleet = Fleet(settings)
    calls = number = campaign = 0
    for day in range(days):
        drawn = a_day(SEED, day, spread=spread)
        alerts = [alert for _, found in fleet.run(drawn) for alert in found]
        if day >= WARM_UP_DAYS:
            calls += len(drawn.at)
            of_campaign = firings([alert for alert in alerts if alert.subject == fleet.campaign.subject])
            campaign += of_campaign
            number += firings(alerts) - of_campaign
    return number / calls * 1e4, campaign / calls * 1e4
