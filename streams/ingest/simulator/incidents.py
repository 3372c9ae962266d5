"""What a scenario injects, turned by the seed and set on the clock: what changes for a number, and what is true."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.times import MINUTE
from streams.ingest.simulator.faults import NONE, Fault, Twist
from streams.ingest.simulator.fleet import Number
from streams.ingest.simulator.scenario import Collapse, Scenario, Spike
from streams.ingest.simulator.truth import Incident

# Incidents begin with a bucket of the rules that look for them.
_BUCKET = 5 * MINUTE


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an incident does to a number while it holds.

    Attributes:
        onset: from when, in milliseconds since the epoch.
        end: until when; None is for good.
        odds: what the odds of an answer are multiplied by.
        volume: what the volume is multiplied by.
        labelled: whether its number is labelled, so that unanswered calls end in other ways.
        twist: what else is different.
    """

    onset: int
    end: int | None
    odds: float = 1.0
    volume: float = 1.0
    labelled: bool = False
    twist: Twist = NONE

    def holds(self, at: int) -> bool:
        """Whether the incident goes on at a time."""
        return self.onset <= at and (self.end is None or at < self.end)


Fleet = tuple[tuple[Number, ...], ...]


def turned(numbers: tuple[Number, ...], position: int, seed: int) -> Number:
    """The number at a position, which the seed turns so that not every simulation hits the same one."""
    return numbers[(position + seed) % len(numbers)]


def aligned(at: int) -> int:
    """The start of the bucket that a time lies in."""
    return at // _BUCKET * _BUCKET


def changes_by_number(
    scenario: Scenario, fleet: Fleet, seed: int, ending_at: int
) -> tuple[dict[str, tuple[Change, ...]], list[Incident]]:
    """Set the scenario's collapses, spikes and faults on the clock.

    Returns:
        What changes, by number, and what is true.
    """
    changes: dict[str, list[Change]] = {}
    incidents = []
    everything: tuple[Collapse | Spike | Fault, ...] = (*scenario.collapses, *scenario.spikes, *scenario.faults)
    for injected in everything:
        numbers = hit(injected, fleet, seed)
        onset = aligned(ending_at - injected.starts)
        end = None if injected.ends is None else aligned(ending_at - injected.ends)
        made = tuple(_changes(injected, onset, end))
        for number in numbers:
            changes.setdefault(number.number, []).extend(made)
        if isinstance(injected, Fault):
            incident = _incident_of_fault(scenario, injected, onset, end, numbers[0])
        else:
            incident = _incident(scenario, injected, onset, end, numbers[0])
        touches = (*(number.number for number in numbers), numbers[0].campaign.name, scenario.account_sid)
        incidents.append(msgspec.structs.replace(incident, touches=touches))
    return {number: tuple(held) for number, held in changes.items()}, incidents


def hit(injected: Collapse | Spike | Fault, fleet: Fleet, seed: int) -> tuple[Number, ...]:
    """The numbers that something happens to: one, a campaign's, or all of the account's."""
    if isinstance(injected, Fault) and injected.of_account:
        return tuple(number for numbers in fleet for number in numbers)
    numbers = fleet[injected.campaign]
    return numbers if injected.number is None else (turned(numbers, injected.number, seed),)


def _changes(injected: Collapse | Spike | Fault, onset: int, end: int | None) -> Iterator[Change]:
    if isinstance(injected, Collapse):
        yield Change(onset=onset, end=end, odds=injected.odds, labelled=True)
    elif isinstance(injected, Spike):
        yield Change(onset=onset, end=end, volume=injected.factor)
    else:
        twist, before = injected.twist, injected.before
        if before is not NONE:
            yield Change(onset=0, end=onset, odds=before.odds, volume=before.volume, twist=before)
        if injected.rests:
            yield Change(onset=onset - injected.rests, end=onset, volume=0.0)
        yield Change(onset=onset, end=end, odds=twist.odds, volume=twist.volume, twist=twist)


def _subject(scenario: Scenario, injected: Collapse | Spike | Fault, number: Number) -> Subject:
    """What the alert about it is about; the number is one of those that it happens to."""
    if isinstance(injected, Fault) and injected.of_account:
        return Subject(SubjectKind.ACCOUNT, scenario.account_sid)
    if injected.number is None:
        return Subject(SubjectKind.CAMPAIGN, number.campaign.name)
    return Subject(SubjectKind.NUMBER, number.number)


def _incident(scenario: Scenario, injected: Collapse | Spike, onset: int, end: int | None, number: Number) -> Incident:
    campaign, subject = number.campaign, _subject(scenario, injected, number)
    if isinstance(injected, Collapse):
        odds = campaign.answer_rate / (1.0 - campaign.answer_rate) * injected.odds
        rule = "answer_rate_collapse"
        note = f"answers fall from about {campaign.answer_rate:.0%} to {odds / (1.0 + odds):.0%}"
    else:
        rule = "volume_spike"
        wider = "account" if injected.number is None else "campaign and account"
        note = f"{injected.factor:g} times the calls of the hour; the {wider} may jump with it"
    return Incident(rule=rule, subject=subject, onset=onset, end=end, note=note, also=injected.also)


def _incident_of_fault(scenario: Scenario, fault: Fault, onset: int, end: int | None, number: Number) -> Incident:
    return Incident(
        rule=fault.rule,
        subject=_subject(scenario, fault, number),
        onset=onset,
        end=end,
        note=fault.note,
        tolerance=fault.tolerance,
        also=fault.also,
    )
