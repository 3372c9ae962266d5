"""How quiet an account's stream of calls may be at any hour of the week."""

from __future__ import annotations

from math import log
from typing import Final

import msgspec

from schemas.times import HOUR, MINUTE

STRETCH: Final = 5 * MINUTE
"""Time is looked at in stretches of this length, with calls or without: how many calls there are in one does not
matter, so that a dialer that calls in batches is not taken for one that has stopped in between."""

STRETCHES: Final = HOUR // STRETCH

WEEK_HOURS: Final = 168

WEEKS: Final = 4
"""Weeks that a silence is held against: it must be out of chance by each of them that is known."""

RING: Final = (WEEKS + 1) * WEEK_HOURS

SHIFTS: Final = (-1, 0, 1)
"""An hour is held against its neighbours too: summer time, and a day that begins late or ends early, are no silence."""

UNKNOWN: Final = -1

_EVIDENCE: Final = tuple(STRETCHES * log(1 - busy / (STRETCHES + 0.5)) for busy in range(STRETCHES + 1))
"""The log of the chance that an hour has no call, by the stretches with calls that it had; half a stretch more than
there are, as nothing is certain."""


def _ring() -> list[int]:
    return [UNKNOWN] * RING


class StreamSilence(msgspec.Struct, array_like=True):
    """When an account's calls came, by hour of the week.

    Attributes:
        busy: stretches with calls of each hour, 0 to 12, -1 if unknown; the hour h since the epoch is at h mod 840.
        hour: the hour under way, in hours since the epoch; None before the first call.
        stretches: its stretches with calls, as bits.
        excused: whether the hour is not to be learned from: the first one, or one with a silence that was told of.
        learned: hours learned.
        last_at: when the last call gave a sign, in milliseconds since the epoch.
        told: by partition of `callbacks`, up to when it is known what came there.
        look_at: the end of a silence before which another look is of no use.

    >>> silence = StreamSilence()
    >>> for minute in range(8 * 24 * 60):
    ...     if 9 <= minute // 60 % 24 < 17:
    ...         silence.see(minute * MINUTE, 0, is_told=False)
    >>> day = 8 * 24 * HOUR
    >>> [round(silence.evidence(day + hour * HOUR), 1) for hour in (8, 10, 11, 12)]
    [0.0, 0.0, -38.6, -77.3]
    """

    busy: list[int] = msgspec.field(default_factory=_ring)
    hour: int | None = None
    stretches: int = 0
    excused: bool = True
    learned: int = 0
    last_at: int = 0
    told: dict[int, int] = msgspec.field(default_factory=dict)
    look_at: int = 0

    def see(self, at: int, partition: int, *, is_told: bool) -> None:
        """Take in a sign of a call.

        Args:
            at: when it was given, in milliseconds since the epoch.
            partition: of `callbacks`, which it came by.
            is_told: whether the silence that it ends was told of; then nothing is learned from it.
        """
        hour = at // HOUR
        if self.hour is None:
            self.hour = hour
        elif hour > self.hour:
            self._close(hour, is_told)
        if is_told:
            # What is left of the hour in which calls come again is no full hour.
            self.excused = True
        if hour == self.hour:
            self.stretches |= 1 << (at % HOUR // STRETCH)
        if at > self.last_at:
            self.last_at, self.look_at = at, 0
        if at > self.told.get(partition, -1):
            self.told[partition] = at

    def known_until(self) -> int:
        """Up to when it is known, by all partitions that the account's calls come by, that there was no later call."""
        return min(self.told.values(), default=0)

    def out_of_chance(self, until: int, limit: float) -> float | None:
        """The evidence against a silence up to a time, if it is below a limit; None if chance may do that.

        Args:
            until: the end of the silence, in milliseconds since the epoch.
            limit: the log of the chance that is allowed.
        """
        if until < self.look_at:
            return None
        evidence = self.evidence(until)
        if evidence is not None and evidence < limit:
            return evidence
        # No hour adds more than the busiest: until then the limit can't be passed, so that ticks stay cheap.
        self.look_at = until + int(HOUR * (limit - (evidence or 0.0)) / _EVIDENCE[-1])
        return None

    def evidence(self, until: int) -> float | None:
        """The log of the chance that an ordinary stream is silent from the last call until a time.

        Of the last four weeks that one counts which makes silence likeliest, and of each hour in it and the hour before
        and after it likewise.

        Args:
            until: the end of the silence, in milliseconds since the epoch.

        Returns:
            At most 0; None if no week is known, or the silence is longer than a week and thus a rest.
        """
        if until - self.last_at > WEEK_HOURS * HOUR:
            return None
        found = [self._evidence_of(until, week * WEEK_HOURS) for week in range(1, WEEKS + 1)]
        return max((evidence for evidence in found if evidence is not None), default=None)

    def _evidence_of(self, until: int, ago: int) -> float | None:
        """The same by the week that lies so many hours back; None if it is not known throughout."""
        total = 0.0
        for hour in range(self.last_at // HOUR, (until - 1) // HOUR + 1):
            then = hour - ago
            if self.busy[then % RING] == UNKNOWN:
                return None
            around = [self.busy[(then + shift) % RING] for shift in SHIFTS]
            part = min(until, (hour + 1) * HOUR) - max(self.last_at, hour * HOUR)
            total += _EVIDENCE[min(busy for busy in around if busy != UNKNOWN)] * part / HOUR
        return total

    def _close(self, hour: int, is_told: bool) -> None:
        """Learn the hour under way and the silent ones after it."""
        assert self.hour is not None
        unknown = self.excused or is_told
        self.busy[self.hour % RING] = UNKNOWN if unknown else self.stretches.bit_count()
        for silent in range(max(self.hour + 1, hour - RING), hour):
            self.busy[silent % RING] = UNKNOWN if is_told else 0
        self.learned = min(self.learned + hour - self.hour, RING)
        self.hour, self.stretches, self.excused = hour, 0, False
