"""What `volume_spike` says."""

from __future__ import annotations

import msgspec

from schemas.alert import Alert, AlertState, Evidence, Subject, alert_id
from schemas.rules import VolumeSpike as Settings
from schemas.times import to_iso

RULE = "volume_spike"

SOURCE = (
    "Negative-binomial upper limit on calls per bucket by hour of week and present level; call arrivals vary more "
    "than a Poisson count (Brown et al. 2005, Journal of the American Statistical Association 100:36-50)."
)
WHAT_TO_DO = (
    "Look for a dialer that runs wild, a list loaded twice or a stolen credential; slow the calls down, "
    "as a burst gets numbers labelled as spam."
)


class SpikeRun(msgspec.Struct, array_like=True):
    """One run, from firing until it is resolved.

    Attributes:
        run: counts the subject's runs.
        since: when the bucket began that passed its limit.
        fired_at: when the alert was given.
        peak: the most calls of a bucket in the run so far.
        limit: the limit that was passed.
        mean: the calls that were expected; None while nothing was known of the hour.
        absolute: whether the limit is one of the settings.
        calm: closed buckets in a row within their limit; None until a bucket past its limit has closed.
    """

    run: int
    since: int
    fired_at: int
    peak: int
    limit: int
    mean: float | None
    absolute: bool
    calm: int | None = None


def spike_alert(settings: Settings, subject: Subject, run: SpikeRun, kind: AlertState, at: int) -> Alert:
    """The alert of a transition.

    Args:
        settings: the rule's settings.
        subject: the number, campaign or account.
        run: the run.
        kind: firing or resolved.
        at: event time of the transition.
    """
    whose = f"{subject.kind.value.capitalize()} {subject.value}"
    expected = None if run.mean is None else round(run.mean, 2)
    usual = "" if expected is None else f", where {expected:g} were expected"
    if kind is AlertState.RESOLVED:
        message = f"{whose} is back within its usual volume; the peak was {run.peak} calls in a bucket."
    else:
        minutes = settings.bucket_minutes
        message = f"{whose} placed {run.peak} calls in {minutes} minutes{usual}; more than {run.limit} are too many."
    evidence: Evidence = {
        "calls": run.peak,
        "limit": run.limit,
        "expected": expected,
        "limit_from": "absolute limit of the settings" if run.absolute else "hour of week and present level",
        "bucket_minutes": settings.bucket_minutes,
        "tail_probability": settings.tail_probability,
        "dispersion": settings.dispersion,
        "since": to_iso(run.since),
        "fired_at": to_iso(run.fired_at),
        "source": SOURCE,
        "what_to_do": WHAT_TO_DO,
    }
    return Alert(
        alert_id=alert_id(RULE, subject, run.run),
        sequence=1 if kind is AlertState.FIRING else 2,
        rule=RULE,
        subject=subject,
        state=kind,
        severity=settings.severity,
        at=at,
        since=run.since,
        evidence=evidence,
        message=message,
    )
