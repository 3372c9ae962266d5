"""Alerts and silences to route."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from schemas.alert import Alert, AlertState, Evidence, Severity, Subject, SubjectKind, alert_id
from schemas.silence import Matchers, Silence
from schemas.times import HOUR

NOW = 1_795_442_400_000


def make_alert(
    value: str = "+12025550100",
    *,
    rule: str = "volume_spike",
    kind: SubjectKind = SubjectKind.NUMBER,
    state: AlertState = AlertState.FIRING,
    severity: Severity = Severity.WARNING,
    sequence: int = 1,
    run: int = 1,
    at: int = NOW,
    campaign: str | None = "spring-sale",
    account: str | None = None,
) -> Alert:
    """One transition as a detector would write it."""
    subject = Subject(kind, value)
    evidence: Evidence = {"campaign": campaign, "what_to_do": "Rest the number.", "source": "ITU-T E.411"}
    if account is not None:
        evidence["account"] = account
    return Alert(
        alert_id=alert_id(rule, subject, run),
        sequence=sequence,
        rule=rule,
        subject=subject,
        state=state,
        severity=severity,
        at=at,
        since=at,
        evidence=evidence,
        message=f"{value} is {state.value}",
    )


def make_silence(
    silence_id: str = "s1", *, starts_at: int = NOW, ends_at: int | None = NOW + HOUR, **matchers: str
) -> Silence:
    """A silence as the API would write it."""
    return Silence(
        silence_id=silence_id,
        matchers=Matchers(**matchers),
        starts_at=starts_at,
        ends_at=ends_at,
        author="ada",
        comment="known",
        created_at=starts_at,
    )


@pytest.fixture
def make() -> SimpleNamespace:
    """What the tests of routing are made of."""
    return SimpleNamespace(NOW=NOW, alert=make_alert, silence=make_silence)
