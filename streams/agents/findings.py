"""What detectors find, as records of `alerts` and `suppressions`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from schemas.alert import Alert, SubjectKind
from schemas.log import NewRecord, Record
from schemas.suppression import Suppression, cause_header, suppression_key
from schemas.topics import ALERTS, SUPPRESSIONS
from streams.detectors.finding import Finding, Lifted

_OF_AN_ACCOUNT: Final = frozenset({SubjectKind.NUMBER, SubjectKind.CAMPAIGN})


def as_records(findings: Sequence[Finding], cause: Record, account: str = "") -> Iterable[NewRecord]:
    """Write findings; a lifted suppression becomes a tombstone.

    Args:
        findings: of one fact or opt-out.
        cause: the record of that fact or opt-out.
        account: of the call, which alerts on numbers and campaigns name in their evidence; empty if it is not known.
    """
    return _written(findings, cause, account) if findings else ()


def _written(findings: Sequence[Finding], cause: Record, account: str) -> Iterator[NewRecord]:
    timestamp = cause.timestamp
    headers = cause_header(cause.offset, timestamp)
    for finding in findings:
        if isinstance(finding, Alert):
            alert = _naming(finding, account)
            yield NewRecord(ALERTS.name, alert.alert_id.encode(), alert.encode(), timestamp=timestamp)
        elif isinstance(finding, Suppression):
            yield NewRecord(SUPPRESSIONS.name, _key(finding), finding.encode(), timestamp=timestamp, headers=headers)
        else:
            yield NewRecord(SUPPRESSIONS.name, _key(finding), None, timestamp=timestamp, headers=headers)


def _naming(alert: Alert, account: str) -> Alert:
    # Here and not in the rules, as none of them looks at it: who is told goes by it.
    if not account or alert.subject.kind not in _OF_AN_ACCOUNT:
        return alert
    return msgspec.structs.replace(alert, evidence={"account_sid": account, **alert.evidence})


def _key(finding: Suppression | Lifted) -> bytes:
    return suppression_key(finding.subject, finding.rule, finding.scope)
