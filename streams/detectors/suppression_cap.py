"""What bounds the numbers of a campaign that rules suppress at once."""

from __future__ import annotations

from typing import Final, Protocol

from schemas.alert import Alert, Evidence, Subject
from schemas.suppression import Suppression
from streams.detectors.episode import Episode, suppression_of
from streams.detectors.finding import Finding, Lifted

NOT_LET: Final = "the settings do not let this rule suppress"
"""Why a number is not suppressed where no cap was asked."""


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


def refused(why: str) -> Evidence:
    """What the evidence says of a number that is not suppressed."""
    return {"suppressed": False, "not_suppressed_because": why}


def hold(cap: Cap, episode: Episode, alert: Alert, until: int, scope: str) -> Suppression:
    """Suppress an alert's number until a time, and tell the cap; the rest as in `suppression_of`."""
    cap.hold(alert.subject.value, alert.rule, until)
    return suppression_of(episode, alert, until, scope)


def lift(cap: Cap | None, episode: Episode, subject: Subject, rule: str, scope: str) -> list[Finding]:
    """Take a run's suppression of its number back, if it has one, and tell the cap."""
    if episode.until is None:
        return []
    episode.until = None
    if cap is not None:
        cap.release(subject.value, rule)
    return [Lifted(subject, rule, scope)]
