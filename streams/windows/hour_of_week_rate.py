"""How often calls are answered in each hour of the week, shrunk to what is known of all hours."""

from __future__ import annotations

import msgspec

from schemas.times import WEEK

SLOTS = 168
DAY_SLOTS = 24

MEMORY_WEEKS = 8
"""Counts are halved this often: long enough for some calls in every hour, short enough to follow the seasons."""


def _week() -> list[int]:
    return [0] * SLOTS


def _day() -> list[int]:
    return [0] * DAY_SLOTS


class HourOfWeekRate(msgspec.Struct, array_like=True):
    """Answered and all calls by hour of week.

    The rate of an hour is (A_w + k p) / (N_w + k): an empirical Bayes estimate with a beta prior of mean p and the
    weight of k calls, so that an hour with few calls says what its prior says. The prior may be shrunk in the same way
    to the hour of the day: a Tuesday's two o'clock that was never seen is most like Monday's.

    Attributes:
        answered: learned answers by hour of week, 168 counts.
        calls: learned calls by hour of week, 168 counts.
        day_answered: the same by hour of day, 24 counts.
        day_calls: the same by hour of day, 24 counts.
        all_answered: their sum.
        all_calls: their sum.
        learned: calls ever learned; halving leaves it alone.
        since_week: the week of the last halving, in weeks since the epoch; None before the first call.

    >>> rate = HourOfWeekRate()
    >>> for answered in (True, False, False, True):
    ...     rate.learn(14, 0, answered)
    >>> rate.rate(14, 0.2, 4.0), rate.rate(15, 0.2, 4.0)
    (0.35, 0.2)
    """

    answered: list[int] = msgspec.field(default_factory=_week)
    calls: list[int] = msgspec.field(default_factory=_week)
    day_answered: list[int] = msgspec.field(default_factory=_day)
    day_calls: list[int] = msgspec.field(default_factory=_day)
    all_answered: int = 0
    all_calls: int = 0
    learned: int = 0
    since_week: int | None = None

    def learn(self, hour: int, at: int, answered: int, calls: int = 1) -> None:
        """Count calls.

        Args:
            hour: their hour of week, 0 to 167.
            at: the event time at which they are learned, in milliseconds since the epoch.
            answered: how many of them were answered.
            calls: how many there were.
        """
        week = at // WEEK
        if self.since_week is None:
            self.since_week = week
        elif week >= self.since_week + MEMORY_WEEKS:
            self._halve(week)
        self.answered[hour] += answered
        self.calls[hour] += calls
        self.day_answered[hour % DAY_SLOTS] += answered
        self.day_calls[hour % DAY_SLOTS] += calls
        self.all_answered += answered
        self.all_calls += calls
        self.learned += calls

    def overall(self) -> float:
        """The rate over all hours, with Jeffreys' half an answer and half a miss: never 0, never 1."""
        return (self.all_answered + 0.5) / (self.all_calls + 1)

    def rate(self, hour: int, prior: float, weight: float) -> float:
        """The rate of an hour of week.

        Args:
            hour: 0 to 167.
            prior: the rate to expect where nothing is known of the hour.
            weight: how many calls that expectation is worth.
        """
        return (self.answered[hour] + weight * prior) / (self.calls[hour] + weight)

    def hour_of_day_rate(self, hour: int, prior: float, weight: float) -> float:
        """The rate of an hour of day, over all days; `hour` is the hour of week, the rest as in `rate`."""
        hour %= DAY_SLOTS
        return (self.day_answered[hour] + weight * prior) / (self.day_calls[hour] + weight)

    def _halve(self, week: int) -> None:
        # round() takes halves to the even side, so halving favours neither answers nor calls.
        self.answered = [round(count / 2) for count in self.answered]
        self.calls = [round(count / 2) for count in self.calls]
        self.day_answered = [sum(self.answered[hour::DAY_SLOTS]) for hour in range(DAY_SLOTS)]
        self.day_calls = [sum(self.calls[hour::DAY_SLOTS]) for hour in range(DAY_SLOTS)]
        self.all_answered = sum(self.answered)
        self.all_calls = sum(self.calls)
        self.since_week = week
