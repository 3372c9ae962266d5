"""What detectors find, as records of `alerts` and `suppressions`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from schemas.alert import Alert
from schemas.log import NewRecord, Record
from schemas.suppression import Suppression, cause_header, suppression_key
from schemas.topics import ALERTS, SUPPRESSIONS
from streams.detectors.finding import Finding, Lifted


def as_records(findings: Sequence[Finding], cause: Record) -> Iterable[NewRecord]:
    """Write findings; a lifted suppression becomes a tombstone.

    Args:
        findings: of one fact or opt-out.
        cause: the record of that fact or opt-out.
    """
    return _written(findings, cause) if findings else ()


def _written(findings: Sequence[Finding], cause: Record) -> Iterator[NewRecord]:
    timestamp = cause.timestamp
    headers = cause_header(cause.offset, timestamp)
    for finding in findings:
        if isinstance(finding, Alert):
            yield NewRecord(ALERTS.name, finding.alert_id.encode(), finding.encode(), timestamp=timestamp)
        elif isinstance(finding, Suppression):
            yield NewRecord(SUPPRESSIONS.name, _key(finding), finding.encode(), timestamp=timestamp, headers=headers)
        else:
            yield NewRecord(SUPPRESSIONS.name, _key(finding), None, timestamp=timestamp, headers=headers)


def _key(finding: Suppression | Lifted) -> bytes:
    return suppression_key(finding.subject, finding.rule, finding.scope)
