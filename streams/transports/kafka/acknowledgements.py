"""What became of appended records: from the producer's thread to the event loop that waits for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from schemas.log import LogUnavailableError

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
# A record below Kafka's own default limit of a message never is what was too large.
_LARGE_BYTES = 131_072


class PendingAppend:
    """Records that were appended together, and what is known of them.

    Args:
        producer: that they were given to.
        wakeup: to the event loop of who waits.
        sizes: bytes of each.
    """

    __slots__ = ("error", "future", "largest", "left", "places", "producer", "size", "wakeup")

    def __init__(self, producer: KafkaProducer, wakeup: Wakeup, sizes: Sequence[int]) -> None:
        self.producer = producer
        self.wakeup = wakeup
        self.future: asyncio.Future[list[tuple[int, int]]] = wakeup.loop.create_future()
        self.left = len(sizes)
        self.places = [(-1, -1)] * len(sizes)
        self.size = sum(sizes)
        self.largest = max(sizes)
        self.error: BaseException | None = None

    def settle(self) -> None:
        """Tell who waits, in their event loop."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.places)
        # Others that shared the batch, or the producer, with a large record get the same error, and may try again.
        elif isinstance(self.error, _TOO_LARGE) and self.largest > _LARGE_BYTES:
            self.future.set_exception(
                ValueError(
                    f"a record of {self.largest} bytes is more than its topic takes; raise its max.message.bytes"
                )
            )
        else:
            name = type(self.error).__name__
            self.future.set_exception(
                LogUnavailableError(f"the brokers did not take it ({name}: {self.error}); try again")
            )


class Wakeup:
    """Hands finished appends to an event loop, many in one wake-up.

    Args:
        loop: where they are waited for.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._finished: deque[PendingAppend] = deque()
        self._called = False

    def put(self, append: PendingAppend) -> None:
        """Take a finished append, in any thread."""
        self._finished.append(append)
        if not self._called:
            self._called = True
            try:
                self.loop.call_soon_threadsafe(self._settle)
            except RuntimeError:
                # The loop is closed, so nobody waits.
                self._finished.clear()

    def _settle(self) -> None:
        self._called = False
        while self._finished:
            self._finished.popleft().settle()
