"""What the rules about the person called have in common in what they say."""

from __future__ import annotations

from schemas.alert import Evidence, Subject, alert_id
from schemas.call import CallFact
from schemas.suppression import Suppression
from schemas.times import to_iso
from streams.detectors.episode import Episode, RuleText


def evidence_of_call(fact: CallFact) -> Evidence:
    """Say which call it was, for which campaign and purpose, and what the person has agreed to, where that is known."""
    evidence: Evidence = {
        "called_at": to_iso(fact.at),
        "call_sid": fact.call_sid,
        "number": fact.number,
        "campaign": fact.campaign,
        "purpose": None if fact.registration is None else fact.registration.purpose,
    }
    details = fact.contact_details
    if details is not None and details.consent is not None:
        evidence["consent"] = details.consent.value
        evidence["consent_at"] = None if details.consent_at is None else to_iso(details.consent_at)
        evidence["consent_source"] = details.consent_source
    return evidence


def prolonged(
    episode: Episode,
    text: RuleText,
    subject: Subject,
    *,
    at: int,
    until: int | None,
    reason: str,
    evidence: Evidence,
) -> Suppression:
    """Suppress a contact for longer, while the alert that explains it still fires; no transition is told.

    Args:
        episode: of the contact, with a run under way; it remembers until when.
        text: what is said of the rule.
        subject: the contact.
        at: event time of the verdict, in milliseconds since the epoch.
        until: when it ends by itself; None if never.
        reason: one sentence for a person.
        evidence: the rule's source and what to do are added.
    """
    episode.until = until
    return Suppression(
        subject=subject,
        rule=text.rule,
        alert_id=alert_id(text.rule, subject, episode.runs),
        at=at,
        until=until,
        reason=reason,
        evidence={**evidence, "source": text.source, "what_to_do": text.what_to_do[subject.kind]},
    )
