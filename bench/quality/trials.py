"""The same streams for every detector of one number: false alarms while nothing happens, delays after a fall.

A detector sees the outcomes of one number. On one morning after the warm-up a copy of the detector of the day's victim
sees calls at fallen odds instead, until it gives an alarm or 300 calls have gone by.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from typing import Protocol

import msgspec
import numpy as np

from bench.quality.traffic import NUMBERS, WARM_UP_DAYS, Day, a_day

SEED = 21
FALL_SEED = 22
TRIALS = 200
"""One number falls on each of so many days."""

DAYS = WARM_UP_DAYS + TRIALS
LIMIT = 300
"""A fall that is not found within so many calls of the number counts as not found."""

FALLEN_DAYS = 8
"""Days that surely hold 300 calls of a number with some 60 a day."""


class Detector(Protocol):
    """What looks at the outcomes of one number's calls."""

    def update(self, answered: bool) -> bool:
        """Take in one call; returns whether this is an alarm, after which the detector begins anew."""
        ...


class Judged(msgspec.Struct):
    """How a detector did.

    Attributes:
        calls: calls without any fall, after the warm-up.
        false_alarms: alarms among them.
        delays: calls from each fall to its alarm; None where there was none within 300.
        microseconds: processor time a call.
    """

    calls: int
    false_alarms: int
    delays: list[int | None]
    microseconds: float

    @property
    def rate(self) -> float:
        """False alarms per 10,000 calls."""
        return self.false_alarms / self.calls * 1e4

    @property
    def found(self) -> float:
        """The share of falls found within 300 calls."""
        return sum(delay is not None for delay in self.delays) / len(self.delays)

    def delay(self, share: float) -> float | None:
        """Calls within which a share of all falls was found; None if it was not."""
        every = sorted(LIMIT + 1 if delay is None else delay for delay in self.delays)
        calls = every[max(0, int(np.ceil(share * len(every))) - 1)]
        return None if calls > LIMIT else float(calls)


class Streams(msgspec.Struct):
    """What the detectors of single numbers see.

    Attributes:
        outcomes: by number, its calls without any fall, as bytes of 0 and 1.
        warm: by number, how many of them are warm-up.
        forks: by number, the falls: calls before the fall, and the outcomes after it.
    """

    outcomes: list[bytes]
    warm: list[int]
    forks: list[list[tuple[int, bytes]]]


def victim(trial: int) -> int:
    """The number that falls in a trial; each has its turn."""
    return trial % NUMBERS


def fallen_day(trial: int, later: int, odds: float) -> Day:
    """A day of the campaign while the victim of a trial is down.

    Args:
        trial: the trial; its fall begins on the morning WARM_UP_DAYS + trial.
        later: days after that.
        odds: the victim's odds over the usual.
    """
    return a_day(FALL_SEED + trial * 1_000, WARM_UP_DAYS + trial + later, {victim(trial): odds})


def make_streams(odds: float, days: int = DAYS, trials: int = TRIALS) -> Streams:
    """Draw the streams of all numbers for one size of fall."""
    pieces: list[list[bytes]] = [[] for _ in range(NUMBERS)]
    lengths = [0] * NUMBERS
    warm = [0] * NUMBERS
    forks: list[list[tuple[int, bytes]]] = [[] for _ in range(NUMBERS)]
    for day in range(days):
        trial = day - WARM_UP_DAYS
        if trial == 0:
            warm = list(lengths)
        if 0 <= trial < trials:
            who = victim(trial)
            forks[who].append((lengths[who], _fallen(trial, odds)))
        drawn = a_day(SEED, day)
        for number in range(NUMBERS):
            piece = drawn.answered[drawn.number == number].tobytes()
            pieces[number].append(piece)
            lengths[number] += len(piece)
    return Streams([b"".join(own) for own in pieces], warm, forks)


def judge(make: Callable[[], Detector], streams: Streams, numbers: int = NUMBERS) -> Judged:
    """Run a detector over the streams of the first so many numbers."""
    calls = false_alarms = 0
    delays: list[int | None] = []
    spent = 0.0
    for number in range(numbers):
        outcomes, warm = streams.outcomes[number], streams.warm[number]
        detector = make()
        done = 0
        began = time.process_time()
        for before, fallen in [*streams.forks[number], (len(outcomes), b"")]:
            for index in range(done, before):
                if detector.update(bool(outcomes[index])) and index >= warm:
                    false_alarms += 1
            done = before
            if fallen:
                paused = time.process_time()
                delays.append(_delay(deepcopy(detector), fallen))
                began += time.process_time() - paused
        spent += time.process_time() - began
        calls += len(outcomes) - warm
    whole = sum(len(streams.outcomes[number]) for number in range(numbers))
    return Judged(calls, false_alarms, delays, spent / whole * 1e6)


def _delay(detector: Detector, fallen: bytes) -> int | None:
    for index, outcome in enumerate(fallen):
        if detector.update(bool(outcome)):
            return index + 1
    return None


def _fallen(trial: int, odds: float) -> bytes:
    who = victim(trial)
    outcomes = b""
    for later in range(FALLEN_DAYS):
        drawn = fallen_day(trial, later, odds)
        outcomes += drawn.answered[drawn.number == who].tobytes()
    return outcomes[:LIMIT]
