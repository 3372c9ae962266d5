"""The calls that all contestants count, and the counts that must come out. Standard library only: peers import it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import NamedTuple, TypeAlias

NUMBERS = 1_000
MILLISECONDS_A_CALL = 2
"""Event time from call to call: 500 calls a second."""

WINDOW = 300_000
HOP = 60_000
GRACE = 120_000
"""Windows of 5 minutes, a new one each minute, open for 2 minutes of late calls; in milliseconds."""

_ANSWER_RATE = 0.35
_SEED = 7

Windows: TypeAlias = dict[int, tuple[int, int]]
"""Attempts and answered calls by the start of the window, in milliseconds since the epoch."""


class Call(NamedTuple):
    """One ended call.

    Attributes:
        number: the company's own number.
        at: event time in milliseconds since the epoch.
        answered: whether somebody or something answered.
    """

    number: str
    at: int
    answered: bool


def own_number(index: int) -> str:
    """One of the company's numbers, by its place from 0 to `NUMBERS`."""
    return f"+1202555{index:04d}"


SAMPLED = tuple(own_number(index) for index in range(0, NUMBERS, NUMBERS // 20))
"""The numbers whose counts are compared with those made directly."""


def calls(count: int, start: int) -> Iterator[Call]:
    """The first `count` calls of a stream that begins at `start` and is the same each time."""
    draw = Random(_SEED).random
    for index in range(count):
        yield Call(own_number(int(draw() * NUMBERS)), start + index * MILLISECONDS_A_CALL, draw() < _ANSWER_RATE)


def encoded(index: int, call: Call) -> bytes:
    """A call as the JSON value of its record, with what such a record has besides."""
    answered, status, talk = ("true", "completed", 34) if call.answered else ("false", "no-answer", 0)
    return (
        f'{{"call_sid":"CA{index:032x}","number":"{call.number}","contact":"+1303{index % 10_000_000:07d}",'
        f'"campaign":"spring-sale","at":{call.at},"answered":{answered},"status":"{status}",'
        f'"talk_seconds":{talk},"ring_seconds":12}}'
    ).encode()


def window_starts(at: int) -> range:
    """The starts of all windows that hold a time.

    >>> list(window_starts(600_000))
    [360000, 420000, 480000, 540000, 600000]
    """
    last = at - at % HOP
    return range(last - WINDOW + HOP, last + HOP, HOP)


def true_counts(count: int, start: int) -> dict[str, Windows]:
    """The counts of the sampled numbers in every window, made directly."""
    counted: dict[str, Windows] = {number: {} for number in SAMPLED}
    for call in calls(count, start):
        windows = counted.get(call.number)
        if windows is not None:
            for begin in window_starts(call.at):
                attempts, answered = windows.get(begin, (0, 0))
                windows[begin] = attempts + 1, answered + call.answered
    return counted


def open_windows(count: int, start: int) -> range:
    """The starts of the windows that are open when the last call has been counted."""
    return window_starts(start + (count - 1) * MILLISECONDS_A_CALL)
