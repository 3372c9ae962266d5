"""What the router keeps: alerts, groups, silences, and the notifications that it gives."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from schemas.alert import Alert, AlertState, Severity, SubjectKind
from schemas.silence import Silence

Labels = dict[str, str]

# Agents that do their work again after a crash emit what they emitted last; this is far more than one slice of theirs.
MAX_CLOSED = 5_000


def labels_of(alert: Alert) -> Labels:
    """The labels of an alert: rule, kind, value, severity, and campaign and account where it names them."""
    labels = {
        "rule": alert.rule,
        "kind": alert.subject.kind.value,
        "value": alert.subject.value,
        "severity": alert.severity.value,
    }
    campaign = alert.evidence.get("campaign")
    if alert.subject.kind is SubjectKind.CAMPAIGN:
        campaign = alert.subject.value
    account = alert.evidence.get("account", alert.evidence.get("account_sid"))
    if alert.subject.kind is SubjectKind.ACCOUNT:
        account = alert.subject.value
    named = {"campaign": campaign, "account": account}
    return labels | {name: value for name, value in named.items() if isinstance(value, str) and value}


class RoutedAlert(msgspec.Struct):
    """One alert on its way to people.

    Attributes:
        labels: what groups, silences and inhibition go by.
        sequence: of the last transition taken in.
        state: as its detector has it.
        fired_at: event time of the first transition seen, in milliseconds since the epoch.
        ended_at: event time of the resolution; None until then.
        group: key of its group; None if it is not told alert by alert, but may inhibit others.
        told: whether people were told that it fires.
        muted: whether it was silenced or inhibited when its group would have told of it.
        overflowed: whether it was counted instead of told, as there were too many.
    """

    alert_id: str
    labels: Labels
    sequence: int
    state: AlertState
    fired_at: int
    ended_at: int | None
    message: str
    what_to_do: str
    source: str
    group: str | None = None
    told: bool = False
    muted: bool = False
    overflowed: bool = False

    @property
    def matched(self) -> Labels:
        """The labels that matchers see: its own, and its id."""
        return self.labels | {"alert_id": self.alert_id}


class Group(msgspec.Struct):
    """Alerts that are told together.

    Attributes:
        key: names the group, in Alertmanager's writing.
        labels: what its alerts have in common.
        next_flush: when it is looked at next, in milliseconds since the epoch.
        alerts: ids of its alerts, in the order in which they came.
        told_at: when it was told last; None if never.
    """

    key: str
    labels: Labels
    next_flush: int
    alerts: dict[str, None]
    told_at: int | None = None


class RouterState(msgspec.Struct):
    """All that the router keeps.

    Attributes:
        alerts: those that fire, are inhibited, or whose end is still to be told, by id.
        closed: the last sequence of those that are over, by id, the latest last.
        groups: by key.
        silences: by id.
        minute: the minute in which new alerts are counted, in minutes since the epoch.
        new_in_minute: how many were told in it.
        overflow: alerts that were counted instead, by rule.
        overflow_at: when their counts are told; None while there are none.
        digest: alerts below the least severity, by rule.
        digest_at: when their counts are told; None while there are none.
    """

    alerts: dict[str, RoutedAlert] = {}
    closed: dict[str, int] = {}
    groups: dict[str, Group] = {}
    silences: dict[str, Silence] = {}
    minute: int = 0
    new_in_minute: int = 0
    overflow: dict[str, int] = {}
    overflow_at: int | None = None
    digest: dict[str, int] = {}
    digest_at: int | None = None

    def close(self, alert_id: str, sequence: int) -> None:
        """Note that an alert is over, so that what is said of it again is known as such."""
        self.alerts.pop(alert_id, None)
        self.closed.pop(alert_id, None)
        self.closed[alert_id] = sequence
        while len(self.closed) > MAX_CLOSED:
            del self.closed[next(iter(self.closed))]


class NotificationKind(StrEnum):
    """What a notification is of."""

    GROUP = "group"
    OVERFLOW = "overflow"
    DIGEST = "digest"


class Told(msgspec.Struct, frozen=True):
    """One alert as a notification tells it.

    Attributes:
        new: whether this is the first time that people are told of it.
        ended_at: event time of its resolution; None while it fires.
    """

    alert_id: str
    labels: Labels
    message: str
    what_to_do: str
    source: str
    fired_at: int
    ended_at: int | None
    new: bool


class Notification(msgspec.Struct, frozen=True):
    """What people are told at one moment.

    Attributes:
        notification_id: the same whenever this very notification is sent again.
        group_key: the same for all notifications of one group.
        labels: what its alerts have in common.
        at: when it was decided on, in milliseconds since the epoch.
        summary: one line.
        alerts: those that fire, then those that have ended.
        left_out: alerts of the group that fire and were counted instead of told.
        counts: of an overflow or a digest, alerts by rule.
    """

    notification_id: str
    kind: NotificationKind
    group_key: str
    labels: Labels
    severity: Severity
    at: int
    summary: str
    alerts: list[Told]
    left_out: int = 0
    counts: dict[str, int] = {}

    @property
    def firing(self) -> bool:
        """Whether anything in it still fires; counts always do."""
        return self.kind is not NotificationKind.GROUP or any(alert.ended_at is None for alert in self.alerts)


def notification_id(group_key: str, at: int, what: Mapping[str, object]) -> str:
    """Name a notification by what it says."""
    said = "\x1f".join((group_key, str(at), *(f"{key}={value}" for key, value in sorted(what.items()))))
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def group_key(labels: Labels) -> str:
    """Write a group's key as Alertmanager does.

    >>> group_key({"rule": "volume_spike", "campaign": "spring-sale"})
    '{}:{campaign="spring-sale", rule="volume_spike"}'
    """
    inner = ", ".join(f"{name}={msgspec.json.encode(value).decode()}" for name, value in sorted(labels.items()))
    return f"{{}}:{{{inner}}}"
