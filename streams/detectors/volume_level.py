"""The usual volume of a subject by hour of week, and today's level beside it."""

from __future__ import annotations

import msgspec

SLOTS = 168
DAY_SLOTS = 24
WEEKDAYS = 5

MEMORY_WEEKS = 16
"""An hour's counts are halved once they cover this many weeks: growth is taken in over months."""

LEAST_DAYS = 3
"""Days of one kind on which an hour of day must have been seen to speak for an hour of week that was not."""

LEVEL_HOURS = 2.0
"""Half-life of today's level: long enough for a dozen buckets, short enough to follow a day that starts late."""

LEVEL_PRIOR = 10.0
"""Calls that the usual level is worth beside today's."""

LEVEL_LOW, LEVEL_HIGH = 0.5, 2.0
"""Today may halve or double the limit; beyond that it is a spike (or a silence), not a level."""


def _week() -> list[int]:
    return [0] * SLOTS


def _kinds() -> list[int]:
    return [0] * (2 * DAY_SLOTS)


class VolumeLevel(msgspec.Struct, array_like=True):
    """Mean count of a bucket by hour of week, shrunk to the hour of day on the same kind of day, times today's level.

    The mean is that of the buckets with calls, as an hour may be called in only at its beginning or its end. One bucket
    of each hour counts even if it had none, so that the burst of one night does not pass for the norm of all.

    Attributes:
        totals: calls by hour of week, 168.
        buckets: buckets seen by hour of week, 168.
        kind_totals: calls by hour of day, weekdays then weekends, 48.
        kind_buckets: buckets likewise.
        observed: recent calls, decayed by the bucket.
        expected: what was expected of them.
        learned: buckets ever learned.
        active: buckets with calls by hour of week, 168.
        kind_active: buckets with calls by hour of day, 48.
    """

    totals: list[int] = msgspec.field(default_factory=_week)
    buckets: list[int] = msgspec.field(default_factory=_week)
    kind_totals: list[int] = msgspec.field(default_factory=_kinds)
    kind_buckets: list[int] = msgspec.field(default_factory=_kinds)
    observed: float = 0.0
    expected: float = 0.0
    learned: int = 0
    active: list[int] = msgspec.field(default_factory=list)
    kind_active: list[int] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        """Let all buckets of a past in which those with calls were not told apart pass for such."""
        if not self.active:
            self.active, self.kind_active = self.buckets.copy(), self.kind_buckets.copy()

    def mean(self, hour: int, per_hour: int) -> float | None:
        """The mean count of a bucket in an hour of week; None if its hour of day was never seen.

        (T_w + k m) / (n_w + k), with m the mean of the hour of day, n_w the buckets with calls and k the buckets of an
        hour: after one week of calls all the hour its own past weighs as much as its neighbours'.
        """
        kind = kind_of(hour)
        seen = self.kind_buckets[kind]
        if not seen:
            return None
        prior = self.kind_totals[kind] / max(self.kind_active[kind], seen / per_hour)
        return (self.totals[hour] + per_hour * prior) / (
            max(self.active[hour], self.buckets[hour] / per_hour) + per_hour
        )

    def known(self, hour: int, per_hour: int) -> bool:
        """Whether the past says enough of an hour of week to hold a bucket against."""
        return self.buckets[hour] >= per_hour or self.kind_buckets[kind_of(hour)] >= LEAST_DAYS * per_hour

    def today(self) -> float:
        """Today's level: recent calls over those expected, kept within a factor of two."""
        level = (self.observed + LEVEL_PRIOR) / (self.expected + LEVEL_PRIOR)
        return min(max(level, LEVEL_LOW), LEVEL_HIGH)

    def learn(self, hour: int, count: int, per_hour: int, decay: float) -> None:
        """Take in a closed bucket.

        Args:
            hour: its hour of week.
            count: its calls, cut off at its limit.
            per_hour: buckets of an hour.
            decay: what a bucket leaves of the weight of those before it.
        """
        self.observed *= decay
        self.expected *= decay
        # Silence tells nothing of the level of calls, and the lines may just be closed.
        if count:
            mean = self.mean(hour, per_hour)
            if mean is not None:
                self.observed += count
                self.expected += mean
        kind = kind_of(hour)
        if self.buckets[hour] >= MEMORY_WEEKS * per_hour:
            self._halve(hour, kind)
        self.totals[hour] += count
        self.buckets[hour] += 1
        self.kind_totals[kind] += count
        self.kind_buckets[kind] += 1
        if count:
            self.active[hour] += 1
            self.kind_active[kind] += 1
        self.learned += 1

    def _halve(self, hour: int, kind: int) -> None:
        for of_week, of_kind in (
            (self.totals, self.kind_totals),
            (self.buckets, self.kind_buckets),
            (self.active, self.kind_active),
        ):
            half = round(of_week[hour] / 2)
            of_kind[kind] += half - of_week[hour]
            of_week[hour] = half

    def learn_silence(self, hour: int, buckets: int, per_hour: int, decay: float) -> None:
        """Take in closed buckets without calls: to the last bit what `learn` makes of them one by one, but cheaper.

        Args:
            hour: their hour of week.
            buckets: how many they are.
            per_hour: buckets of an hour.
            decay: what a bucket leaves of the weight of those before it.
        """
        room = max(MEMORY_WEEKS * per_hour - self.buckets[hour], 0)
        if buckets > room:
            # The bucket that finds the hour full halves its past.
            self.learn_silence(hour, room, per_hour, decay)
            self.learn(hour, 0, per_hour, decay)
            self.learn_silence(hour, buckets - room - 1, per_hour, decay)
            return
        kind = kind_of(hour)
        # A power would round otherwise, and the state would depend on how the silence was cut by calls.
        for _ in range(buckets):
            self.observed *= decay
            self.expected *= decay
        self.buckets[hour] += buckets
        self.kind_buckets[kind] += buckets
        self.learned += buckets


def kind_of(hour: int) -> int:
    """The hour of day on its kind of day: 0 to 23 on weekdays, 24 to 47 at weekends.

    >>> kind_of(14), kind_of(4 * 24 + 14), kind_of(5 * 24 + 14)
    (14, 14, 38)
    """
    return hour % DAY_SLOTS + (DAY_SLOTS if hour >= WEEKDAYS * DAY_SLOTS else 0)
