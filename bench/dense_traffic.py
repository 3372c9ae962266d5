"""Dense traffic: 5,000 numbers of 20 campaigns, some 880 callbacks a second of event time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from bench.traffic import ACCOUNT
from schemas.log import Log, NewRecord
from schemas.register import Register
from schemas.settings import Settings
from schemas.times import HOUR, SECOND
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import Simulation
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.scenario import Campaign, OptOut, Scenario, Signal, Spike
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record

NUMBERS = 5_000
CAMPAIGNS = 20

_RECORDS_AN_APPEND = 5_000


def _scenario(numbers: int) -> Scenario:
    first_minutes = zip(range(20 * SECOND, 120 * SECOND, SECOND), cycle(Signal), strict=False)
    return Scenario(
        name="dense",
        description="Twenty campaigns at their busiest hour.",
        campaigns=tuple(
            Campaign(name=f"campaign-{index}", numbers=numbers // CAMPAIGNS, calls_per_day=2_000.0, answer_rate=0.36)
            for index in range(CAMPAIGNS)
        ),
        account_sid=ACCOUNT,
        past=0,
        stretch=HOUR,
        end_of_week_hour=3 * 24 + 20,
        contacts_per_number=40,
        # One number of each campaign calls beyond the absolute limit, and people say stop from the first minutes on.
        spikes=tuple(
            Spike(campaign=index, number=0, starts=HOUR, ends=None, factor=20.0) for index in range(CAMPAIGNS)
        ),
        opt_outs=tuple(
            OptOut(campaign=index % CAMPAIGNS, number=1 + index // CAMPAIGNS, starts=HOUR - at, signal=signal)
            for index, (at, signal) in enumerate(first_minutes)
        ),
    )


def simulated(ends: int, numbers: int = NUMBERS) -> Iterator[Line]:
    """The lines of the hour that ends then, in order of receipt; some three million.

    Args:
        ends: in milliseconds since the epoch; traffic begins at the full hour at or before its beginning.
        numbers: how many call; with fewer there are fewer lines.
    """
    return Simulation(_scenario(numbers), 1, ends).lines()


def records(count: int, settings: Settings, numbers: int = NUMBERS) -> Sequence[NewRecord]:
    """The records that a gateway makes of the first `count` callbacks of the last full hour.

    Args:
        count: how many callbacks.
        settings: say how requests are understood.
        numbers: how many call.
    """
    ends = time.time_ns() // 1_000_000 // HOUR * HOUR
    terms = Terms.of(settings, Register())
    lines = islice(simulated(ends, numbers), count)
    return [new_record(found) for line in lines for found in read_line(line.encode(), terms)]


async def append(log: Log, made: Sequence[NewRecord]) -> None:
    """Put records into a log, in order."""
    for start in range(0, len(made), _RECORDS_AN_APPEND):
        await log.append(made[start : start + _RECORDS_AN_APPEND])
