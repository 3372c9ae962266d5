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

    Attributes:
        totals: calls by hour of week, 168.
        buckets: buckets seen by hour of week, 168.
        kind_totals: calls by hour of day, weekdays then weekends, 48.
        kind_buckets: buckets likewise.
        observed: recent calls, decayed by the bucket.
        expected: what was expected of them.
        learned: buckets ever learned.
    """

    totals: list[int] = msgspec.field(default_factory=_week)
    buckets: list[int] = msgspec.field(default_factory=_week)
    kind_totals: list[int] = msgspec.field(default_factory=_kinds)
    kind_buckets: list[int] = msgspec.field(default_factory=_kinds)
    observed: float = 0.0
    expected: float = 0.0
    learned: int = 0

    def mean(self, hour: int, per_hour: int) -> float | None:
        """The mean count of a bucket in an hour of week; None if its hour of day was never seen.

        (T_w + k m) / (n_w + k), with m the mean of the hour of day and k the buckets of an hour: after one week the
        hour's own past weighs as much as its neighbours'.
        """
        kind = kind_of(hour)
        seen = self.kind_buckets[kind]
        if not seen:
            return None
        prior = self.kind_totals[kind] / seen
        return (self.totals[hour] + per_hour * prior) / (self.buckets[hour] + per_hour)

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
        kind = kind_of(hour)
        seen = self.kind_buckets[kind]
        if seen:
            # The formula of `mean`, written out, as `seen` is at hand.
            prior = self.kind_totals[kind] / seen
            mean = (self.totals[hour] + per_hour * prior) / (self.buckets[hour] + per_hour)
            self.observed = self.observed * decay + count
            self.expected = self.expected * decay + mean
        if self.buckets[hour] >= MEMORY_WEEKS * per_hour:
            total, buckets = round(self.totals[hour] / 2), round(self.buckets[hour] / 2)
            self.kind_totals[kind] += total - self.totals[hour]
            self.kind_buckets[kind] += buckets - self.buckets[hour]
            self.totals[hour], self.buckets[hour] = total, buckets
        self.totals[hour] += count
        self.buckets[hour] += 1
        self.kind_totals[kind] += count
        self.kind_buckets[kind] += 1
        self.learned += 1

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
        total, kind_total = self.totals[hour], self.kind_totals[kind]
        observed, expected = self.observed, self.expected
        first = self.kind_buckets[kind]
        ahead = self.buckets[hour] + per_hour - first
        # A closed form would round otherwise, and the state would depend on how the silence was cut by calls. The very
        # first bucket of an hour of day has no mean to be held against.
        for seen in range(max(first, 1), first + buckets):
            observed *= decay
            expected = expected * decay + (total + per_hour * (kind_total / seen)) / (ahead + seen)
        self.observed, self.expected = observed, expected
        self.buckets[hour] += buckets
        self.kind_buckets[kind] += buckets
        self.learned += buckets


def kind_of(hour: int) -> int:
    """The hour of day on its kind of day: 0 to 23 on weekdays, 24 to 47 at weekends.

    >>> kind_of(14), kind_of(4 * 24 + 14), kind_of(5 * 24 + 14)
    (14, 14, 38)
    """
    return hour % DAY_SLOTS + (DAY_SLOTS if hour >= WEEKDAYS * DAY_SLOTS else 0)
