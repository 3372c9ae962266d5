"""What `answer_rate_collapse` says: its alerts with their evidence, and its suppressions."""

from __future__ import annotations

from schemas.alert import Alert, AlertState, Evidence, Subject, SubjectKind, alert_id
from schemas.suppression import Suppression
from schemas.times import HOUR, to_iso
from streams.detectors.answer_states import RULE, CampaignAnswers, Collapse
from streams.detectors.finding import Finding, Lifted
from streams.detectors.suppression_cap import NOT_LET, refused
from streams.detectors.wilson import shown_interval

SOURCE = (
    "Risk-adjusted Bernoulli CUSUM (Steiner, Cook, Farewell and Treasure 2000, Biostatistics 1:441-452); "
    "answer-seizure ratio as in ITU-T E.411."
)

_WHAT_TO_DO = {
    SubjectKind.NUMBER: (
        "Rest the number, look up its label with the carriers' analytics and its Trust Hub registration, "
        "and ask for a correction before using it again."
    ),
    SubjectKind.CAMPAIGN: (
        "Look at what all the campaign's calls share: the contact list, the hour, the carrier route, the attestation; "
        "slow the campaign down until the cause is known."
    ),
}


def collapse_alert(
    campaign: CampaignAnswers,
    subject: Subject,
    collapse: Collapse,
    at: int,
    more: Evidence | None = None,
) -> Alert:
    """The alert of a transition that a collapse has just made.

    Args:
        campaign: the campaign it happens in.
        subject: the number or the campaign itself.
        collapse: the run, with its new state and sequence.
        at: event time of the transition.
        more: what else belongs to the evidence.
    """
    return _alert(campaign, subject, collapse, collapse.state, at, more)


def resolved_alert(campaign: CampaignAnswers, subject: Subject, collapse: Collapse, at: int) -> Alert:
    """The alert that ends a run; the run's sequence has been raised."""
    return _alert(campaign, subject, collapse, AlertState.RESOLVED, at, None)


def id_of(campaign: CampaignAnswers, subject: Subject, run: int) -> str:
    """The id of the alerts of one run; a number's runs are told apart by campaign."""
    return alert_id(RULE, subject, run, _scope(campaign, subject))


def _scope(campaign: CampaignAnswers, subject: Subject) -> str:
    return campaign.campaign if subject.kind is SubjectKind.NUMBER else ""


def _alert(
    campaign: CampaignAnswers,
    subject: Subject,
    collapse: Collapse,
    state: AlertState,
    at: int,
    more: Evidence | None,
) -> Alert:
    evidence = _evidence(campaign, subject, collapse) | (more or {})
    return Alert(
        alert_id=id_of(campaign, subject, collapse.run),
        sequence=collapse.sequence,
        rule=RULE,
        subject=subject,
        state=state,
        severity=campaign.settings.severity,
        at=at,
        since=collapse.since,
        evidence=evidence,
        message=_message(campaign, subject, collapse, state),
    )


def _evidence(campaign: CampaignAnswers, subject: Subject, collapse: Collapse) -> Evidence:
    return {
        "campaign": campaign.campaign,
        "calls": collapse.calls,
        "answered": collapse.answered,
        "expected": round(collapse.expected, 2),
        "rate": round(collapse.answered / collapse.calls, 4),
        "interval": shown_interval(collapse.answered, collapse.calls),
        "baseline": round(collapse.expected / collapse.calls, 4),
        "since": to_iso(collapse.since),
        "fired_at": to_iso(collapse.fired_at),
        "fresh_calls": collapse.fresh_calls,
        "fresh_answered": collapse.fresh_answered,
        "fresh_interval": shown_interval(collapse.fresh_answered, collapse.fresh_calls),
        "source": SOURCE,
        "what_to_do": _WHAT_TO_DO[subject.kind],
    }


def _message(campaign: CampaignAnswers, subject: Subject, collapse: Collapse, state: AlertState) -> str:
    if subject.kind is SubjectKind.NUMBER:
        whose = f"Number {subject.value} in campaign {campaign.campaign}"
    else:
        whose = f"Campaign {subject.value}"
    if state is AlertState.RESOLVED:
        return f"{whose} is answered as usual again: {collapse.fresh_answered} of {collapse.fresh_calls} calls since."
    fall = (
        f"answered {collapse.answered} of {collapse.calls} calls since {to_iso(collapse.since)}, "
        f"where {collapse.expected:.1f} were expected"
    )
    if state is AlertState.INHIBITED:
        return f"{whose} {fall}; the whole campaign is down, which its own alert tells."
    return f"{whose} {fall}."


def suppress(
    campaign: CampaignAnswers, subject: Subject, collapse: Collapse, at: int
) -> tuple[Suppression | None, Evidence]:
    """Suppress a collapsed number if the campaign's share allows it.

    Args:
        campaign: the campaign, with its active numbers and the collapses under way.
        subject: the number.
        collapse: its run; its `until` is set if a suppression is granted.
        at: event time.

    Returns:
        The suppression, or None; and what the evidence says about it.
    """
    settings = campaign.settings
    if not settings.suppress:
        return None, refused(NOT_LET)
    collapse.until = None
    collapse.tried = 0
    refusal = campaign.refusal(subject.value, at)
    if refusal is not None:
        return None, refused(refusal)
    until = at + round(settings.suppress_hours * HOUR)
    collapse.until = until
    suppression = Suppression(
        subject=subject,
        rule=RULE,
        alert_id=id_of(campaign, subject, collapse.run),
        at=at,
        until=until,
        reason=_message(campaign, subject, collapse, AlertState.FIRING),
        evidence=_evidence(campaign, subject, collapse),
        scope=_scope(campaign, subject),
    )
    return suppression, {"suppressed": True, "suppressed_until": to_iso(until)}


def lift(campaign: CampaignAnswers, subject: Subject, collapse: Collapse) -> list[Finding]:
    """Take the run's suppression back, if it has one; those of other campaigns stay."""
    if collapse.until is None:
        return []
    collapse.until = None
    return [Lifted(subject, RULE, _scope(campaign, subject))]
