"""What a scenario injects, turned by the seed and set on the clock: what changes for a number, and what is true."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.times import MINUTE
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
    """

    onset: int
    end: int | None
    odds: float = 1.0
    volume: float = 1.0

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
    """Set the scenario's collapses and spikes on the clock.

    Returns:
        What changes, by number, and what is true.
    """
    changes: dict[str, list[Change]] = {}
    incidents = []
    everything: tuple[Collapse | Spike, ...] = (*scenario.collapses, *scenario.spikes)
    for injected in everything:
        numbers = fleet[injected.campaign]
        if injected.number is not None:
            numbers = (turned(numbers, injected.number, seed),)
        onset = aligned(ending_at - injected.starts)
        end = None if injected.ends is None else aligned(ending_at - injected.ends)
        change = _change(injected, onset, end)
        for number in numbers:
            changes.setdefault(number.number, []).append(change)
        incidents.append(_incident(injected, change, numbers[0]))
    return {number: tuple(held) for number, held in changes.items()}, incidents


def _change(injected: Collapse | Spike, onset: int, end: int | None) -> Change:
    if isinstance(injected, Collapse):
        return Change(onset=onset, end=end, odds=injected.odds)
    return Change(onset=onset, end=end, volume=injected.factor)


def _incident(injected: Collapse | Spike, change: Change, number: Number) -> Incident:
    campaign = number.campaign
    if injected.number is None:
        subject = Subject(SubjectKind.CAMPAIGN, campaign.name)
    else:
        subject = Subject(SubjectKind.NUMBER, number.number)
    if isinstance(injected, Collapse):
        odds = campaign.answer_rate / (1.0 - campaign.answer_rate) * injected.odds
        rule = "answer_rate_collapse"
        note = f"answers fall from about {campaign.answer_rate:.0%} to {odds / (1.0 + odds):.0%}"
    else:
        rule = "volume_spike"
        wider = "account" if injected.number is None else "campaign and account"
        note = f"{injected.factor:g} times the calls of the hour; the {wider} may jump with it"
    return Incident(rule=rule, subject=subject, onset=change.onset, end=change.end, note=note)
