"""The risk-adjusted Bernoulli CUSUM: evidence that the odds of success have fallen by a ratio."""

from __future__ import annotations

from math import log

import msgspec


def log_likelihood_ratio(success: bool, probability: float, odds_ratio: float) -> float:
    """How much one trial speaks for fallen odds, in nats: y ln R - ln(1 - p + R p).

    Args:
        success: y, whether the trial succeeded.
        probability: p, the chance of success if nothing has changed.
        odds_ratio: R, the ratio by which the odds are thought to have changed.

    >>> round(log_likelihood_ratio(False, 0.35, 0.35), 6), round(log_likelihood_ratio(True, 0.35, 0.35), 6)
    (0.258123, -0.791699)
    """
    weight = -log(1 - probability + odds_ratio * probability)
    return weight + log(odds_ratio) if success else weight


class BernoulliCusum(msgspec.Struct, array_like=True):
    """S = max(0, S + W), with W the log-likelihood ratio of each trial under its own expected probability.

    With R below 1 it looks for a fall of the odds. It needs no window length, remembers when the run of evidence
    began, and is optimal in Lorden's sense for the change it is set for.

    Attributes:
        score: S, in nats.
        since: when S left zero, the estimated start of a change; None while S is zero.
        calls: trials since then.
        answered: successes among them.
        expected: the sum of their expected probabilities.

    >>> from random import Random
    >>> stream = Random(1)
    >>> cusum = BernoulliCusum()
    >>> for call in range(1_000):
    ...     if cusum.update(call, stream.random() < (0.35 if call < 500 else 0.12), 0.35, 0.35) > 6.5:
    ...         break
    >>> call, cusum.since, cusum.calls, cusum.answered
    (530, 477, 54, 7)

    References:
        Steiner, S. H., Cook, R. J., Farewell, V. T., Treasure, T. (2000), Biostatistics 1:441-452,
        doi 10.1093/biostatistics/1.4.441.
    """

    score: float = 0.0
    since: int | None = None
    calls: int = 0
    answered: int = 0
    expected: float = 0.0

    def update(self, at: int, success: bool, probability: float, odds_ratio: float) -> float:
        """Take in one trial.

        Args:
            at: its event time, in milliseconds since the epoch.
            success: whether it succeeded.
            probability: the chance that it would, if nothing has changed.
            odds_ratio: the change that is looked for.

        Returns:
            The new score.
        """
        score = self.score - log(1 - probability + odds_ratio * probability)
        if success:
            score += log(odds_ratio)
        if score <= 0:
            self.reset()
            return 0.0
        if self.since is None:
            self.since = at
        self.score = score
        self.calls += 1
        self.answered += success
        self.expected += probability
        return score

    def reset(self) -> None:
        """Forget the evidence so far."""
        self.score = 0.0
        self.since = None
        self.calls = self.answered = 0
        self.expected = 0.0
