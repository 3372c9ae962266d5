"""The traffic of a drill: a past to learn from, and a stretch of traffic for each fault, with incidents in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.times import DAY, MINUTE, from_iso
from streams.ingest.simulator import Line, Simulation
from streams.ingest.simulator.scenario import Campaign, Collapse, OptOut, Scenario, Signal, Spike

# Simulated time is fixed, so that a seed gives the same calls and alerts on any day. It ends in the busy hours.
_ENDS_AT: Final = from_iso("2026-01-15T23:00:00Z")
_SEED: Final = 1
_CAMPAIGNS: Final = ("spring-sale", "renewals")
_NUMBERS: Final = 5
_SPIKING_NUMBERS: Final = 2
# Clear incidents: the order of calls, which a fault changes, must not decide whether there is an alert. With traffic of
# another shape, see first that a replay of it says the same when half of the calls come minutes later.
_SPIKE_FACTOR: Final = 8.0
_COLLAPSE_ODDS: Final = 0.02


class Traffic(msgspec.Struct, frozen=True):
    """Simulated lines.

    Attributes:
        account_sid: whose calls they are.
        past: to learn from.
        stretches: one for each fault, in order.
        begins_at: the first moment of the first stretch, in ms since the epoch.
    """

    account_sid: str
    past: Sequence[Line]
    stretches: Sequence[Sequence[Line]]
    begins_at: int


def simulate_traffic(stretches: int, minutes: int, calls_per_day: float, past_days: int = 4) -> Traffic:
    """Simulate the lines of a drill.

    Args:
        stretches: how many faults there are.
        minutes: event time of one stretch; it is played much faster.
        calls_per_day: calls of each of the ten numbers on a weekday.
        past_days: how much there is to learn from.
    """
    scenario = _scenario(stretches, minutes * MINUTE, calls_per_day, past_days * DAY)
    simulation = Simulation(scenario, _SEED, _ENDS_AT)
    past: list[Line] = []
    found: list[list[Line]] = [[] for _ in range(stretches)]
    for line in simulation.lines():
        since = line.received_at - simulation.stretch_from
        if since < 0:
            past.append(line)
        else:
            found[min(since // (minutes * MINUTE), stretches - 1)].append(line)
    return Traffic(scenario.account_sid, past, found, simulation.stretch_from)


def _scenario(stretches: int, length: int, calls_per_day: float, past: int) -> Scenario:
    signals = (Signal.STOP_WORD, Signal.DTMF, Signal.SPEECH)
    starts = [(stretches - place) * length for place in range(stretches)]
    quiet_numbers = _NUMBERS - _SPIKING_NUMBERS
    return Scenario(
        name="drill",
        description="Some days to learn from, then a spike, a collapse and three opt-outs for each fault.",
        campaigns=tuple(
            Campaign(name=name, numbers=_NUMBERS, calls_per_day=calls_per_day, answer_rate=0.40) for name in _CAMPAIGNS
        ),
        past=past,
        stretch=stretches * length,
        end_of_week_hour=3 * 24 + 23,
        spikes=tuple(
            Spike(
                campaign=place % 2,
                number=place // 2 % _SPIKING_NUMBERS,
                starts=start - length * 3 // 10,
                ends=start - length * 6 // 10,
                factor=_SPIKE_FACTOR,
            )
            for place, start in enumerate(starts)
        ),
        # Each number falls once at most, as a second fall would be held against the first; and for good, as the order
        # of calls decides when an alert has recovered.
        collapses=tuple(
            Collapse(
                campaign=(place + 1) % 2,
                number=_SPIKING_NUMBERS + place // 2 % quiet_numbers,
                starts=start,
                odds=_COLLAPSE_ODDS,
            )
            for place, start in enumerate(starts[: 2 * quiet_numbers])
        ),
        opt_outs=tuple(
            OptOut(
                campaign=(place + number) % 2,
                number=number,
                starts=start - length * (2 + 2 * number) // 10,
                signal=signal,
            )
            for place, start in enumerate(starts)
            for number, signal in enumerate(signals)
        ),
    )
