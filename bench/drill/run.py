"""One drill: faults one after the other on one stand, each under a stretch of traffic, and what came of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench.apache_kafka import Cluster
from bench.drill.comparison import Comparison
from bench.drill.faults import Fault
from bench.drill.reading import now_ms
from bench.drill.stand import Stand, standing
from bench.drill.table import Row
from bench.drill.traffic import Traffic
from streams.ingest.simulator import Line

# Before a fault some of its stretch is played, so that it comes under load.
_SHARE_BEFORE: Final = 0.2
_BACK_SECONDS: Final = 120.0
_GLANCE_SECONDS: Final = 0.1
# Under load there is always something on its way: what comes in within a tenth of a second.
_ON_ITS_WAY: Final = 20


async def drill(
    cluster: Cluster,
    folder: Path,
    faults: Sequence[Fault],
    traffic: Traffic,
    rate: float,
    tell: Callable[[Row], None],
) -> list[Row]:
    """Drill faults in order on one stand.

    Args:
        cluster: runs, and has nothing of ringwatch's.
        folder: for all that is written.
        faults: one for each stretch of the traffic, all on as many brokers; one that is never over is the last.
        traffic: what is played.
        rate: lines a second.
        tell: is told each row as soon as it is known.
    """
    rows = []
    async with standing(cluster, folder, traffic, rate) as stand:
        comparison = Comparison(stand)
        await comparison.past()
        for fault, lines in zip(faults, traffic.stretches, strict=True):
            try:
                rows.append(await _drill_one(stand, comparison, fault, lines))
            except (RuntimeError, TimeoutError) as error:
                # What comes after would only tell of this again.
                rows.append(Row(fault.name, 0, 0, (), None, str(error)))
            tell(rows[-1])
            if rows[-1].seconds is None:
                break
    return rows


async def _drill_one(stand: Stand, comparison: Comparison, fault: Fault, lines: Sequence[Line]) -> Row:
    callers = stand.callers
    lines = lines if fault.spoil is None else fault.spoil(stand, lines)
    before, refused = callers.accepted.total(), callers.refused
    ended = {name: len(process.ended) for name, process in stand.processes.items()}
    playing = asyncio.create_task(callers.play(lines))
    while callers.accepted.total() < before + _SHARE_BEFORE * len(lines) and not playing.done():  # noqa: ASYNC110 - a count that grows
        await asyncio.sleep(_GLANCE_SECONDS)
    over = await fault.act(stand)
    seconds = await _seconds_to_be_back(stand, over, playing)
    await playing
    await stand.settle()
    differences = await comparison.compare(await fault.check(stand) if fault.check is not None else ())
    notes = [f"{callers.refused - refused} answered 503"] if callers.refused > refused else []
    for name, process in stand.processes.items():
        notes += [f"{name} ended with {code}" for code in process.ended[ended.get(name, 0) :] if code != -9]
    accepted = callers.accepted.total() - before
    return Row(fault.name, accepted, comparison.alerts, differences, seconds, ", ".join(notes))


async def _seconds_to_be_back(stand: Stand, over: float, playing: asyncio.Task[None]) -> float | None:
    """Wait until nothing is left to work off, and the facts of callbacks are seen that came after the fault."""
    since = now_ms() - round((time.monotonic() - over) * 1_000)
    while time.monotonic() < over + _BACK_SECONDS:
        lag = await stand.lag()
        seen = stand.facts.newest >= since or playing.done()
        if lag is not None and lag <= _ON_ITS_WAY and seen:
            return time.monotonic() - over
        await asyncio.sleep(_GLANCE_SECONDS)
    return None
