"""The answer rates that `answer_rate_collapse` expects."""

from __future__ import annotations

from streams.detectors.answer_states import CampaignAnswers, NumberAnswers

LOWEST_RATE, HIGHEST_RATE = 0.01, 0.95
"""Expected rates are kept within these; outside, one call would weigh more than the estimate is worth."""

PEER_PRIOR = 30.0
"""Answers that the campaign's usual level is worth beside its present one: 30 hold its noise to some 10 %."""

NUMBER_PRIOR = 10.0
"""Answers that the campaign's rate is worth beside the number's own: numbers of one campaign differ by a third."""


def campaign_rate(campaign: CampaignAnswers, hour: int) -> float:
    """The campaign's rate in an hour of week, shrunk to its hour of day, and that to its overall rate."""
    rates, weight = campaign.state.rates, campaign.settings.shrinkage_calls
    return within(rates.rate(hour, rates.hour_of_day_rate(hour, rates.overall(), weight), weight))


def number_rate(number: NumberAnswers, hour: int, prior: float) -> float:
    """The number's rate in an hour of week, shrunk to the campaign's times the number's own level (A + m) / (E + m).

    Args:
        number: the number.
        hour: 0 to 167.
        prior: the campaign's rate in that hour.
    """
    state = number.state
    level = (state.campaign_answered + NUMBER_PRIOR) / (state.campaign_expected + NUMBER_PRIOR)
    return within(state.rates.rate(hour, within(prior * level), number.settings.shrinkage_calls))


def peer_factor(campaign: CampaignAnswers, own_observed: float, own_expected: float) -> float:
    """How the campaign's other numbers do now, relative to their baselines: (O - O_i + m) / (E - E_i + m).

    Args:
        campaign: holds O and E, decayed by the campaign's calls.
        own_observed: O_i, the number's part of O.
        own_expected: E_i, its part of E.
    """
    state = campaign.state
    # Rounding may leave a number's part a hair above the whole.
    observed = max(state.observed - own_observed, 0.0)
    expected = max(state.expected - own_expected, 0.0)
    return (observed + PEER_PRIOR) / (expected + PEER_PRIOR)


def within(rate: float) -> float:
    """Keep an expected rate where one call weighs no more than the estimate is worth."""
    return min(max(rate, LOWEST_RATE), HIGHEST_RATE)
