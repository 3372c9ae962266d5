"""Whom not to call, and which number not to call from: the records of `suppressions`."""

from __future__ import annotations

from typing import ClassVar

from schemas.alert import Evidence, Subject
from schemas.times import to_iso
from schemas.wire import Versioned


def suppression_key(subject: Subject) -> bytes:
    """The topic's key: kind and value; a record without a value lifts the suppression."""
    return f"{subject.kind.value}:{subject.value}".encode()


class Suppression(Versioned, frozen=True, kw_only=True):
    """The current verdict on one number or contact.

    Attributes:
        subject: the number or contact.
        rule: the rule that asks for it.
        alert_id: the alert that explains it.
        at: since when it holds, in milliseconds since the epoch.
        until: when it ends by itself; None if never.
        reason: one sentence for a person.
        evidence: why.
    """

    VERSION: ClassVar[int] = 1

    subject: Subject
    rule: str
    alert_id: str
    at: int
    until: int | None
    reason: str
    evidence: Evidence

    def as_public(self) -> dict[str, object]:
        """The verdict as the API and the feed show it."""
        return {
            "kind": self.subject.kind.value,
            "value": self.subject.value,
            "rule": self.rule,
            "alert_id": self.alert_id,
            "at": to_iso(self.at),
            "until": None if self.until is None else to_iso(self.until),
            "reason": self.reason,
            "evidence": self.evidence,
        }
