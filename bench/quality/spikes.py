"""Spikes put into the real volumes of a call centre: what the rule finds, how soon, and what it says without them.

The first 60 % of the days teach, the rest is looked at. A spike multiplies the calls of 15, 30 or 60 minutes; the added
calls are spread evenly like the others, so that the time of the alarm within five minutes is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import msgspec
import numpy as np

from bench.quality.call_volumes import BUCKET, call_volumes
from bench.quality.comparison import river_python
from bench.quality.figures import Figure
from bench.quality.volume_limits import all_limits
from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rules import VolumeSpike as Settings
from schemas.times import DAY, HOUR, MINUTE, WEEK
from streams.detectors.volume_spike import VolumeSpike

PART = "spikes"
SEED = 61
SUBJECT = Subject(SubjectKind.ACCOUNT, "bank")
LATENESS = 2 * MINUTE
TAUGHT = 0.6
FACTORS = (1.5, 2.0, 3.0)
MINUTES = (15, 30, 60)
TRIALS = 60
"""Spikes of each size and length."""

FIRST, LAST = 8 * HOUR, 19 * HOUR
"""Spikes begin between these times of day."""

RULE = "volume_spike, defaults"

Volumes = dict[int, int]


class Spike(msgspec.Struct, frozen=True):
    """Calls times `factor` from `start` to `end`, on one of the days looked at."""

    day: int
    start: int
    end: int
    factor: float

    def of(self, day: Volumes) -> Volumes:
        """The day's counts with the spike in them."""
        return {at: round(calls * self.factor) if self.start <= at < self.end else calls for at, calls in day.items()}


def measure() -> list[Figure]:
    """Run the rule and the plain limits over the volumes."""
    days = call_volumes(river_python())
    cut = round(len(days) * TAUGHT)
    past, present = days[:cut], days[cut:]
    settings = Settings()
    limits = all_limits(past, settings)
    spikes = list(draw(present))
    figures: list[Figure] = []
    for name, own in (
        (RULE, settings),
        ("the same, dispersion 0.01", Settings(dispersion=0.01)),
        ("the same, dispersion 0.005", Settings(dispersion=0.005)),
    ):
        rule = TaughtRule(own, past, present)
        figures += _figures(name, rule.false_alarms / len(present), spikes, [rule.delay(spike) for spike in spikes])
    for name, by_slot in limits.items():
        false_alarms = sum(runs_over(day, by_slot, settings.calm_buckets) for day in present)
        delays = [delay_over(spike, present[spike.day], by_slot) for spike in spikes]
        figures += _figures(name, false_alarms / len(present), spikes, delays)
    return figures


class TaughtRule:
    """The rule after the past, with its state on each morning of the days looked at.

    Args:
        settings: the rule's settings.
        past: the days that teach.
        present: the days that are looked at.

    Attributes:
        false_alarms: alerts on the days looked at, none of which has a spike put in; real ones may be among them.
    """

    def __init__(self, settings: Settings, past: list[Volumes], present: list[Volumes]) -> None:
        self._settings = settings
        self._present = present
        self._mornings: list[bytes] = []
        self.false_alarms = 0
        rule = VolumeSpike(settings, SUBJECT, LATENESS)
        for day in past:
            for at, calls in day.items():
                rule.update(at, calls, at)
        for day in present:
            self._mornings.append(rule.to_bytes())
            for at, calls in day.items():
                self.false_alarms += sum(_fires(found) for found in rule.update(at, calls, at))

    def delay(self, spike: Spike) -> float | None:
        """Minutes from the start of a spike to its alert, call by call; None if none fires before its end.

        An alert that was under way when the spike began is none of its own.
        """
        rule = VolumeSpike.from_bytes(self._mornings[spike.day], self._settings, SUBJECT, LATENESS)
        for at, calls in spike.of(self._present[spike.day]).items():
            if at >= spike.end:
                break
            if at < spike.start:
                rule.update(at, calls, at)
                continue
            for event in events(at, calls):
                if any(map(_fires, rule.update(event, 1, event))):
                    return (event - spike.start) / MINUTE
        return None


def draw(present: list[Volumes]) -> Iterator[Spike]:
    """Draw spikes of each size and length at random times of random days."""
    random = np.random.default_rng(SEED)
    for factor in FACTORS:
        for minutes in MINUTES:
            for _ in range(TRIALS):
                day = int(random.integers(len(present)))
                midnight = min(present[day]) // DAY * DAY
                start = midnight + int(random.integers(FIRST // BUCKET, LAST // BUCKET)) * BUCKET
                yield Spike(day, start, start + minutes * MINUTE, factor)


def events(at: int, calls: int) -> Iterator[int]:
    """The times of a bucket's calls, evenly spread."""
    return (at + index * BUCKET // calls for index in range(calls))


def runs_over(day: Volumes, by_slot: dict[int, int], calm: int) -> int:
    """Alerts of a limit on a day: runs of buckets over it, which so many calm buckets end, as in the rule."""
    runs, quiet = 0, calm
    for at, calls in day.items():
        if calls <= by_slot.get(at % WEEK, calls):
            quiet += 1
            continue
        runs += quiet >= calm
        quiet = 0
    return runs


def delay_over(spike: Spike, day: Volumes, by_slot: dict[int, int]) -> float | None:
    """Minutes from the start of a spike until the calls of a bucket pass its limit; None if none do."""
    for at, calls in spike.of(day).items():
        limit = by_slot.get(at % WEEK)
        if spike.start <= at < spike.end and limit is not None and calls > limit:
            return (at + limit * BUCKET / calls - spike.start) / MINUTE
    return None


def _fires(found: object) -> bool:
    return isinstance(found, Alert) and found.state is AlertState.FIRING


def _figures(name: str, false_alarms: float, spikes: list[Spike], delays: list[float | None]) -> list[Figure]:
    def figure(measure: str, unit: str, value: float | None, note: str = "") -> Figure:
        return Figure(part=PART, name=name, measure=measure, unit=unit, value=value, note=note)

    figures = [figure("false alarms", "a day", round(false_alarms, 3), "without any spike put in")]
    for factor in FACTORS:
        own = [delay for spike, delay in zip(spikes, delays, strict=True) if spike.factor == factor]
        found = [delay for delay in own if delay is not None]
        figures.append(figure(f"× {factor:g} found", "share", round(len(found) / len(own), 3)))
        late = round(median(found), 2) if found else None
        figures.append(figure(f"× {factor:g}: median delay", "minutes", late, "" if found else "none was found"))
    return figures
