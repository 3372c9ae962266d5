"""Which alerts keep others from being told: a campaign's its numbers', an account's its campaigns' and numbers'."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.alert import AlertState, SubjectKind
from sinks.alerts.states import RoutedAlert

_CAMPAIGN = SubjectKind.CAMPAIGN.value
_NUMBER = SubjectKind.NUMBER.value
_ACCOUNT = SubjectKind.ACCOUNT.value

Sources = frozenset[tuple[str, str, str]]
"""Rule, kind and value of the alerts that inhibit."""


def sources_of(alerts: Iterable[RoutedAlert]) -> Sources:
    """Find what may inhibit: campaigns and accounts of which an alert fires, told or not."""
    return frozenset(
        (alert.labels["rule"], alert.labels["kind"], alert.labels["value"])
        for alert in alerts
        if alert.state is AlertState.FIRING and alert.labels["kind"] in {_CAMPAIGN, _ACCOUNT}
    )


def is_inhibited(alert: RoutedAlert, sources: Sources) -> bool:
    """Whether its detector says so, or another alert tells of what is behind it.

    Args:
        alert: the alert.
        sources: the alerts that fire now, see `sources_of`.
    """
    if alert.state is AlertState.INHIBITED:
        return True
    labels = alert.labels
    rule, kind = labels["rule"], labels["kind"]
    if kind == _NUMBER and "campaign" in labels and (rule, _CAMPAIGN, labels["campaign"]) in sources:
        return True
    return kind in {_NUMBER, _CAMPAIGN} and "account" in labels and (rule, _ACCOUNT, labels["account"]) in sources
