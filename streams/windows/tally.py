"""What a bucket counts, what one call changes in it, and a summed window with the rates of the field."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeAlias

import msgspec

from schemas.call import ANSWERS, Contribution, Disposition

SHORT_SECONDS = 10
"""An answered call under this many seconds of talk is short: nobody says anything useful in less."""


class Cell(IntEnum):
    """The counts of a bucket. The numbers are stored: new cells go to the end."""

    ATTEMPTS = 0
    HUMAN = 1
    MACHINE = 2
    ANSWERED = 3
    BUSY = 4
    NO_ANSWER = 5
    FAILED = 6
    CANCELED = 7
    INVALID = 8
    BLOCKED = 9
    NOT_PLACED = 10
    UNFINISHED = 11
    SHORT = 12
    TALK_SECONDS = 13
    RING_SECONDS = 14
    RUNG = 15
    TIMED = 16


# Plain integers: they are touched for every fact, and an IntEnum member hashes many times slower.
ATTEMPTS = int(Cell.ATTEMPTS)
_SHORT, _TALK, _RING, _RUNG = int(Cell.SHORT), int(Cell.TALK_SECONDS), int(Cell.RING_SECONDS), int(Cell.RUNG)
_TIMED = int(Cell.TIMED)
_OUTCOME = {disposition: int(Cell[disposition.name]) for disposition in Disposition}


Change: TypeAlias = tuple[int, int, int]
"""One count that moves: the event time it belongs to, which count (a value of `Cell`), and how far; negative takes back
what an earlier fact added. A bare tuple, as several are made for every fact."""


def changes(before: Contribution | None, after: Contribution) -> list[Change]:
    """The net difference between what a call added until now and what it adds from now on.

    Args:
        before: the contribution that is counted already; None for the first fact of the call.
        after: the contribution that shall be counted.

    Returns:
        The counts that move, attempt first; counts that stay as they are do not appear.

    >>> placed = Contribution(1_000)
    >>> changes(None, placed)
    [(1000, 0, 1)]
    >>> ended = Contribution(1_000, 9_000, Disposition.NO_ANSWER)
    >>> changes(placed, ended)
    [(9000, 5, 1)]
    """
    moved: list[Change] = []
    if before is None:
        moved.append((after.attempted_at, ATTEMPTS, 1))
        _outcome(after, 1, moved)
        return moved
    if before.attempted_at != after.attempted_at:
        moved.append((before.attempted_at, ATTEMPTS, -1))
        moved.append((after.attempted_at, ATTEMPTS, 1))
    if before.ended_at is None or before.disposition is None:
        _outcome(after, 1, moved)
    elif before != after:
        moved += _outcome_difference(before, after)
    return moved


def _outcome(contribution: Contribution, sign: int, moved: list[Change]) -> None:
    at, disposition = contribution.ended_at, contribution.disposition
    if at is None or disposition is None:
        return
    moved.append((at, _OUTCOME[disposition], sign))
    talk, ring = contribution.talk_seconds, contribution.ring_seconds
    if disposition in ANSWERS and talk is not None:
        moved.append((at, _TIMED, sign))
        if talk < SHORT_SECONDS:
            moved.append((at, _SHORT, sign))
    if talk:
        moved.append((at, _TALK, sign * talk))
    if ring is not None:
        moved.append((at, _RUNG, sign))
        if ring:
            moved.append((at, _RING, sign * ring))


def _outcome_difference(before: Contribution, after: Contribution) -> list[Change]:
    both: list[Change] = []
    _outcome(before, -1, both)
    _outcome(after, 1, both)
    net: dict[tuple[int, int], int] = {}
    for at, cell, amount in both:
        net[at, cell] = net.get((at, cell), 0) + amount
    return [(at, cell, amount) for (at, cell), amount in net.items() if amount]


class Tally(msgspec.Struct, frozen=True):
    """A summed window. Rates are shares from 0 to 1, and None where there is nothing to divide by.

    Attributes:
        attempts: calls placed (bids).
        human: answered by a person.
        machine: answered by a machine.
        answered: answered, and nobody said by whom.
        busy: the called line was busy.
        no_answer: rang out.
        failed: failed in the network.
        canceled: withdrawn by the caller while queued or ringing.
        invalid: the called number does not exist (SIP 404, 410, 484, 604).
        blocked: blocked or declined (SIP 603, 607, 608).
        not_placed: never left Twilio.
        unfinished: never told of its end.
        short: answered, with less than `SHORT_SECONDS` of talk.
        talk_seconds: seconds of talk of all answered calls.
        ring_seconds: seconds of ringing of the calls in `rung`.
        rung: ended calls whose ring time is known.
        timed: answered calls whose talk time is known.
    """

    attempts: int = 0
    human: int = 0
    machine: int = 0
    answered: int = 0
    busy: int = 0
    no_answer: int = 0
    failed: int = 0
    canceled: int = 0
    invalid: int = 0
    blocked: int = 0
    not_placed: int = 0
    unfinished: int = 0
    short: int = 0
    talk_seconds: int = 0
    ring_seconds: int = 0
    rung: int = 0
    timed: int = 0

    @property
    def answered_calls(self) -> int:
        """Calls answered by anybody or anything: human + machine + answered."""
        return self.human + self.machine + self.answered

    @property
    def seizures(self) -> int:
        """Ended calls that reached the network and were left to ring.

        answered_calls + busy + no_answer + failed + invalid + blocked. A canceled call is the caller's own act and one
        that never left Twilio made no bid, so neither says how calls are answered.
        """
        return self.answered_calls + self.busy + self.no_answer + self.failed + self.invalid + self.blocked

    @property
    def asr(self) -> float | None:
        """Answer-seizure ratio: answered_calls / seizures (ITU-T E.411, E.425); None without seizures.

        >>> Tally(human=2, no_answer=6).asr
        0.25
        """
        return self.answered_calls / self.seizures if self.seizures > 0 else None

    @property
    def ner(self) -> float | None:
        """Network effectiveness ratio: (answered_calls + busy + no_answer) / seizures (ITU-T E.425).

        Vendors differ in what counts as delivered; a blocked or invalid call does not here. None without seizures.

        >>> Tally(human=2, busy=1, no_answer=4, blocked=1).ner
        0.875
        """
        delivered = self.answered_calls + self.busy + self.no_answer
        return delivered / self.seizures if self.seizures > 0 else None

    @property
    def acd(self) -> float | None:
        """Average call duration in seconds: talk_seconds / timed (ITU-T E.411); None if no talk time is known.

        >>> Tally(human=2, talk_seconds=90, timed=2).acd
        45.0
        """
        return self.talk_seconds / self.timed if self.timed > 0 else None

    @property
    def mean_ring(self) -> float | None:
        """Mean seconds from ringing to answer or end: ring_seconds / rung; None if no ring time is known.

        >>> Tally(no_answer=3, ring_seconds=50, rung=2).mean_ring
        25.0
        """
        return self.ring_seconds / self.rung if self.rung > 0 else None

    def as_public(self) -> dict[str, int | float | None]:
        """The counts and rates as the API shows them; shares from 0 to 1, times in seconds, None where unknown."""
        counts: dict[str, int | float | None] = {name: getattr(self, name) for name in self.__struct_fields__}
        return counts | {
            "answered_calls": self.answered_calls,
            "seizures": self.seizures,
            "asr": self.asr,
            "ner": self.ner,
            "acd": self.acd,
            "mean_ring": self.mean_ring,
        }
