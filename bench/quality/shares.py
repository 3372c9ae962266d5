"""Rules about a share of calls: false alarms at a steady share, and how soon a rise is found.

All of them are one chart (`streams.detectors.rising_share`) with one set of defaults, so it is measured once, over the
shares that they watch: a campaign of ten numbers, whose own shares differ a little.
"""

from __future__ import annotations

import math
from random import Random
from statistics import median, quantiles

from bench.quality.figures import Figure
from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rule_settings.shares import BlockedCalls as Settings
from schemas.times import MINUTE
from streams.detectors.blocked_calls import BlockedCalls
from streams.detectors.rising_share import ShareState, step

PART = "shares"
SEED = 51
SHARES = (0.01, 0.03, 0.08, 0.3)
RISES = (3.0, 6.0)
"""The odds that a number's share rises by: what the charts look for, and twice that."""

NUMBERS = 10
SPREAD = 0.15
"""Standard deviation of a number's own log odds beside its campaign's."""

CALLS = 120_000
"""Calls of a steady campaign; each is a step of two charts."""

TAUGHT = 6_000
"""Calls of a campaign before one of its numbers rises: two months of a small one."""

FALLS = 60
WITHIN = 600


class _NoCap:
    """Nothing is suppressed here."""

    def refusal(self, number: str, at: int) -> str | None:  # noqa: ARG002 - as the real one's
        """Why not."""
        return "measured"

    def hold(self, number: str, rule: str, until: int) -> None:
        """Never called."""

    def release(self, number: str, rule: str) -> None:
        """Never called."""


class Campaign:
    """A campaign whose numbers call in turn.

    Args:
        share: its steady share of calls of the watched sort, from 0 to 1.
        seed: of the outcomes.
    """

    def __init__(self, share: float, seed: int) -> None:
        self.random = Random(seed)
        self.settings = Settings(usual_share=min(share, 0.05))
        self.campaign = Subject(SubjectKind.CAMPAIGN, "measured"), ShareState()
        self.numbers = [(Subject(SubjectKind.NUMBER, f"+1202555{index:04d}"), ShareState()) for index in range(NUMBERS)]
        odds = share / (1 - share)
        self.odds = [odds * math.exp(self.random.gauss(0.0, SPREAD)) for _ in range(NUMBERS)]
        self.at = 0

    def call(self, index: int, rise: float = 1.0) -> list[Alert]:
        """One call of one number; gives the alerts that it fires."""
        odds = self.odds[index] * rise
        hit = self.random.random() < odds / (1 + odds)
        self.at += MINUTE
        number = self.numbers[index]
        found = step(BlockedCalls, self.settings, self.campaign, number, self.at, hit, _NoCap())
        return [one for one in found if isinstance(one, Alert) and one.state is AlertState.FIRING]


def measure() -> list[Figure]:
    """Measure each share."""
    return [figure for place, share in enumerate(SHARES) for figure in _of_share(share, SEED + place)]


def _of_share(share: float, seed: int) -> list[Figure]:
    name = f"{share:.0%} of calls"
    fleet = Campaign(share, seed)
    alarms = sum(len(fleet.call(place % NUMBERS)) for place in range(CALLS))
    nominal = 2e4 / Settings().trials_between_false_alarms
    figures = [
        Figure(
            part=PART,
            name=name,
            measure="false alarms",
            unit="per 10,000 calls",
            value=round(alarms / CALLS * 1e4, 3),
            target="<= 1",
            note=f"two charts a call; {nominal:g} if the shares were known exactly",
        )
    ]
    for rise in RISES:
        delays = [_delay(share, rise, seed * 1_000 + place) for place in range(FALLS)]
        found = [delay for delay in delays if delay is not None]
        which = f"odds × {rise:g}: "
        figures += [
            Figure(part=PART, name=name, measure=f"{which}median delay", unit="calls", value=median(found)),
            Figure(
                part=PART,
                name=name,
                measure=f"{which}95 % within",
                unit="calls",
                value=round(quantiles(found, n=20)[18]),
            ),
            Figure(
                part=PART,
                name=name,
                measure=f"{which}found within {WITHIN}",
                unit="share",
                value=round(len(found) / FALLS, 3),
            ),
        ]
    return figures


def _delay(share: float, rise: float, seed: int) -> int | None:
    """Calls of the number until its rise is told, of itself; None if it is not within the bound."""
    fleet = Campaign(share, seed)
    for place in range(TAUGHT):
        fleet.call(place % NUMBERS)
    state = fleet.numbers[0][1]
    # What it was alarmed of before the rise is none of this.
    if state.episode.is_firing:
        return _delay(share, rise, seed + 7_919)
    for call in range(1, WITHIN + 1):
        for index in range(1, NUMBERS):
            fleet.call(index)
        if any(alert.subject == fleet.numbers[0][0] for alert in fleet.call(0, rise)):
            return call
    return None
