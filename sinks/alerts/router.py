"""The router: from transitions of alerts and moments to notifications. Pure: time is an argument."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

import msgspec

from schemas.alert import Alert, AlertState, Severity, SubjectKind
from schemas.alerting import Alerting
from schemas.silence import Silence
from schemas.times import DAY, HOUR, MINUTE, SECOND
from sinks.alerts.inhibition import Sources, is_inhibited, sources_of
from sinks.alerts.notices import digest_notice, group_notice, overflow_notice
from sinks.alerts.states import Group, Labels, Notification, RoutedAlert, RouterState, group_key, labels_of

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
# Where not all can be told, what stands above others is told first.
_KINDS = {SubjectKind.ACCOUNT: 0, SubjectKind.CAMPAIGN: 1, SubjectKind.NUMBER: 2, SubjectKind.CONTACT: 3}
_MAY_INHIBIT = frozenset({SubjectKind.ACCOUNT, SubjectKind.CAMPAIGN})

# Alerts that fire at once and are worth telling: beyond this the oldest are let go, and only the history has them.
MAX_ALERTS = 10_000
# As long as Alertmanager shows silences that have ended.
_SILENCES_SHOWN = 5 * DAY
# The end of an alert and its acknowledgement lie in two topics; by then both were read.
_ACKNOWLEDGED_IN_VAIN = DAY


class _Look(msgspec.Struct):
    """A group as it is at one moment: what fires, what fires and nobody was told of, and what has ended."""

    group: Group
    standing: list[RoutedAlert] = []
    fresh: list[RoutedAlert] = []
    ended: list[RoutedAlert] = []
    over: list[RoutedAlert] = []
    left_out: int = 0


class Router:
    """Decides who is told what and when, as Alertmanager does: grouping, inhibition, silences, repetition.

    An alert is told once when it fires, if nothing mutes it when its group is due; once more with each repetition of
    its group; and once when it has resolved. One that resolved before its group was due is told as resolved, so that
    nothing is lost by a program that was not running. What a silence mutes is not told at all.

    Args:
        settings: times and limits.
        state: what an earlier router kept; it is changed.
    """

    def __init__(self, settings: Alerting, state: RouterState | None = None) -> None:
        self._settings = settings
        self.state = state if state is not None else RouterState()

    def take(self, alert: Alert, now: int) -> None:
        """Take a transition in; one that is not newer than the last one of its alert says nothing new.

        Args:
            alert: the transition, in the order of the log.
            now: milliseconds since the epoch.
        """
        known = self.state.alerts.get(alert.alert_id)
        closed = self.state.closed.get(alert.alert_id)
        if alert.sequence <= (known.sequence if known is not None else closed or 0):
            return
        if known is not None:
            self._move(known, alert, now)
        elif closed is not None:
            self.state.closed[alert.alert_id] = alert.sequence
        elif alert.state is not AlertState.RESOLVED:
            self._admit(alert, now)

    def take_silence(self, silence: Silence) -> None:
        """Take a silence in as it stands, in the order of the log."""
        alert_id = silence.matchers.alert_id
        if alert_id is not None and alert_id in self.state.closed and silence.ends_at is None:
            silence = msgspec.structs.replace(silence, ends_at=silence.created_at)
        self.state.silences[silence.silence_id] = silence

    def begin(self, now: int) -> None:
        """Let go of what is over, after a log was read from its beginning: it ended before anybody was there to tell.

        Args:
            now: milliseconds since the epoch.
        """
        self.forget_ended()
        self.state.digest, self.state.digest_at = {}, None
        for silence in list(self.state.silences.values()):
            alert_id = silence.matchers.alert_id
            if alert_id is not None and silence.ends_at is None and alert_id not in self.state.alerts:
                self.state.silences[silence.silence_id] = msgspec.structs.replace(silence, ends_at=now)

    def forget_ended(self) -> None:
        """Let go of alerts that have resolved and whose end nobody was told of."""
        for alert in [alert for alert in self.state.alerts.values() if alert.ended_at is not None]:
            self._drop(alert)

    def next_due(self) -> int | None:
        """When `due` will have something to look at, in milliseconds since the epoch; None if never."""
        moments = [group.next_flush for group in self.state.groups.values()]
        moments += [at for at in (self.state.overflow_at, self.state.digest_at) if at is not None]
        return min(moments, default=None)

    def due(self, now: int) -> list[Notification]:
        """Give what is to be told now, and keep that it was told.

        Args:
            now: milliseconds since the epoch; never less than before.
        """
        state = self.state
        self._forget_silences(now)
        groups = [group for group in state.groups.values() if group.next_flush <= now]
        holding = [silence for silence in state.silences.values() if silence.holds(now)]
        sources = sources_of(state.alerts.values()) if groups else frozenset()
        looks = [self._look(group, holding, sources) for group in groups]
        self._count([alert for look in looks for alert in look.fresh], now)
        found = [notice for look in looks if (notice := self._flush(look, now)) is not None]
        if state.overflow_at is not None and state.overflow_at <= now:
            found.append(overflow_notice(state.overflow, now, self._settings.new_alerts_per_minute))
            state.overflow, state.overflow_at = {}, None
        if state.digest_at is not None and state.digest_at <= now:
            found.append(digest_notice(state.digest, now, self._settings))
            state.digest, state.digest_at = {}, None
        return found

    def _admit(self, alert: Alert, now: int) -> None:
        labels = labels_of(alert)
        wanted = _RANK[alert.severity] <= _RANK[self._settings.notify_severity]
        if not wanted:
            if alert.state is AlertState.FIRING:
                self.state.digest[alert.rule] = self.state.digest.get(alert.rule, 0) + 1
                if self.state.digest_at is None:
                    self.state.digest_at = now + round(self._settings.digest_hours * HOUR)
            if alert.subject.kind not in _MAY_INHIBIT:
                self.state.close(alert.alert_id, alert.sequence)
                return
        self.state.alerts[alert.alert_id] = RoutedAlert(
            alert_id=alert.alert_id,
            labels=labels,
            sequence=alert.sequence,
            state=alert.state,
            fired_at=alert.at,
            ended_at=None,
            message=alert.message,
            what_to_do=_text(alert, "what_to_do"),
            source=_text(alert, "source"),
            muted=alert.state is AlertState.INHIBITED,
        )
        if wanted:
            self._group(self.state.alerts[alert.alert_id], now)
        if len(self.state.alerts) > MAX_ALERTS:
            self._make_room(now)

    def _make_room(self, now: int) -> None:
        """Let go of the least urgent tenth, as finding one takes as long; what nobody was told of is counted."""
        last = heapq.nlargest(
            MAX_ALERTS // 10,
            self.state.alerts.values(),
            key=lambda alert: (alert.told or alert.overflowed, *_urgency(alert)),
        )
        for alert in last:
            if alert.group is not None and not alert.told and not alert.overflowed:
                self._count_over(alert, now)
            self._drop(alert)

    def _count_over(self, alert: RoutedAlert, now: int) -> None:
        rule = alert.labels["rule"]
        self.state.overflow[rule] = self.state.overflow.get(rule, 0) + 1
        if self.state.overflow_at is None:
            self.state.overflow_at = (now // MINUTE + 1) * MINUTE

    def _group(self, alert: RoutedAlert, now: int) -> None:
        common: Labels = {name: alert.labels[name] for name in self._settings.group_by if name in alert.labels}
        alert.group = group_key(common)
        group = self.state.groups.get(alert.group)
        if group is None:
            wait = round(self._settings.group_wait_seconds * SECOND)
            group = self.state.groups[alert.group] = Group(alert.group, common, now + wait, {})
        group.alerts[alert.alert_id] = None

    def _move(self, known: RoutedAlert, alert: Alert, now: int) -> None:
        if alert.state is AlertState.INHIBITED:
            known.muted = True
        elif alert.state is AlertState.FIRING and known.state is AlertState.INHIBITED:
            known.muted = False
        known.sequence = alert.sequence
        known.message = "" if known.overflowed else alert.message
        if alert.state is AlertState.ACKNOWLEDGED:
            return
        known.state = alert.state
        if alert.state is not AlertState.RESOLVED:
            return
        known.ended_at = alert.at
        for silence in list(self.state.silences.values()):
            if silence.matchers.alert_id == alert.alert_id and silence.ends_at is None:
                known.muted = True
                self.state.silences[silence.silence_id] = msgspec.structs.replace(silence, ends_at=now)
        if known.overflowed or known.group is None:
            self._drop(known)

    def _look(self, group: Group, holding: Sequence[Silence], sources: Sources) -> _Look:
        look = _Look(group)
        for alert in [self.state.alerts[alert_id] for alert_id in group.alerts]:
            if alert.overflowed:
                look.left_out += 1
                continue
            silenced = any(silence.matchers.match(alert.matched) for silence in holding)
            muted = silenced or is_inhibited(alert, sources)
            if alert.ended_at is not None:
                look.over.append(alert)
                if alert.told and not silenced:
                    # Whoever was told of an alert is told of its end, whatever inhibits it meanwhile.
                    look.ended.append(alert)
                elif not alert.told and not alert.muted and not muted:
                    look.fresh.append(alert)
            elif muted:
                alert.muted = True
            elif alert.told:
                look.standing.append(alert)
            else:
                look.fresh.append(alert)
        return look

    def _count(self, fresh: Iterable[RoutedAlert], now: int) -> None:
        """Mark as told what the minute has room for, and count the rest."""
        state = self.state
        if state.minute != now // MINUTE:
            state.minute, state.new_in_minute = now // MINUTE, 0
        for alert in sorted(fresh, key=_urgency):
            if state.new_in_minute < self._settings.new_alerts_per_minute:
                state.new_in_minute += 1
                alert.told = True
                continue
            alert.overflowed = True
            # It stays to be counted, perhaps among thousands: nobody reads its words here any more.
            alert.message = alert.what_to_do = alert.source = ""
            self._count_over(alert, now)

    def _flush(self, look: _Look, now: int) -> Notification | None:
        group = look.group
        if not group.alerts:
            del self.state.groups[group.key]
            return None
        group.next_flush = now + round(self._settings.group_interval_seconds * SECOND)
        new = [alert for alert in look.fresh if alert.told]
        left_out = look.left_out + sum(alert.overflowed and alert.ended_at is None for alert in look.fresh)
        repeat = round(self._settings.repeat_interval_hours * HOUR)
        repeated = bool(look.standing) and group.told_at is not None and now - group.told_at >= repeat
        for alert in look.over:
            self._drop(alert)
        if not (new or look.ended or repeated):
            return None
        group.told_at = now
        return group_notice(group, new, look.standing, look.ended, left_out, now)

    def _forget_silences(self, now: int) -> None:
        for silence in list(self.state.silences.values()):
            alert_id = silence.matchers.alert_id
            in_vain = alert_id is not None and alert_id not in self.state.alerts
            if silence.ends_at is None and in_vain and silence.created_at + _ACKNOWLEDGED_IN_VAIN <= now:
                self.state.silences[silence.silence_id] = msgspec.structs.replace(silence, ends_at=now)
            elif silence.ends_at is not None and silence.ends_at + _SILENCES_SHOWN <= now:
                del self.state.silences[silence.silence_id]

    def _drop(self, alert: RoutedAlert) -> None:
        if alert.group is not None:
            del self.state.groups[alert.group].alerts[alert.alert_id]
        self.state.close(alert.alert_id, alert.sequence)


def _urgency(alert: RoutedAlert) -> tuple[int, int, int, str]:
    labels = alert.labels
    return _RANK[Severity(labels["severity"])], _KINDS[SubjectKind(labels["kind"])], alert.fired_at, alert.alert_id


def _text(alert: Alert, name: str) -> str:
    value = alert.evidence.get(name)
    return value if isinstance(value, str) else ""
