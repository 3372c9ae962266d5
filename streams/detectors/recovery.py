"""The mirrored chart: evidence, after an alert has fired, that calls are as usual again."""

from __future__ import annotations

from math import log
from typing import Final

from streams.detectors.bernoulli_cusum import log_likelihood_ratio

RECOVERED: Final = log(20)
"""Score at which a run is over: the calls since speak 20 to 1 for what is usual against half of the change. Half of it
(in log odds), as what came back only in part would otherwise pass for recovered every few hundred calls."""


def recovery_score(
    score: float, success: bool, probability: float, odds_ratio: float, mark: float = RECOVERED
) -> float:
    """The score after one more trial, in nats, from 0 to the mark.

    Args:
        score: the score before.
        success: whether the trial succeeded.
        probability: the chance that it would, if all is as usual.
        odds_ratio: below 1, the ratio of the odds against which that is held.
        mark: the score at which the run is over.

    >>> round(recovery_score(1.0, True, 0.35, 0.5), 2), round(recovery_score(1.0, False, 0.35, 0.5), 2)
    (1.5, 0.81)
    """
    # No credit beyond the mark: old good calls must not outweigh new bad ones while the dwell time passes.
    return min(max(score - log_likelihood_ratio(success, probability, odds_ratio), 0.0), mark)
