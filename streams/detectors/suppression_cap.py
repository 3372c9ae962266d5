"""What bounds the numbers of a campaign that rules suppress at once."""

from __future__ import annotations

from typing import Protocol


class Cap(Protocol):
    """Says whether one more number may be suppressed, and is told of each that is.

    All rules of a campaign share one, so that together they never take more than a set share of its numbers.
    """

    def refusal(self, number: str, at: int) -> str | None:
        """Why a number may not be suppressed; None if it may.

        Args:
            number: the company's own number. One that another rule holds already takes no further room.
            at: event time, in milliseconds since the epoch.
        """
        ...

    def hold(self, number: str, rule: str, until: int) -> None:
        """Note that a rule suppresses a number until a time, in milliseconds since the epoch."""
        ...

    def release(self, number: str, rule: str) -> None:
        """Note that a rule has taken its suppression of a number back."""
        ...
