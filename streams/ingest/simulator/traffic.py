"""How much is called and how much is answered, by hour of the week, by day, and under an incident."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from schemas.times import DAY, HOUR, MINUTE, hour_of_week
from streams.ingest.simulator.draws import gamma, normal, stream
from streams.ingest.simulator.fleet import Number
from streams.ingest.simulator.incidents import Change
from streams.ingest.simulator.scenario import Scenario

STEP = 5 * MINUTE
"""Rates are level within a step, so that a spike begins with a bucket of the rule that looks for it."""

# Eastern Standard Time all year: 13:00 to 01:00 UTC is 8:00 to 20:00 there, within the hours the law allows.
_EASTERN = 5

# A dialer's day: a slow start, a dip at lunch, most calls in the late afternoon.
_DAY_SHAPE = (0.7, 0.9, 1.1, 1.15, 0.95, 0.9, 1.1, 1.2, 1.2, 1.1, 0.95, 0.75)
_OPENS = 8
_SATURDAY, _SUNDAY = 5, 6
_WEEKEND = {_SATURDAY: 0.4, _SUNDAY: 0.3}

# People answer more towards the evening: from 0.1 below to 0.1 above in log odds over the day.
_ANSWER_SLOPE = 0.2


def _week() -> tuple[float, ...]:
    whole = sum(_DAY_SHAPE)
    shares = [0.0] * 168
    for local in range(168):
        day, hour = divmod(local, 24)
        if _OPENS <= hour < _OPENS + len(_DAY_SHAPE):
            shares[(local + _EASTERN) % 168] = _WEEKEND.get(day, 1.0) * _DAY_SHAPE[hour - _OPENS] / whole
    return tuple(shares)


WEEK: tuple[float, ...] = _week()
"""Share of a weekday's calls by hour of the week, from Monday 00:00 UTC; 1 over each weekday."""


class Clock:
    """Tells which hour of its week and which working day a scenario takes a time for."""

    def __init__(self, scenario: Scenario, ending_at: int) -> None:
        anchor = scenario.end_of_week_hour
        hours = 0 if anchor is None else anchor - hour_of_week(ending_at)
        self._shift = hours * HOUR

    def hour_of_week(self, at: int) -> int:
        """The hour of the week, 0 to 167."""
        return hour_of_week(at + self._shift)

    def day(self, at: int) -> int:
        """Number the working day."""
        return (at + self._shift - _EASTERN * HOUR) // DAY


class Levels:
    """Noise from day to day: drawn once for each name and day, whatever the order it is asked in."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.volume: Callable[[str, int], float] = lru_cache(maxsize=65_536)(
            lambda campaign, day: gamma(stream(seed, "volume", campaign, day), scenario.volume_variation)
        )
        self.campaign_answers: Callable[[str, int], float] = lru_cache(maxsize=65_536)(
            lambda campaign, day: scenario.answer_noise * normal(stream(seed, "answers", campaign, day))
        )
        self.number_answers: Callable[[str, int], float] = lru_cache(maxsize=65_536)(
            lambda number, day: scenario.number_answer_noise * normal(stream(seed, "answers", number, day))
        )


def calls_per_hour(number: Number, at: int, clock: Clock, levels: Levels, changes: tuple[Change, ...]) -> float:
    """Expected calls an hour of one number in the step that begins at `at`."""
    campaign = number.campaign
    rate = campaign.calls_per_day * WEEK[clock.hour_of_week(at)]
    if rate == 0.0:
        return 0.0
    rate *= number.volume * levels.volume(campaign.name, clock.day(at))
    for change in changes:
        if change.holds(at):
            rate *= change.volume
    return rate


def answer_odds(number: Number, at: int, clock: Clock, levels: Levels, changes: tuple[Change, ...]) -> float:
    """Odds that a call placed in the step that begins at `at` is answered."""
    campaign, day = number.campaign, clock.day(at)
    local = (clock.hour_of_week(at) - _EASTERN) % 24 - _OPENS
    through_the_day = local / len(_DAY_SHAPE) - 0.5
    log_odds = (
        math.log(campaign.answer_rate / (1.0 - campaign.answer_rate))
        + number.answer_effect
        + _ANSWER_SLOPE * through_the_day
        + levels.campaign_answers(campaign.name, day)
        + levels.number_answers(number.number, day)
    )
    odds = math.exp(log_odds)
    for change in changes:
        if change.holds(at):
            odds *= change.odds
    return odds
