"""The words of notifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from schemas.alert import Severity
from schemas.alerting import Alerting
from sinks.alerts.states import Group, Notification, NotificationKind, RoutedAlert, Told, notification_id

# Alerts that people know of already are there for context; beyond this their count says as much.
_MOST_STANDING = 100


def group_notice(
    group: Group,
    new: Sequence[RoutedAlert],
    standing: Sequence[RoutedAlert],
    ended: Sequence[RoutedAlert],
    left_out: int,
    now: int,
) -> Notification:
    """Tell of a group.

    Args:
        group: the group.
        new: what people were not told of yet; some of it may have ended already.
        standing: what they know of, and still fires.
        ended: what they know of, and has resolved.
        left_out: alerts of the group that fire and were counted instead of told.
        now: milliseconds since the epoch.
    """
    shown = standing[:_MOST_STANDING]
    fresh = [_told(alert, new=True) for alert in new]
    alerts = [
        *(alert for alert in fresh if alert.ended_at is None),
        *(_told(alert, new=False) for alert in shown),
        *(alert for alert in fresh if alert.ended_at is not None),
        *(_told(alert, new=False) for alert in ended),
    ]
    firing = sum(alert.ended_at is None for alert in alerts) + len(standing) - len(shown)
    what = " ".join(f"{name}={value}" for name, value in group.labels.items()) or "all alerts"
    parts = [f"{firing} firing" if firing else "", f"{len(new)} new" if new else ""]
    over = sum(alert.ended_at is not None for alert in alerts)
    parts += [f"{over} resolved" if over else "", f"{left_out} more not told one by one" if left_out else ""]
    return Notification(
        notification_id=notification_id(
            group.key, now, {alert.alert_id: f"{alert.new}{alert.ended_at}" for alert in alerts}
        ),
        kind=NotificationKind.GROUP,
        group_key=group.key,
        labels=group.labels,
        severity=_highest(alert.labels["severity"] for alert in alerts),
        at=now,
        summary=f"{what}: {', '.join(part for part in parts if part)}",
        alerts=alerts,
        left_out=left_out + len(standing) - len(shown),
    )


def overflow_notice(counts: Mapping[str, int], now: int, limit: int) -> Notification:
    """Tell how many new alerts there were beyond the limit of a minute."""
    summary = f"and {_counted(counts)} (new alerts beyond {limit} a minute; /v1/alerts has them all)"
    return _count_notice(NotificationKind.OVERFLOW, Severity.WARNING, counts, now, summary)


def digest_notice(counts: Mapping[str, int], now: int, settings: Alerting) -> Notification:
    """Tell how many alerts there were below the least severity."""
    hours = f"{settings.digest_hours:g} hours"
    summary = f"{_counted(counts, '')} (alerts below {settings.notify_severity.value} within {hours})"
    return _count_notice(NotificationKind.DIGEST, Severity.INFO, counts, now, summary)


def _count_notice(
    kind: NotificationKind, severity: Severity, counts: Mapping[str, int], now: int, summary: str
) -> Notification:
    labels = {"alertname": f"ringwatch_{kind.value}"}
    key = f'{{}}:{{alertname="ringwatch_{kind.value}"}}'
    return Notification(
        notification_id=notification_id(key, now, counts),
        kind=kind,
        group_key=key,
        labels=labels,
        severity=severity,
        at=now,
        summary=summary,
        alerts=[],
        counts=dict(counts),
    )


def _counted(counts: Mapping[str, int], more: str = " more") -> str:
    """Write counts by rule, the largest first.

    >>> _counted({"blocked_calls": 12, "short_calls": 100})
    '112 more: 100 short_calls, 12 blocked_calls'
    """
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return f"{sum(counts.values())}{more}: {', '.join(f'{count} {rule}' for rule, count in parts)}"


def _told(alert: RoutedAlert, *, new: bool) -> Told:
    return Told(
        alert_id=alert.alert_id,
        labels=alert.labels,
        message=alert.message,
        what_to_do=alert.what_to_do,
        source=alert.source,
        fired_at=alert.fired_at,
        ended_at=alert.ended_at,
        new=new,
    )


def _highest(severities: Iterable[str]) -> Severity:
    found = set(severities)
    return next(one for one in (Severity.CRITICAL, Severity.WARNING, Severity.INFO) if one.value in found)
