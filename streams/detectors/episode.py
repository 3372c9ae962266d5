"""The life of an alert: it fires, holds, and is resolved; each time is a run of its own."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from schemas.alert import Alert, AlertState, Evidence, Severity, Subject, SubjectKind, alert_id
from schemas.suppression import Suppression
from schemas.times import to_iso


class RuleText(msgspec.Struct, frozen=True):
    """What an alert says of its rule.

    Attributes:
        rule: its name.
        source: where the rule comes from, with dates where it has any.
        what_to_do: by kind of subject, what the person who reads the alert should do.
    """

    rule: str
    source: str
    what_to_do: Mapping[SubjectKind, str]


class Episode(msgspec.Struct, array_like=True):
    """The run of a rule on one subject that is under way, if any, and how many there have been.

    Attributes:
        runs: how often the rule has fired.
        sequence: transitions of the present run.
        since: when what it speaks of began, in milliseconds since the epoch; None while there is none.
        fired_at: when it fired.
        until: when the suppression that it asked for ends by itself; None if there is none.
        inhibited: whether another alert tells of it.
    """

    runs: int = 0
    sequence: int = 0
    since: int | None = None
    fired_at: int = 0
    until: int | None = None
    inhibited: bool = False

    @property
    def is_firing(self) -> bool:
        """Whether a run is under way."""
        return self.since is not None

    @property
    def since_iso(self) -> str | None:
        """`since` as people read it."""
        return None if self.since is None else to_iso(self.since)


def fire(
    episode: Episode,
    text: RuleText,
    severity: Severity,
    subject: Subject,
    *,
    at: int,
    since: int,
    message: str,
    evidence: Evidence,
    scope: str = "",
    inhibited: bool = False,
) -> Alert:
    """Begin a run and give its first transition.

    Args:
        episode: of the subject; no run is under way.
        text: what is said of the rule.
        severity: of the alert.
        subject: whom it is about.
        at: event time of the transition, in milliseconds since the epoch.
        since: when what it speaks of began.
        message: one sentence for a person.
        evidence: counts, what was expected, the interval; the rule's source and what to do are added.
        scope: what else tells two alerts of one rule and subject apart, such as the campaign of a number.
        inhibited: whether another alert tells of it already.
    """
    episode.runs += 1
    episode.sequence = 0
    episode.since = since
    episode.fired_at = at
    episode.until = None
    return tell(
        episode, text, severity, subject, at=at, message=message, evidence=evidence, scope=scope, inhibited=inhibited
    )


def tell(
    episode: Episode,
    text: RuleText,
    severity: Severity,
    subject: Subject,
    *,
    at: int,
    message: str,
    evidence: Evidence,
    scope: str = "",
    inhibited: bool = False,
) -> Alert:
    """Give the next transition of the run under way: it fires, or another alert tells of it; the rest as in `fire`."""
    episode.inhibited = inhibited
    state = AlertState.INHIBITED if inhibited else AlertState.FIRING
    return _transition(episode, text, severity, subject, state, at, message, evidence, scope)


def resolve(
    episode: Episode,
    text: RuleText,
    severity: Severity,
    subject: Subject,
    *,
    at: int,
    message: str,
    evidence: Evidence,
    scope: str = "",
) -> Alert:
    """End the run under way and give its last transition; the arguments are those of `fire`."""
    alert = _transition(episode, text, severity, subject, AlertState.RESOLVED, at, message, evidence, scope)
    episode.since = None
    episode.until = None
    episode.inhibited = False
    return alert


def _transition(
    episode: Episode,
    text: RuleText,
    severity: Severity,
    subject: Subject,
    state: AlertState,
    at: int,
    message: str,
    evidence: Evidence,
    scope: str,
) -> Alert:
    assert episode.since is not None
    episode.sequence += 1
    explained: Evidence = {
        **evidence,
        "since": to_iso(episode.since),
        "source": text.source,
        "what_to_do": text.what_to_do[subject.kind],
    }
    return Alert(
        alert_id=alert_id(text.rule, subject, episode.runs, scope),
        sequence=episode.sequence,
        rule=text.rule,
        subject=subject,
        state=state,
        severity=severity,
        at=at,
        since=episode.since,
        evidence=explained,
        message=message,
    )


def suppression_of(episode: Episode, alert: Alert, until: int | None, scope: str = "") -> Suppression:
    """Suppress an alert's subject; the episode remembers until when.

    Args:
        episode: of the subject, with the alert's run under way.
        alert: the transition that explains it.
        until: when it ends by itself, in milliseconds since the epoch; None if never.
        scope: as that of the alert.
    """
    episode.until = until
    return Suppression(
        subject=alert.subject,
        rule=alert.rule,
        alert_id=alert.alert_id,
        at=alert.at,
        until=until,
        reason=alert.message,
        evidence=alert.evidence,
        scope=scope,
    )
