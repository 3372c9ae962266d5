"""Tasks that run as long as the process, and die together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

_logger = logging.getLogger(__name__)


class Parts:
    """Tasks that run as long as the process; one that dies ends it.

    Attributes:
        died: set once a part has died.
    """

    def __init__(self) -> None:
        self.died = asyncio.Event()
        self._stops: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[asyncio.Event], Awaitable[Any]]) -> None:
        """Run a part in the background until its event is set."""
        stop = asyncio.Event()

        async def part() -> None:
            await run(stop)

        task = asyncio.create_task(part(), name=name)
        task.add_done_callback(self._note)
        self._stops.append(stop)
        self._tasks.append(task)

    async def stop(self) -> None:
        """Stop all parts, the last one started first, and wait for each."""
        for stop, task in zip(reversed(self._stops), reversed(self._tasks), strict=True):
            stop.set()
            await asyncio.gather(task, return_exceptions=True)

    def _note(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _logger.critical("%s has died", task.get_name(), exc_info=error)
            self.died.set()


@asynccontextmanager
async def running_parts() -> AsyncIterator[Parts]:
    """Parts that are stopped at the end of the block."""
    parts = Parts()
    try:
        yield parts
    finally:
        await parts.stop()
