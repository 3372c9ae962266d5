"""The share of an account's calls of which callbacks are missing, and whether it has risen."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Final

import msgspec

from schemas.rule_settings.conduct import MissingCallbacks as Settings
from schemas.times import HOUR, MINUTE
from streams.detectors.bernoulli_cusum import BernoulliCusum
from streams.detectors.episode import Episode
from streams.detectors.recovery import RECOVERED, recovery_score
from streams.detectors.run_length import threshold

PRIOR_CALLS: Final = 50.0
"""Calls that the setting's usual share is worth beside what was learned: soon outweighed."""

MEMORY_CALLS: Final = 20_000
"""Learned counts are halved past this: a share of 0.5 % is known to within a fifth, and the years are followed."""


HELD_STRETCH: Final = 5 * MINUTE
"""Calls are held back by stretches of this length: short beside the hours after which a loss is known."""

FIRST_DELAY: Final = 5 * HOUR
"""How long a call is held back at first: a call that never ends is closed after four hours, as settings have it."""

LONGEST_DELAY: Final = 30 * HOUR
"""And at most, whatever the settings are: what is held must stay small."""


class Fired(msgspec.Struct, frozen=True, array_like=True):
    """What a run began with: calls since the rise began, those with a loss, and how many of these were expected."""

    calls: int
    losses: int
    expected: float


class CallbackLosses(msgspec.Struct, array_like=True):
    """One kind of loss: a Bernoulli CUSUM against the account's own usual share.

    Attributes:
        episode: the alert under way, and how many there have been.
        calls: calls that the usual share was learned from.
        losses: those of them with a loss.
        cusum: the chart; it counts the calls without a loss, and looks for a fall of their odds.
        fired: what the run under way, or the last one, began with.
        recovery: score of the mirrored chart since, in nats.
        fresh_calls: calls since the run began.
        fresh_losses: those of them with a loss.
        held: calls that may still turn out to have a loss, by the stretch of time in which they were placed.
        delay: how long a call is held back, in milliseconds.

    >>> losses, settings = CallbackLosses(), Settings()
    >>> [call for call in range(700) if losses.update(call, call > 600 and call % 4 == 0, settings)]
    [620]
    """

    episode: Episode = msgspec.field(default_factory=Episode)
    calls: int = 0
    losses: int = 0
    cusum: BernoulliCusum = msgspec.field(default_factory=BernoulliCusum)
    fired: Fired | None = None
    recovery: float = 0.0
    fresh_calls: int = 0
    fresh_losses: int = 0
    held: dict[int, int] = {}
    delay: int = FIRST_DELAY

    def place(self, at: int) -> Iterator[tuple[int, bool]]:
        """Hold back a call that was placed; give those of which no loss is to be expected any more.

        A loss is known hours after its call. Taken in as they become known, the losses of a day would come at night,
        when no calls without a loss come between them.

        Args:
            at: when the call was placed, in milliseconds since the epoch.

        Returns:
            For `update`, in the order in which they were placed: when, and whether the call has a loss.
        """
        stretch = at // HELD_STRETCH
        self.held[stretch] = self.held.get(stretch, 0) + 1
        return self._release((at - self.delay) // HELD_STRETCH)

    def lose(self, placed_at: int, at: int) -> Iterator[tuple[int, bool]]:
        """Take in that a call has a loss; give it, after all that were placed before it.

        Args:
            placed_at: when the call was placed, in milliseconds since the epoch.
            at: when the loss became known.

        Returns:
            As `place`.
        """
        self.delay = min(max(self.delay, at - placed_at + HOUR), LONGEST_DELAY)
        stretch = placed_at // HELD_STRETCH
        yield from self._release(stretch)
        # Itself is one of those that were held back.
        if self.held.get(stretch, 0) > 1:
            self.held[stretch] -= 1
        else:
            self.held.pop(stretch, None)
        yield placed_at, True

    def _release(self, until: int) -> Iterator[tuple[int, bool]]:
        for stretch in sorted(stretch for stretch in self.held if stretch < until):
            for _ in range(self.held.pop(stretch)):
                yield stretch * HELD_STRETCH, False

    def update(self, at: int, lost: bool, settings: Settings) -> bool:
        """Take in one call; tell whether its alert is to fire, or to resolve if it is firing.

        Args:
            at: when the call ended, in milliseconds since the epoch.
            lost: whether it has a loss.
            settings: of the rule.
        """
        if self.fired is not None:
            return self._follow(at, lost, settings)
        if self.calls < settings.learning_calls or not (lost or self.cusum.calls):
            self._learn(1, lost)
            return False
        fall = 1 / settings.odds_ratio
        pending = self.cusum.calls, self.cusum.calls - self.cusum.answered
        if self.cusum.update(at, not lost, 1 - self.usual_share(settings), fall) == 0:
            # Only now that the evidence is gone are the calls since it began ordinary ones.
            self._learn(pending[0] + 1, pending[1] + lost)
            return False
        calls = self.cusum.calls
        losses, expected = calls - self.cusum.answered, calls - self.cusum.expected
        enough = lost and losses >= settings.least_calls
        if not enough or self.cusum.score < threshold(1 - expected / calls, fall, settings.calls_between_false_alarms):
            return False
        self.fired = Fired(calls, losses, expected)
        self.recovery, self.fresh_calls, self.fresh_losses = 0.0, 0, 0
        return True

    def usual_share(self, settings: Settings) -> float:
        """The share of calls with a loss that is to be expected, from 0 to 1."""
        share = (self.losses + PRIOR_CALLS * settings.usual_share) / (self.calls + PRIOR_CALLS)
        return min(max(share, settings.usual_share), settings.highest_usual_share)

    def since(self, at: int) -> int:
        """When the rise began, in milliseconds since the epoch; `at` if that is not known."""
        return at if self.cusum.since is None else self.cusum.since

    def end(self) -> None:
        """Begin anew after a run has been resolved."""
        self.fired = None
        self.cusum.reset()

    def _follow(self, at: int, lost: bool, settings: Settings) -> bool:
        """Whether the run is over: the calls since speak for the usual share against half of the rise, in log odds."""
        assert self.fired is not None
        self.fresh_calls += 1
        self.fresh_losses += lost
        usual = self.usual_share(settings)
        risen = (self.fired.losses + 0.5) / (self.fired.calls + 1)
        rise = max(risen / (1 - risen) * (1 - usual) / usual, settings.odds_ratio)
        self.recovery = recovery_score(self.recovery, not lost, 1 - usual, 1 / sqrt(rise))
        return (
            self.recovery >= RECOVERED
            and self.fresh_calls >= settings.recovery_calls
            and at >= self.episode.fired_at + settings.dwell_minutes * MINUTE
        )

    def _learn(self, calls: int, losses: int) -> None:
        self.calls += calls
        self.losses += losses
        if self.calls > MEMORY_CALLS:
            self.calls, self.losses = round(self.calls / 2), round(self.losses / 2)
