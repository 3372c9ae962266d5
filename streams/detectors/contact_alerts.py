"""What the rules about the person called have in common in what they say."""

from __future__ import annotations

from typing import Protocol

from schemas.alert import Alert, Evidence, Subject, alert_id
from schemas.call import CallFact
from schemas.suppression import Suppression
from schemas.times import to_iso
from streams.detectors.episode import Episode, RuleText, suppression_of
from streams.detectors.finding import Finding, Lifted


class Suppressing(Protocol):
    """What is kept of a contact by a rule that may suppress it.

    Attributes:
        episode: the alert under way, and how many there have been.
        suppressed: whether the run under way asked for a suppression.
    """

    episode: Episode
    suppressed: bool


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


def begun(state: Suppressing, alert: Alert, until: int | None, *, suppress: bool) -> list[Finding]:
    """The first transition of a run, with the suppression of its contact if there is to be one.

    Args:
        state: of the contact.
        alert: the transition.
        until: when the suppression ends by itself, in milliseconds since the epoch; None if never.
        suppress: whether the settings let the rule suppress.
    """
    state.suppressed = suppress
    return [alert, suppression_of(state.episode, alert, until)] if suppress else [alert]


def is_held(state: Suppressing, until: int | None) -> bool:
    """Whether the contact is suppressed until a time, or for longer, already."""
    held = state.episode.until
    return state.suppressed and (held is None or (until is not None and until <= held))


def lifted(state: Suppressing, subject: Subject, rule: str, at: int) -> list[Finding]:
    """Take the run's suppression back, before its last transition, unless it has ended by itself at a time."""
    until, suppressed = state.episode.until, state.suppressed
    state.suppressed = False
    return [Lifted(subject, rule)] if suppressed and (until is None or until > at) else []


def prolonged(
    state: Suppressing,
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
        state: of the contact, with a run under way; it remembers until when.
        text: what is said of the rule.
        subject: the contact.
        at: event time of the verdict, in milliseconds since the epoch.
        until: when it ends by itself; None if never.
        reason: one sentence for a person.
        evidence: the rule's source and what to do are added.
    """
    state.suppressed = True
    state.episode.until = until
    return Suppression(
        subject=subject,
        rule=text.rule,
        alert_id=alert_id(text.rule, subject, state.episode.runs),
        at=at,
        until=until,
        reason=reason,
        evidence={**evidence, "source": text.source, "what_to_do": text.what_to_do[subject.kind]},
    )
