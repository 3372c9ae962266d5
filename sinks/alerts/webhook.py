"""Alertmanager's webhook, version 4: the JSON, and one attempt to deliver it."""

from __future__ import annotations

import asyncio
import hashlib
from enum import StrEnum
from urllib.parse import urlsplit

import httpx
import msgspec

from schemas.times import to_iso
from sinks.alerts.states import Labels, Notification, NotificationKind, Told

# What Alertmanager writes where an alert has no end yet: Go's zero time.
NO_END = "0001-01-01T00:00:00Z"

# What may be well at a later attempt; every other refusal is the receiver's last word.
_AGAIN_LATER = frozenset({httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY, httpx.codes.TOO_MANY_REQUESTS})


class Attempt(StrEnum):
    """How one attempt at a delivery ended."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    FAILED = "failed"


class Receiver(msgspec.Struct, frozen=True):
    """One webhook.

    Attributes:
        name: tells it apart and holds no secret: the host, and a hash of the address.
        url: the address.
    """

    name: str
    url: str


def receiver_of(url: str) -> Receiver:
    """Name the webhook of an address.

    >>> receiver_of("https://hooks.example.com/secret").name
    'hooks.example.com-790e2353'
    """
    return Receiver(f"{urlsplit(url).hostname}-{hashlib.sha256(url.encode()).hexdigest()[:8]}", url)


async def deliver(client: httpx.AsyncClient, url: str, notification: Notification, body: bytes) -> tuple[Attempt, str]:
    """Post a notification once.

    Returns:
        How it went, and why in words that hold no secret.
    """
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "ringwatch",
        "Idempotency-Key": notification.notification_id,
    }
    try:
        # Only the status counts, and all of it within the time: a receiver that answers byte by byte holds up nobody.
        async with (
            asyncio.timeout(client.timeout.read),
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            pass
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
        return Attempt.FAILED, type(error).__name__
    if answer.is_success:
        return Attempt.DELIVERED, ""
    why = f"it answered {answer.status_code}"
    if answer.is_server_error or answer.status_code in _AGAIN_LATER:
        return Attempt.FAILED, why
    return Attempt.REFUSED, why


class _Alert(msgspec.Struct, frozen=True):
    """One alert in Alertmanager's writing."""

    status: str
    labels: Labels
    annotations: Labels
    startsAt: str  # noqa: N815 - Alertmanager's name
    endsAt: str  # noqa: N815 - Alertmanager's name
    generatorURL: str  # noqa: N815 - Alertmanager's name
    fingerprint: str


def payload(notification: Notification, receiver: str, external_url: str) -> bytes:
    """Write a notification as Alertmanager's webhook JSON of version 4.

    Args:
        notification: the notification.
        receiver: name of the receiver.
        external_url: base URL of links.
    """
    if notification.kind is NotificationKind.GROUP:
        alerts = [_alert(alert, external_url) for alert in notification.alerts]
    else:
        alerts = [_counts(notification, external_url)]
    document = {
        "version": "4",
        "groupKey": notification.group_key,
        "truncatedAlerts": notification.left_out,
        "status": "firing" if notification.firing else "resolved",
        "receiver": receiver,
        "groupLabels": notification.labels,
        "commonLabels": _common([alert.labels for alert in alerts]),
        "commonAnnotations": _common([alert.annotations for alert in alerts]),
        "externalURL": external_url,
        "alerts": alerts,
    }
    return msgspec.json.encode(document)


def _alert(alert: Told, external_url: str) -> _Alert:
    annotations = {"summary": alert.message, "what_to_do": alert.what_to_do, "source": alert.source}
    return _Alert(
        status="firing" if alert.ended_at is None else "resolved",
        labels={"alertname": alert.labels["rule"], **alert.labels},
        annotations={name: text for name, text in annotations.items() if text},
        startsAt=to_iso(alert.fired_at),
        endsAt=NO_END if alert.ended_at is None else to_iso(alert.ended_at),
        generatorURL=f"{external_url}/v1/alerts/{alert.alert_id}",
        fingerprint=alert.alert_id,
    )


def _counts(notification: Notification, external_url: str) -> _Alert:
    return _Alert(
        status="firing",
        labels={**notification.labels, "severity": notification.severity.value},
        annotations={"summary": notification.summary},
        startsAt=to_iso(notification.at),
        endsAt=NO_END,
        generatorURL=f"{external_url}/v1/alerts",
        fingerprint=notification.notification_id[:16],
    )


def _common(several: list[Labels]) -> Labels:
    first, *others = several
    return {name: value for name, value in first.items() if all(other.get(name) == value for other in others)}
