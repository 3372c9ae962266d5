"""A pause between aiokafka's questions who leads a partition, while no broker answers.

aiokafka means to wait between them and does not: where a leader is unknown and all brokers are away, its sender and its
fetcher ask thousands of times a second, log each failure, and keep a processor busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

# As long as aiokafka waits elsewhere, about: a leader that moved is found soon enough.
_PAUSE_SECONDS: Final = 0.2


class _Pausing:
    """Asks, and holds the answer back for a moment if there was none."""

    def __init__(self, ask: Callable[..., Awaitable[bool]]) -> None:
        self._ask = ask

    async def __call__(self, *arguments: Any) -> bool:
        found = await self._ask(*arguments)
        if not found:
            await asyncio.sleep(_PAUSE_SECONDS)
        return found


def pause_between_questions(client: Any) -> None:
    """Have a client of aiokafka's pause after a question that nobody answered; a second call does nothing."""
    ask = client._metadata_update  # noqa: SLF001 - aiokafka offers no setting for it
    if not isinstance(ask, _Pausing):
        client._metadata_update = _Pausing(ask)  # noqa: SLF001 - as above
