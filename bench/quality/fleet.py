"""The real rule over a campaign's calls, as the stage of numbers runs it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from bench.quality.traffic import NUMBERS, WARM_UP_DAYS, Day, a_day
from bench.quality.trials import DAYS, FALLEN_DAYS, LIMIT, SEED, TRIALS, Judged, fallen_day, victim
from schemas.alert import Alert, AlertState
from schemas.rules import AnswerRateCollapse
from streams.detectors.answer_rate_collapse import step
from streams.detectors.answer_states import CampaignAnswers, NumberAnswers

CAMPAIGN = "spring"

Saved = tuple[bytes, list[bytes]]


class Fleet:
    """One campaign, its numbers, and what the rule says of their calls.

    Args:
        settings: the rule's settings.
    """

    def __init__(self, settings: AnswerRateCollapse) -> None:
        self.settings = settings
        self.names = [f"+1202555{index:04d}" for index in range(NUMBERS)]
        self.campaign = CampaignAnswers(settings, CAMPAIGN)
        self.numbers = [NumberAnswers(settings, name, CAMPAIGN) for name in self.names]

    def save(self) -> Saved:
        """All state as bytes."""
        return self.campaign.to_bytes(), [number.to_bytes() for number in self.numbers]

    def load(self, saved: Saved) -> None:
        """Back to a saved state."""
        self.campaign = CampaignAnswers.from_bytes(saved[0], self.settings, CAMPAIGN)
        self.numbers = [
            NumberAnswers.from_bytes(data, self.settings, name, CAMPAIGN)
            for name, data in zip(self.names, saved[1], strict=True)
        ]

    def run(self, day: Day) -> Iterator[tuple[int, list[Alert]]]:
        """Run a day; gives the number of each call and the alerts that it brought."""
        for at, number, answered in zip(day.at.tolist(), day.number.tolist(), day.answered.tolist(), strict=True):
            found = step(self.campaign, self.numbers[number], at, answered)
            yield number, [finding for finding in found if isinstance(finding, Alert)] if found else []

    def down(self, number: int) -> bool:
        """Whether an alert of a number is under way."""
        return self.names[number] in self.campaign.state.collapses


def firings(alerts: list[Alert]) -> int:
    """How many runs were told to people: the first alert of each that nothing inhibits."""
    return sum(alert.sequence == 1 and alert.state is AlertState.FIRING for alert in alerts)


def judge_rule(
    settings: AnswerRateCollapse, odds: tuple[float, ...], days: int = DAYS, trials: int = TRIALS
) -> list[Judged]:
    """How the rule does on the streams that the other detectors get, one verdict for each size of fall.

    Every alert counts as a false alarm while nothing happens, of a number or of the campaign. A trial whose victim has
    a false alarm under way when it falls is left out.
    """
    fleet = Fleet(settings)
    calls = false_alarms = 0
    spent = 0.0
    delays: list[list[int | None]] = [[] for _ in odds]
    for day in range(days):
        trial = day - WARM_UP_DAYS
        if 0 <= trial < trials and not fleet.down(victim(trial)):
            saved = fleet.save()
            for fall, found in zip(odds, delays, strict=True):
                found.append(delay_of(fleet, trial, fall))
                fleet.load(saved)
        drawn = a_day(SEED, day)
        began = time.process_time()
        alerts = [alert for _, found in fleet.run(drawn) for alert in found]
        spent += time.process_time() - began
        if trial >= 0:
            calls += len(drawn.at)
            false_alarms += firings(alerts)
    cost = spent / (days * len(a_day(SEED, 0).at)) * 1e6
    return [Judged(calls, false_alarms, found, cost) for found in delays]


def delay_of(fleet: Fleet, trial: int, odds: float) -> int | None:
    """Calls of the victim from its fall until its alert fires; None if it does not within 300."""
    who = victim(trial)
    calls = 0
    for later in range(FALLEN_DAYS):
        for number, alerts in fleet.run(fallen_day(trial, later, odds)):
            calls += number == who
            if calls > LIMIT:
                return None
            if any(alert.subject.value == fleet.names[who] and alert.state is AlertState.FIRING for alert in alerts):
                return calls
    return None
