"""How well answer_rate_collapse detects: false alarms, delay, and quiet numbers on a campaign-wide bad day.

Traffic: 40 numbers of one campaign, 60 calls a day each, answer rate 28 to 42 % by hour of day, all from fixed seeds.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from math import pi, sin
from random import Random
from statistics import median, quantiles
from time import perf_counter

from schemas.alert import Alert, AlertState, SubjectKind
from schemas.rules import AnswerRateCollapse
from schemas.times import DAY, HOUR, from_iso
from streams.detectors.answer_rate_collapse import step
from streams.detectors.answer_states import CampaignAnswers, NumberAnswers

START = from_iso("2026-11-02T00:00:00Z")
NUMBERS = 40
CALLS_A_DAY = 60
WARM_UP_DAYS = 14


def with_odds(rate: float, ratio: float) -> float:
    """The rate whose odds are those of `rate` times `ratio`."""
    return ratio * rate / (1 - rate + ratio * rate)


def hourly(at: int) -> float:
    """28 to 42 % through the day."""
    return 0.35 + 0.07 * sin(2 * pi * (at % DAY) / DAY)


class Fleet:
    """One campaign, its numbers, and the alerts so far."""

    def __init__(self, settings: AnswerRateCollapse, names: list[str]) -> None:
        self.settings = settings
        self.campaign = CampaignAnswers(settings, "spring")
        self.numbers = {name: NumberAnswers(settings, name, "spring") for name in names}

    def save(self) -> tuple[bytes, dict[str, bytes]]:
        """All state as bytes."""
        return self.campaign.to_bytes(), {name: number.to_bytes() for name, number in self.numbers.items()}

    def load(self, saved: tuple[bytes, dict[str, bytes]]) -> None:
        """Back to a saved state."""
        self.campaign = CampaignAnswers.from_bytes(saved[0], self.settings, "spring")
        self.numbers = {
            name: NumberAnswers.from_bytes(data, self.settings, name, "spring") for name, data in saved[1].items()
        }

    def call(self, name: str, at: int, answered: bool) -> list[Alert]:
        """One ended call; returns new alerts."""
        found = step(self.campaign, self.numbers[name], at, answered)
        return [finding for finding in found if isinstance(finding, Alert)]


def traffic(random: Random, names: list[str], day: int, rho: float) -> Iterator[tuple[str, int, float]]:
    """A day's calls as (number, time, rate); rho is the share of variance between a number's days."""
    spread = (1 - rho) / rho if rho else 0.0
    moved = {name: random.betavariate(0.35 * spread, 0.65 * spread) / 0.35 if rho else 1.0 for name in names}
    total = CALLS_A_DAY * len(names)
    for index in range(total):
        name = names[random.randrange(len(names))]
        at = START + day * DAY + index * DAY // total
        yield name, at, min(hourly(at) * moved[name], 0.95)


def starts(alerts: list[Alert]) -> list[Alert]:
    """The first alert of each run."""
    return [alert for alert in alerts if alert.sequence == 1]


def false_alarms(settings: AnswerRateCollapse, rho: float, days: int, seed: int) -> None:
    """Nothing happens, for many days."""
    random, names = Random(seed), [f"+1202555{index:04d}" for index in range(NUMBERS)]
    fleet = Fleet(settings, names)
    early: list[Alert] = []
    later: list[Alert] = []
    calls = 0
    began = perf_counter()
    for day in range(days):
        for name, at, rate in traffic(random, names, day, rho):
            found = fleet.call(name, at, random.random() < rate)
            if day >= WARM_UP_DAYS:
                calls += 1
                later += found
            else:
                early += found
    cost = (perf_counter() - began) / (days * CALLS_A_DAY * NUMBERS) * 1e6
    by_kind = {kind: sum(alert.subject.kind is kind for alert in starts(later)) for kind in SubjectKind}
    print(
        f"rho {rho}: {len(starts(later)) / calls * 1e4:.2f} false alarms per 10,000 calls over {calls} calls "
        f"(number {by_kind[SubjectKind.NUMBER]}, campaign {by_kind[SubjectKind.CAMPAIGN]}); "
        f"first {WARM_UP_DAYS} days {len(starts(early))}; {cost:.1f} us a call"
    )


def delays(settings: AnswerRateCollapse, trials: int, seed: int) -> None:
    """One number falls from 35 to 12 % at a random hour of a random day."""
    random, names = Random(seed), [f"+1202555{index:04d}" for index in range(NUMBERS // 2)]
    fleet = Fleet(settings, names)
    ratio = (0.12 / 0.88) / (0.35 / 0.65)
    found: list[int] = []
    missed = 0
    day = 0
    for trial in range(trials):
        for day in range(day, day + (WARM_UP_DAYS if trial == 0 else 1)):  # noqa: B020 - goes on from there
            for name, at, rate in traffic(random, names, day, 0.0):
                fleet.call(name, at, random.random() < rate)
        day += 1
        while (victim := names[random.randrange(len(names))]) in fleet.campaign.state.collapses:
            pass
        saved = fleet.save()
        delay = _until_found(fleet, random, names, day, victim, ratio)
        fleet.load(saved)
        if delay is None:
            missed += 1
        else:
            found.append(delay)
    worst = quantiles(found, n=20)[-1]
    print(
        f"35 % to 12 %: {len(found)} of {trials} found within 300 calls, median {median(found):.0f}, "
        f"95 % within {worst:.0f}, worst {max(found)}; missed {missed}"
    )


def _until_found(fleet: Fleet, random: Random, names: list[str], day: int, victim: str, ratio: float) -> int | None:
    calls = 0
    for later in range(day, day + 10):
        for name, at, rate in traffic(random, names, later, 0.0):
            down = name == victim
            calls += down
            if calls > 300:
                return None
            found = fleet.call(name, at, random.random() < (with_odds(rate, ratio) if down else rate))
            if any(alert.subject.value == victim and alert.state is AlertState.FIRING for alert in found):
                return calls
    return None


def bad_days(settings: AnswerRateCollapse, trials: int, seed: int) -> None:
    """A whole campaign's odds fall to 45 % for a day."""
    random, names = Random(seed), [f"+1202555{index:04d}" for index in range(NUMBERS)]
    fleet = Fleet(settings, names)
    firing: list[int] = []
    inhibited: list[int] = []
    campaign_delays: list[float] = []
    day = 0
    for _ in range(trials):
        for _ in range(WARM_UP_DAYS if not day else 3):
            for name, at, rate in traffic(random, names, day, 0.0):
                fleet.call(name, at, random.random() < rate)
            day += 1
        saved = fleet.save()
        alerts: list[Alert] = []
        for name, at, rate in traffic(random, names, day, 0.0):
            alerts += fleet.call(name, at, random.random() < with_odds(rate, 0.45))
        fleet.load(saved)
        numbers = [alert for alert in starts(alerts) if alert.subject.kind is SubjectKind.NUMBER]
        firing.append(sum(alert.state is AlertState.FIRING for alert in numbers))
        inhibited.append(sum(alert.state is AlertState.INHIBITED for alert in numbers))
        campaign_delays += [
            (alert.at - START - day * DAY) / HOUR
            for alert in starts(alerts)
            if alert.subject.kind is SubjectKind.CAMPAIGN
        ][:1]
    print(
        f"campaign-wide bad day, {NUMBERS} numbers, {trials} days: {sum(firing) / trials:.2f} number alerts firing "
        f"a day (most {max(firing)}), {sum(inhibited) / trials:.2f} inhibited; campaign alert "
        f"on {len(campaign_delays)} days, median after {median(campaign_delays):.1f} h"
    )


def main() -> None:
    """Print the figures."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=164, help="days without incident")
    parser.add_argument("--trials", type=int, default=200, help="collapses of one number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--odds-ratio", type=float, default=None)
    parser.add_argument("--false-alarms-per-day", type=float, default=None)
    options = parser.parse_args()
    chosen = {
        key: value
        for key, value in (
            ("odds_ratio", options.odds_ratio),
            ("false_alarms_per_day", options.false_alarms_per_day),
        )
        if value is not None
    }
    settings = AnswerRateCollapse.model_validate(chosen)
    for rho in (0.0, 0.01):
        false_alarms(settings, rho, options.days, options.seed)
    delays(settings, options.trials, options.seed)
    bad_days(settings, 20, options.seed)


if __name__ == "__main__":
    main()
