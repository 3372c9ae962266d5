"""Time told to partitions where traffic has stopped, so that calls that never end are closed all the same.

The wall clock acts only here, and only by way of the log: a tick is a record like any other, so that the log alone
still decides what is said.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from schemas.callback import Callback, CallbackKind
from schemas.log import Log, LogUnavailableError, NewRecord
from schemas.topics import CALLBACKS

# Calls are closed after hours; a minute of silence is soon enough to look.
_INTERVAL_SECONDS = 60.0

_logger = logging.getLogger(__name__)


async def tick_silent_partitions(
    log: Log, stop: asyncio.Event, held: Callable[[], Collection[int]], interval: float = _INTERVAL_SECONDS
) -> None:
    """Append a tick to every held partition of `callbacks` that nothing was appended to for an interval.

    Args:
        log: the ticks go into it.
        stop: ends the work.
        held: gives the partitions that the agents of this process hold now; others are ticked by those who hold them.
        interval: seconds of silence.
    """
    seen: dict[int, int] = {}
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), interval)
        except TimeoutError:
            pass
        else:
            return
        try:
            seen = await _tick(log, seen, held())
        except LogUnavailableError as error:
            _logger.warning("no tick, the log is unavailable: %s", error)


async def _tick(log: Log, seen: dict[int, int], held: Collection[int]) -> dict[int, int]:
    ends = dict(await log.ends(CALLBACKS.name))
    silent = [partition for partition in held if ends[partition] and seen.get(partition) == ends[partition]]
    if silent:
        now = time.time_ns() // 1_000_000
        tick = Callback(
            call_sid="", account_sid="", kind=CallbackKind.TICK, endpoint="", received_at=now, params={}
        ).encode()
        places = await log.append([NewRecord(CALLBACKS.name, b"", tick, partition=partition) for partition in silent])
        ends.update({partition: offset + 1 for partition, offset in places})
    return ends
