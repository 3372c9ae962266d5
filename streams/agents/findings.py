"""What detectors find, as records of `alerts` and `suppressions`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas.alert import Alert
from schemas.log import NewRecord
from schemas.suppression import Suppression, suppression_key
from schemas.topics import ALERTS, SUPPRESSIONS
from streams.detectors.finding import Finding, Lifted


def as_records(findings: Sequence[Finding], timestamp: int) -> Iterable[NewRecord]:
    """Write findings; a lifted suppression becomes a tombstone.

    Args:
        findings: of one fact or opt-out.
        timestamp: of the record that caused them, in milliseconds since the epoch.
    """
    return _written(findings, timestamp) if findings else ()


def _written(findings: Sequence[Finding], timestamp: int) -> Iterator[NewRecord]:
    for finding in findings:
        if isinstance(finding, Alert):
            yield NewRecord(ALERTS.name, finding.alert_id.encode(), finding.encode(), timestamp=timestamp)
        elif isinstance(finding, Suppression):
            yield NewRecord(SUPPRESSIONS.name, _key(finding), finding.encode(), timestamp=timestamp)
        else:
            yield NewRecord(SUPPRESSIONS.name, _key(finding), None, timestamp=timestamp)


def _key(finding: Suppression | Lifted) -> bytes:
    return suppression_key(finding.subject, finding.rule, finding.scope)
