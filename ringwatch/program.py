"""A running process of ringwatch, and how signals end it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from ringwatch.parts import Parts


class Program:
    """A running process of ringwatch.

    Attributes:
        address: base URL of its HTTP server.
        parts: what runs in it.
    """

    def __init__(self, address: str, parts: Parts) -> None:
        self.address = address
        self.parts = parts


P = TypeVar("P", bound=Program)


async def run_until_stopped(running: AbstractAsyncContextManager[P], on_ready: Callable[[P], None]) -> bool:
    """Run until SIGTERM or SIGINT, or until a part dies; a second signal ends the process at once.

    Args:
        running: starts everything, and stops it in order.
        on_ready: called once everything runs.

    Returns:
        Whether a part has died.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def end() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
            # The system's own way works whatever this process hangs in. Nothing is lost by it but time at the next
            # start: what was acknowledged is on disk.
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    started = asyncio.Event()

    async def run() -> bool:
        async with running as program:
            started.set()
            on_ready(program)
            await _first(stop, program.parts.died)
            return program.parts.died.is_set()

    work = asyncio.create_task(run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and not started.is_set():
            # Told to end while it waits for a log or its tables: there is nothing to finish.
            work.cancel()
        await asyncio.wait({work})
        return False if work.cancelled() else work.result()
    finally:
        stopping.cancel()


async def _first(*events: asyncio.Event) -> None:
    tasks = {asyncio.create_task(event.wait()) for event in events}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
