"""Transitions of alerts: the records of `alerts`."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import ClassVar

import msgspec

from schemas.times import to_iso
from schemas.wire import Versioned

Scalar = str | int | float | bool | None
Evidence = dict[str, Scalar | list[Scalar] | dict[str, Scalar]]
"""Why a rule fired: counts, baseline, interval, the rule's source and what to do; names are snake_case."""


class SubjectKind(StrEnum):
    """What an alert or a suppression is about."""

    NUMBER = "number"
    CAMPAIGN = "campaign"
    CONTACT = "contact"
    ACCOUNT = "account"


class Subject(msgspec.Struct, frozen=True, order=True):
    """One number, campaign, contact or account."""

    kind: SubjectKind
    value: str


class AlertState(StrEnum):
    """In Alertmanager's words; `inhibited` fires but is told by the alert that stands above it."""

    FIRING = "firing"
    INHIBITED = "inhibited"
    RESOLVED = "resolved"
    ACKNOWLEDGED = "acknowledged"


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def alert_id(rule: str, subject: Subject, run: int, scope: str = "") -> str:
    """Name the alert of a subject's run-th run under a rule; the same in every replay.

    Args:
        rule: the rule's name.
        subject: what it is about.
        run: 1 for the first time the rule fired on the subject.
        scope: what else tells two alerts of one rule and subject apart, such as the campaign of a number.

    >>> alert_id("volume_spike", Subject(SubjectKind.NUMBER, "+12025550100"), 1)
    '22a04f3a03d04bae'
    """
    identity = "\x1f".join((rule, subject.kind, subject.value, scope, str(run)))
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


class Alert(Versioned, frozen=True, kw_only=True):
    """One transition of one alert.

    Attributes:
        alert_id: a hash of rule, subject and run; equal for all transitions of one run.
        sequence: 1 for the first transition of the run, then one more each.
        at: event time of the transition, in milliseconds since the epoch.
        since: when what the alert speaks of began, by estimate of its rule.
        evidence: why.
        message: one sentence for a person.
    """

    VERSION: ClassVar[int] = 1

    alert_id: str
    sequence: int
    rule: str
    subject: Subject
    state: AlertState
    severity: Severity
    at: int
    since: int
    evidence: Evidence
    message: str

    def as_public(self) -> dict[str, object]:
        """The transition as `ringwatch replay --json`, the API and the feed show it."""
        return {
            "alert_id": self.alert_id,
            "rule": self.rule,
            "subject": {"kind": self.subject.kind.value, "value": self.subject.value},
            "state": self.state.value,
            "severity": self.severity.value,
            "at": to_iso(self.at),
            "since": to_iso(self.since),
            "evidence": self.evidence,
            "message": self.message,
        }
