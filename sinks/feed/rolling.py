"""How the API learns the rolling windows of numbers and campaigns, whoever keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from schemas.alert import Scalar

WINDOWS = ("5m", "1h", "24h", "7d")
"""The windows' names, shortest first."""

Measure = float | int | None


class SubjectView(msgspec.Struct, frozen=True):
    """The windows of one number or campaign, and how the rules see it.

    Attributes:
        value: the number or the campaign.
        campaigns: the campaigns that a number calls for; a campaign's own name alone.
        as_of: event time up to which the windows reach, in milliseconds since the epoch.
        windows: by name ("5m", "1h", "24h", "7d"), the counts, and the ratios (`asr`, `ner`: 0 to 1; `acd`,
            `mean_ring`: seconds), which are None where there are not enough calls to say.
        rules: by rule, at least `state` (learning, ok, firing, inhibited or off) and `baseline`, None while there is
            none.
    """

    value: str
    campaigns: tuple[str, ...]
    as_of: int
    windows: dict[str, dict[str, Measure]]
    rules: dict[str, dict[str, Scalar]]


class RollingView(Protocol):
    """Reads the windows; every answer comes from memory, at once."""

    def numbers(self, after: str | None, limit: int, campaign: str | None) -> Sequence[SubjectView]:
        """Up to `limit` numbers in ascending order, past `after`, of one campaign if one is given."""
        ...

    def number(self, value: str) -> SubjectView | None:
        """One of the company's own numbers; None if it is not known."""
        ...

    def campaigns(self, after: str | None, limit: int) -> Sequence[SubjectView]:
        """Up to `limit` campaigns in ascending order, past `after`."""
        ...

    def campaign(self, value: str) -> SubjectView | None:
        """One campaign; None if it is not known."""
        ...
