"""The last events in memory, for the clients that keep up."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from schemas.log import Positions
from sinks.feed.events import Event

# A client that is this far behind reads the log instead: minutes of alerts on a bad day, and some megabytes.
MAX_EVENTS = 5_000
# Evidence has no fixed size; this keeps the journal small even where each record is large.
MAX_BYTES = 16 * 1024 * 1024


class Journal:
    """The events that the board read last, numbered from 0 in the order in which it read them.

    Args:
        max_events: how many events are kept at most.
        max_bytes: how many bytes of records are kept at most.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._events: deque[Event] = deque()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._begins: Positions = {}
        self._changed = asyncio.Event()
        self.first = 0
        self.closed = False

    @property
    def end(self) -> int:
        """The number that the next event will have."""
        return self.first + len(self._events)

    @property
    def begins(self) -> Positions:
        """A copy of the positions from which on the journal has every event; a partition not named is held whole."""
        return dict(self._begins)

    def covers(self, positions: Positions) -> bool:
        """Whether every event that the board has read from these positions on is here."""
        return all(positions.get(place, 0) >= begin for place, begin in self._begins.items())

    def add(self, event: Event) -> None:
        """Take one event in, and let the oldest go where there are too many."""
        self._events.append(event)
        self._bytes += event.size
        while len(self._events) > self._max_events or (self._bytes > self._max_bytes and len(self._events) > 1):
            oldest = self._events.popleft()
            self._bytes -= oldest.size
            self._begins[oldest.topic, oldest.partition] = oldest.offset + 1
            self.first += 1

    def events(self, index: int, limit: int) -> Sequence[Event]:
        """Up to `limit` events from the numbered one on; `index` lies between `first` and `end`."""
        start = index - self.first
        return [self._events[place] for place in range(start, min(start + limit, len(self._events)))]

    def wake(self) -> None:
        """Wake everybody who waits: there are new events, or the journal is closed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        """Tell everybody who waits that no event will come."""
        self.closed = True
        self.wake()

    async def changed(self, wait: float) -> bool:
        """Wait up to `wait` seconds until somebody calls `wake`; say whether it happened."""
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
