"""The order of effects, which is what makes a replay harmless.

Emissions are on disk before the state that says they were made; the state is on disk before the source offset. A crash
in between replays records whose state already carries their offset (no-ops), or emits again what carries the same
origin (skipped by whoever reads it). Nothing is lost and nothing counts twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from heapq import merge

from schemas.log import LogUnavailableError, NewRecord
from streams.agents.stage import Effects, StateChange

Publish = Callable[[Sequence[NewRecord]], Awaitable[object]]
Keep = Callable[[Mapping[int, Sequence[StateChange]]], Awaitable[None]]
Persist = Callable[[], Awaitable[object]]
"""Makes something durable, or raises LogUnavailableError."""

# How soon a stop is noticed while the log is away.
_GLANCE_SECONDS = 0.2
# A full disk or an absent broker lasts seconds at best; half a minute between tries keeps the log readable.
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 30.0

_logger = logging.getLogger(__name__)


class StoppedError(Exception):
    """A stop was asked for while the log could not take the effects; the source must stay unacknowledged."""


async def emit_then_keep_state(
    effects: Mapping[int, Effects], publish: Publish, keep: Keep, stopping: Callable[[], bool]
) -> None:
    """Publish emissions, then keep the state; the caller acknowledges the source only after this returned.

    Args:
        effects: of one slice, by partition of the source.
        publish: appends emissions to the log in order; returns once all are durable.
        keep: writes changed states to the changelog, by partition; returns once all are durable.
        stopping: whether the program is asked to end, which is when an unavailable log is no longer waited for.

    Raises:
        StoppedError: the program ends before the log could take all.
    """
    # What comes after sees calls in the order in which their callbacks came, over all partitions of this slice.
    emissions = list(merge(*(effect.emissions for effect in effects.values()), key=_timestamp))
    if emissions:
        await persist(lambda: publish(emissions), stopping)
    changes = {partition: effect.changes for partition, effect in effects.items() if effect.changes}
    if changes:
        await persist(lambda: keep(changes), stopping)


def _timestamp(record: NewRecord) -> int:
    return record.timestamp or 0


async def persist(attempt: Persist, stopping: Callable[[], bool]) -> None:
    """Try until the log takes it.

    Raises:
        StoppedError: the program ends before that.
    """
    pause = _FIRST_PAUSE_SECONDS
    while True:
        try:
            await attempt()
        except LogUnavailableError as error:
            _logger.warning("the log is unavailable, trying again in %.1f s: %s", pause, error)
            await _pause(pause, stopping)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        else:
            return


async def _pause(seconds: float, stopping: Callable[[], bool]) -> None:
    left = seconds
    while left > 0:
        if stopping():
            raise StoppedError
        await asyncio.sleep(min(left, _GLANCE_SECONDS))
        left -= _GLANCE_SECONDS
