"""Which of a campaign's numbers rules have suppressed, and how many more may be."""

from __future__ import annotations

from math import floor

import msgspec


class HeldNumbers(msgspec.Struct, array_like=True):
    """The numbers that rules beside `answer_rate_collapse` have suppressed in a campaign.

    Attributes:
        until: by number, then by rule, when the suppression ends by itself, in milliseconds since the epoch.
    """

    until: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)

    def hold(self, number: str, rule: str, until: int) -> None:
        """Note that a rule has suppressed a number."""
        self.until.setdefault(number, {})[rule] = until

    def release(self, number: str, rule: str) -> None:
        """Note that a rule has taken its suppression back."""
        rules = self.until.get(number)
        if rules is not None:
            rules.pop(rule, None)
            if not rules:
                del self.until[number]

    def at(self, moment: int) -> set[str]:
        """The numbers that are suppressed at a moment; forgets those that no longer are."""
        ended = [number for number, rules in self.until.items() if all(until <= moment for until in rules.values())]
        for number in ended:
            del self.until[number]
        return set(self.until)


def allowed_of(share: float, active: int) -> int:
    """How many of so many numbers may be suppressed.

    >>> allowed_of(0.3, 10), allowed_of(0.3, 3)
    (3, 0)
    """
    # A share such as 0.3 of 10 must be 3, whatever its binary fraction makes of it.
    return floor(share * active + 1e-9)
