"""Bayesian online changepoint detection with beta-Bernoulli runs, for many streams at once.

Each stream has hypotheses: nothing has changed, or the rate changed r calls ago, for r up to 300. A run's rate has a
uniform prior; that of "nothing has changed" is worth 100 calls at the usual rate, as the detectors with windows know it
too. The alarm is at a posterior probability that the rate changed at most 300 calls ago to less than three quarters of
the usual one; after it the stream begins anew. A change older than that is the norm.

References:
    Adams, R. P., MacKay, D. J. C. (2007), Bayesian online changepoint detection, arXiv:0710.3742.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.traffic import NUMBERS, RATE
from bench.quality.trials import LIMIT, Judged, Streams

HAZARD = 1 / 2_000
"""The chance that a call is the first of a change: one change a number and month."""

LONGEST = 300
"""The oldest change that is still looked for, in calls, as the trials end there."""

PRIOR = 100.0
"""Calls that the usual rate is worth at the start."""

FALLEN = 0.75
"""A rate under this share of the usual one is a fall."""

Floats = NDArray[np.float64]
Truths = NDArray[np.bool_]

_AGES = np.arange(LONGEST, dtype=np.float64)
_TIMED_CALLS = 2_000


class Hypotheses(msgspec.Struct):
    """What is thought of many streams; the first axis of each array is the stream.

    Attributes:
        threshold: the posterior probability at which the stream gives an alarm.
        none: the probability that nothing has changed.
        none_answers: answers since the start, with the prior's.
        none_calls: calls since the start, with the prior's.
        mass: the probability of a change r calls ago; the second axis is r, from 0.
        answers: answers since then.
    """

    threshold: Floats
    none: Floats
    none_answers: Floats
    none_calls: Floats
    mass: Floats
    answers: Floats

    def arrays(self) -> list[Floats]:
        """All arrays, in order."""
        return [self.threshold, self.none, self.none_answers, self.none_calls, self.mass, self.answers]


def begin(threshold: Floats) -> Hypotheses:
    """Streams of which nothing has been seen."""
    streams = len(threshold)
    return Hypotheses(
        threshold,
        np.ones(streams),
        np.full(streams, PRIOR * RATE),
        np.full(streams, PRIOR),
        np.zeros((streams, LONGEST)),
        np.zeros((streams, LONGEST)),
    )


def some(state: Hypotheses, which: Sequence[int]) -> Hypotheses:
    """A copy of some of the streams."""
    return Hypotheses(*(array[list(which)] for array in state.arrays()))


def together(states: Sequence[Hypotheses]) -> Hypotheses:
    """All streams of all of these."""
    return Hypotheses(*map(np.concatenate, zip(*(state.arrays() for state in states), strict=True)))


def update(state: Hypotheses, answered: Truths) -> Truths:
    """Take in one call of each stream; returns which give an alarm, and begins those anew.

    Growth of a run: its mass times the chance of the outcome in it times (1 - hazard); a new run gets the hazard's part
    of all of them.
    """
    hit = answered[:, None]
    chance = (state.answers + 1) / (_AGES + 2)
    mass = state.mass * np.where(hit, chance, 1 - chance)
    none_chance = state.none_answers / state.none_calls
    none = state.none * np.where(answered, none_chance, 1 - none_chance)
    whole = none + mass.sum(axis=1)
    state.none = (1 - HAZARD) * (none + mass[:, -1]) / whole
    state.mass[:, 1:] = mass[:, :-1] * ((1 - HAZARD) / whole)[:, None]
    state.mass[:, 0] = HAZARD
    state.answers[:, 1:] = state.answers[:, :-1] + hit
    state.answers[:, 0] = 0
    state.none_answers += answered
    state.none_calls += 1
    fallen = state.answers + 1 < FALLEN * RATE * (_AGES + 2)
    alarm: Truths = (state.mass * fallen).sum(axis=1) > state.threshold
    state.none[alarm], state.mass[alarm] = 1.0, 0.0
    state.none_answers[alarm], state.none_calls[alarm] = PRIOR * RATE, PRIOR
    return alarm


def judge_changepoints(thresholds: Sequence[float], streams: Streams) -> list[Judged]:
    """How the detector does at each threshold; all of them, and all numbers, in step.

    Args:
        thresholds: posterior probabilities.
        streams: the outcomes of all numbers; all are cut to the shortest.
    """
    levels = len(thresholds)
    length = min(map(len, streams.outcomes))
    outcomes = np.array([np.frombuffer(own[:length], dtype=bool) for own in streams.outcomes])
    state = begin(np.tile(np.asarray(thresholds), NUMBERS))
    warm = np.repeat(np.asarray(streams.warm), levels)
    at_fall: dict[int, list[int]] = {}
    for number, forks in enumerate(streams.forks):
        for before, _ in forks:
            at_fall.setdefault(before, []).append(number)
    copies: dict[tuple[int, int], Hypotheses] = {}
    alarms = np.zeros(NUMBERS * levels)
    for call in range(length):
        for number in at_fall.get(call, ()):
            copies[number, call] = some(state, range(number * levels, (number + 1) * levels))
        alarms += update(state, np.repeat(outcomes[:, call], levels)) & (call >= warm)
    counted = sum(length - own for own in streams.warm)
    false_alarms = alarms.reshape(NUMBERS, levels).sum(axis=0)
    delays = _delays(copies, streams, levels)
    cost = _cost(outcomes[0])
    return [Judged(counted, int(false_alarms[level]), delays[level], cost) for level in range(levels)]


def _delays(copies: dict[tuple[int, int], Hypotheses], streams: Streams, levels: int) -> list[list[int | None]]:
    found = [
        (copies[number, before], np.frombuffer(fallen, dtype=bool))
        for number, forks in enumerate(streams.forks)
        for before, fallen in forks
        if (number, before) in copies
    ]
    state = together([copied for copied, _ in found])
    fallen = np.array([outcomes for _, outcomes in found])
    first = np.zeros(len(found) * levels, dtype=np.int64)
    for call in range(LIMIT):
        alarm = update(state, np.repeat(fallen[:, call], levels))
        first[alarm & (first == 0)] = call + 1
    by_level = first.reshape(len(found), levels).T.tolist()
    return [[delay or None for delay in own] for own in by_level]


def _cost(outcomes: Truths) -> float:
    """Processor time a call where one stream is served alone, as a product would."""
    state = begin(np.array([0.9]))
    began = time.process_time()
    for call in range(_TIMED_CALLS):
        update(state, outcomes[call : call + 1])
    return (time.process_time() - began) / _TIMED_CALLS * 1e6
