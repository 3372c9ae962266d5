"""What `answer_rate_collapse` knows of a campaign or a number, for people."""

from __future__ import annotations

from schemas.alert import AlertState
from schemas.times import hour_of_week, to_iso
from streams.detectors.answer_alerts import id_of
from streams.detectors.answer_rates import campaign_rate, number_rate, peer_factor, within
from streams.detectors.answer_states import CampaignAnswers, Collapse, NumberAnswers
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.run_length import threshold
from streams.detectors.wilson import shown_interval


def describe_campaign(campaign: CampaignAnswers, at: int) -> dict[str, object]:
    """The rule's state for a campaign.

    Args:
        campaign: what is known of it.
        at: the event time whose hour of week the baseline is told for, in milliseconds since the epoch.

    Returns:
        `state` (off, learning, ok or firing), the baseline, the evidence, and what the alert says; rates are None
        while learning.
    """
    state, settings = campaign.state, campaign.settings
    collapse = state.collapse
    ready = campaign.watched(at)
    return {
        "state": _word(settings.enabled, collapse, ready),
        "baseline": round(campaign_rate(campaign, hour_of_week(at)), 4) if ready else None,
        "learned_calls": state.rates.learned,
        "learning_calls": settings.learning_calls,
        "learning_since": None if state.began is None else to_iso(state.began),
        "learning_hours": settings.learning_hours,
        "alert_id": None if collapse is None else id_of(campaign, campaign.subject, collapse.run),
        "active_numbers": len(state.seen),
        "suppressed_numbers": len(campaign.suppressed(at)),
        **_evidence(campaign, state.cusum, collapse),
    }


def describe_number(campaign: CampaignAnswers, number: NumberAnswers, at: int) -> dict[str, object]:
    """The rule's state for a number in a campaign.

    Args:
        campaign: what is known of the campaign.
        number: what is known of the number in it.
        at: the event time whose hour of week the baseline is told for, in milliseconds since the epoch.

    Returns:
        `state` (off, learning, ok, firing or inhibited), the baseline without and with the peers' present level, the
        evidence, and what the alert says; rates are None while learning.
    """
    state, settings = number.state, campaign.settings
    collapse = campaign.state.collapses.get(number.number)
    ready = campaign.learned and number.learned
    hour = hour_of_week(at)
    baseline = number_rate(number, hour, campaign_rate(campaign, hour))
    forgotten = campaign.peer_decay ** (campaign.state.index - state.index)
    factor = peer_factor(campaign, state.observed * forgotten, state.expected * forgotten)
    until = None if collapse is None else collapse.until
    return {
        "state": _word(settings.enabled, collapse, ready),
        "campaign": campaign.campaign,
        "baseline": round(baseline, 4) if ready else None,
        "peer_factor": round(factor, 4) if ready else None,
        "expected_rate": round(within(baseline * factor), 4) if ready else None,
        "learned_calls": state.rates.learned,
        "learning_calls": settings.learning_calls,
        "campaign_learned_calls": campaign.state.rates.learned,
        "alert_id": None if collapse is None else id_of(campaign, number.subject, collapse.run),
        "suppressed_until": None if until is None or until <= at else to_iso(until),
        **_evidence(campaign, state.cusum, collapse),
    }


def _word(enabled: bool, collapse: Collapse | None, ready: bool) -> str:
    if not enabled:
        return "off"
    if collapse is not None:
        return "inhibited" if collapse.state is AlertState.INHIBITED else "firing"
    return "ok" if ready else "learning"


def _evidence(campaign: CampaignAnswers, cusum: BernoulliCusum, collapse: Collapse | None) -> dict[str, object]:
    """The run of evidence: of the alert under way, else of the chart; all None if there is neither."""
    calls = answered = limit = None
    expected = since = interval = None
    if collapse is not None:
        calls, answered, expected, since = collapse.calls, collapse.answered, collapse.expected, collapse.since
    elif cusum.since is not None:
        calls, answered, expected, since = cusum.calls, cusum.answered, cusum.expected, cusum.since
    if calls and answered is not None and expected is not None:
        interval = shown_interval(answered, calls)
        limit = threshold(expected / calls, campaign.settings.odds_ratio, campaign.run_length)
    return {
        "score": round(cusum.score, 3),
        "threshold": None if limit is None else round(limit, 3),
        "since": None if since is None else to_iso(since),
        "calls": calls,
        "answered": answered,
        "expected": None if expected is None else round(expected, 2),
        "interval": interval,
        "fresh_calls": None if collapse is None else collapse.fresh_calls,
        "fresh_answered": None if collapse is None else collapse.fresh_answered,
    }
