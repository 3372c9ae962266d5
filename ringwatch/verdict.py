"""What was injected held against what was found: each incident once, by the right rule, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from schemas.alert import Alert, AlertState
from schemas.times import MINUTE, to_iso
from streams.ingest.simulator import Incident, Truth

# Timestamps are whole seconds, and facts may be out of order by the lateness.
_SLACK = 2 * MINUTE


class Run(msgspec.Struct, frozen=True):
    """One alert from its first transition on.

    Attributes:
        first: the transition that told of it; an alert that was inhibited all along tells nobody and is no run.
        transitions: how many there were.
    """

    first: Alert
    transitions: int


class Finding(msgspec.Struct, frozen=True):
    """What became of one incident.

    Attributes:
        incident: what was injected.
        runs: the alerts of its rule and subject since it began.
        onset_is_right: whether the first of them names an onset within the incident's tolerance.
    """

    incident: Incident
    runs: tuple[Run, ...]
    onset_is_right: bool

    @property
    def is_right(self) -> bool:
        """Whether it was found once, with the right onset."""
        return len(self.runs) == 1 and self.onset_is_right

    def told(self) -> str:
        """One line for a person."""
        incident = self.incident
        subject = f"{incident.rule}  {incident.subject.kind.value} {incident.subject.value}"
        injected = f"injected {to_iso(incident.onset)[:19]}Z"
        if not self.runs:
            return f"missed    {subject}: {injected}, {incident.note}"
        first = self.runs[0].first
        after = (first.at - incident.onset) / MINUTE
        found = f"{injected}, told after {after:,.1f} minutes, since {to_iso(first.since)[:19]}Z"
        if len(self.runs) > 1:
            return f"repeated  {subject}: {found}, {len(self.runs)} times"
        return f"{'found' if self.onset_is_right else 'off':9} {subject}: {found}"


class Verdict(msgspec.Struct, frozen=True):
    """What became of all incidents, and what was raised beside them.

    Attributes:
        findings: one for each incident.
        extra: alerts that no incident explains.
        allowed: how many of them chance may raise.
        companions: alerts that came with an incident, as they may.
    """

    findings: tuple[Finding, ...]
    extra: tuple[Run, ...]
    allowed: int
    companions: tuple[Run, ...]

    @property
    def is_right(self) -> bool:
        """Whether every incident was found once, and no more was raised than chance explains."""
        return all(finding.is_right for finding in self.findings) and len(self.extra) <= self.allowed

    def told(self) -> Iterator[str]:
        """Lines for a person: each incident, each extra alert, and how it adds up."""
        yield from (finding.told() for finding in self.findings)
        for name, runs in (("with it", self.companions), ("extra", self.extra)):
            for run in runs:
                one = run.first
                when = f"{to_iso(one.at)[:19]}Z"
                yield f"{name:9} {one.rule}  {one.subject.kind.value} {one.subject.value}: {when}, {one.message}"
        right = sum(finding.is_right for finding in self.findings)
        chance = f" (chance may raise {self.allowed})" if self.allowed else ""
        yield (
            f"{right} of {len(self.findings)} incidents found once, {len(self.companions)} alerts that come with them, "
            f"{len(self.extra)} extra{chance}"
        )


def judge(truth: Truth, alerts: Iterable[Alert]) -> Verdict:
    """Hold the transitions of alerts against what was injected.

    Args:
        truth: what was injected.
        alerts: all transitions, in order of time.
    """
    left = _runs(alerts)
    findings = []
    for incident in truth.incidents:
        own = [run for run in left if _is_of(run, incident)]
        left = [run for run in left if run not in own]
        right = bool(own) and abs(own[0].first.since - incident.onset) <= incident.tolerance + _SLACK
        findings.append(Finding(incident, tuple(own), right))
    companions, extra = _explained(truth.incidents, left)
    return Verdict(tuple(findings), tuple(extra), truth.false_alarms, tuple(companions))


def _runs(alerts: Iterable[Alert]) -> list[Run]:
    by_id: dict[str, list[Alert]] = {}
    for alert in alerts:
        by_id.setdefault(alert.alert_id, []).append(alert)
    runs = []
    for transitions in by_id.values():
        first = next((one for one in transitions if one.state is AlertState.FIRING), None)
        if first is not None:
            runs.append(Run(first, len(transitions)))
    return sorted(runs, key=lambda run: (run.first.at, run.first.alert_id))


def _is_of(run: Run, incident: Incident) -> bool:
    one = run.first
    return (one.rule, one.subject) == (incident.rule, incident.subject) and one.at >= incident.onset - _SLACK


def _explained(incidents: Sequence[Incident], runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """Part the runs into those that may come with an incident and the others."""
    spent: dict[tuple[int, int], int] = {}
    companions, extra = [], []
    for run in runs:
        place = _companion_place(incidents, run, spent)
        if place is None:
            extra.append(run)
        else:
            spent[place] = spent.get(place, 0) + 1
            companions.append(run)
    return companions, extra


def _companion_place(
    incidents: Sequence[Incident], run: Run, spent: dict[tuple[int, int], int]
) -> tuple[int, int] | None:
    one = run.first
    for index, incident in enumerate(incidents):
        if one.at < incident.onset - _SLACK or one.subject.value not in {*incident.touches, incident.subject.value}:
            continue
        for place, companion in enumerate(incident.also):
            is_same = (companion.rule, companion.kind) == (one.rule, one.subject.kind)
            if is_same and (companion.most is None or spent.get((index, place), 0) < companion.most):
                return index, place
    return None
