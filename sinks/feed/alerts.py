"""The alerts that the feed knows: the current transition of each."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable

import msgspec

from schemas.alert import Alert, AlertState, Severity

# Resolved alerts are history, which is asked by SQL; the feed keeps some weeks of them for a page and a glance.
MAX_RESOLVED = 20_000
# Opt-outs fire once for each person and never resolve: without a limit a large company's would fill the memory.
MAX_ALERTS = 100_000

AlertPosition = tuple[int, str]
"""Where an alert stands in the list: the time of its transition, in milliseconds since the epoch, and its id."""


class Transition(msgspec.Struct, frozen=True):
    """One step of an alert's life; `offset` is that of the first record that told of it."""

    offset: int
    state: AlertState
    severity: Severity
    at: int


class HeldAlert(msgspec.Struct, frozen=True):
    """An alert as it stands, and its transitions by sequence."""

    current: Alert
    transitions: dict[int, Transition]


class HeldAlerts:
    """The current transition of each alert, newest first, in bounded memory.

    Args:
        max_resolved: how many resolved alerts are kept; the oldest go first.
        max_alerts: how many alerts are kept at all; the oldest go first.
    """

    def __init__(self, max_resolved: int = MAX_RESOLVED, max_alerts: int = MAX_ALERTS) -> None:
        self._held: dict[str, HeldAlert] = {}
        self._order: list[AlertPosition] = []
        self._resolved: dict[str, None] = {}
        self._max_resolved = max_resolved
        self._max_alerts = max_alerts

    def __len__(self) -> int:
        return len(self._held)

    def apply(self, alert: Alert, offset: int) -> bool:
        """Take a transition in; False if the same transition of the same alert was here before."""
        held = self._held.get(alert.alert_id)
        step = Transition(offset, alert.state, alert.severity, alert.at)
        if held is None:
            self._place(HeldAlert(alert, {alert.sequence: step}))
        elif alert.sequence in held.transitions:
            return False
        else:
            held.transitions[alert.sequence] = step
            if alert.sequence > held.current.sequence:
                self._forget(alert.alert_id)
                self._place(HeldAlert(alert, held.transitions))
        while len(self._resolved) > self._max_resolved:
            self._forget(next(iter(self._resolved)))
        while len(self._held) > self._max_alerts:
            self._forget(next(iter(self._resolved), self._order[0][1]))
        return True

    def repeats(self, alert: Alert, offset: int) -> bool:
        """Whether the record at this offset says again what an earlier record said."""
        held = self._held.get(alert.alert_id)
        step = None if held is None else held.transitions.get(alert.sequence)
        return step is not None and step.offset < offset

    def get(self, alert_id: str) -> HeldAlert | None:
        """One alert; None if it is not known, or no longer."""
        return self._held.get(alert_id)

    def page(
        self, wanted: Callable[[Alert], bool], after: AlertPosition | None, limit: int
    ) -> tuple[list[Alert], AlertPosition | None]:
        """List alerts, newest transition first.

        Args:
            wanted: which alerts to list.
            after: the position of the last alert of the page before; None for the first page.
            limit: how many at most.

        Returns:
            The alerts, and the position to go on from; None if these were the last.
        """
        found: list[Alert] = []
        place = len(self._order) if after is None else bisect_left(self._order, after)
        while place > 0:
            place -= 1
            alert = self._held[self._order[place][1]].current
            if not wanted(alert):
                continue
            if len(found) == limit:
                return found, (found[-1].at, found[-1].alert_id)
            found.append(alert)
        return found, None

    def _place(self, held: HeldAlert) -> None:
        alert = held.current
        self._held[alert.alert_id] = held
        insort(self._order, (alert.at, alert.alert_id))
        if alert.state is AlertState.RESOLVED:
            self._resolved[alert.alert_id] = None

    def _forget(self, alert_id: str) -> None:
        alert = self._held.pop(alert_id).current
        self._resolved.pop(alert_id, None)
        del self._order[bisect_left(self._order, (alert.at, alert_id))]
