"""A number at work: whom it calls next, and what is wrong with its calls."""

from __future__ import annotations

from streams.ingest.simulator.draws import stream
from streams.ingest.simulator.faults import NONE, Twist
from streams.ingest.simulator.fleet import Number
from streams.ingest.simulator.incidents import Change


class Caller:
    """A number at work.

    Args:
        number: the number.
        seed: of the simulation.
        changes: what goes wrong with it, and when.
        contacts: how many people it calls in turn.

    Attributes:
        draw: the stream of its calls.
        faults: the stream of what goes wrong with them, and of what comes of them beside status callbacks.
        dropped: places of people who are not called again.
    """

    def __init__(self, number: Number, seed: int, changes: tuple[Change, ...], contacts: int) -> None:
        self.number = number
        self.changes = changes
        self.draw = stream(seed, "calls", number.number)
        self.faults = stream(seed, "faults", number.number)
        self.dropped: set[int] = set()
        self._contacts = contacts
        self._turns = 0
        self._next = 0

    def twist(self, at: int) -> Twist:
        """What is different about its calls at a time."""
        for change in self.changes:
            if change.twist is not NONE and change.holds(at):
                return change.twist
        return NONE

    def next_turn(self) -> tuple[int, int]:
        """Number the next call, and name the place of the person it is for; all places are called in turn."""
        turn = self._turns
        self._turns += 1
        place = self._next % self._contacts
        if len(self.dropped) < self._contacts:
            while place in self.dropped:
                self._next += 1
                place = self._next % self._contacts
        self._next += 1
        return turn, place
