"""Notifications on their way to webhooks: each receiver at its own pace, none waits for another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import httpx

from sinks.alerts.keeping import Pending
from sinks.alerts.states import Notification, NotificationKind
from sinks.alerts.webhook import Attempt, Receiver, deliver, payload

_LOGGER = logging.getLogger("ringwatch.alerts")

# Days of an ordinary stream of notifications; a receiver that is away for longer gets the latest of them.
MAX_PENDING = 1_000
# A receiver that restarts is reached soon; one that is away for hours is not flooded.
_FIRST_PAUSE_SECONDS = 1.0
_LAST_PAUSE_SECONDS = 60.0
# A log line that names more is not read.
_NAMED = 5


class Outbox:
    """What is still to be delivered, and the tasks that do it.

    Args:
        receivers: the webhooks.
        external_url: base URL of links.
        timeout: seconds that a receiver may take to answer.
        count: called with the outcome of each attempt: delivered, failed (it is tried again), refused, dropped.
        first_pause: seconds before the second attempt; each pause after is twice as long, up to a minute.
    """

    def __init__(
        self,
        receivers: Sequence[Receiver],
        *,
        external_url: str,
        timeout: float,
        count: Callable[[str], None],
        first_pause: float = _FIRST_PAUSE_SECONDS,
    ) -> None:
        self._receivers = receivers
        self._external_url = external_url
        self._timeout = timeout
        self._count = count
        self._first_pause = first_pause
        self._news = {receiver.name: asyncio.Event() for receiver in receivers}
        self.pending: list[Pending] = []
        self._staged: list[Pending] = []
        self.changed = False

    def restore(self, pending: Sequence[Pending]) -> None:
        """Take up what an earlier process did not deliver to receivers that there still are."""
        for one in pending:
            left = [name for name in one.left if name in self._news]
            if left:
                self.pending.append(Pending(one.notification, left))

    def put(self, notification: Notification) -> None:
        """Write a notification to the program's log, and keep it for every receiver until `release`."""
        _write(notification)
        self._count("logged")
        if self._receivers:
            self._staged.append(Pending(notification, list(self._news)))
            self.changed = True

    def everything(self) -> list[Pending]:
        """All that is not delivered, for keeping."""
        return [*self.pending, *self._staged]

    def release(self) -> None:
        """Have what was put delivered: it is on disk."""
        self.pending += self._staged
        self._staged = []
        while len(self.pending) > MAX_PENDING:
            dropped = self.pending.pop(0)
            for name in dropped.left:
                _LOGGER.error("%s is away for too long: %s is dropped", name, dropped.notification.group_key)
                self._count("dropped")
        for news in self._news.values():
            news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until told to stop; what is not delivered then stays in `pending`."""
        async with httpx.AsyncClient(timeout=self._timeout, follow_redirects=False) as client:
            tasks = [asyncio.create_task(self._serve(client, receiver)) for receiver in self._receivers]
            waiting = asyncio.create_task(stop.wait())
            try:
                # A task that ends has failed: it is this program's fault, and must not pass unseen.
                done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (waiting, *tasks):
                    task.cancel()
                await asyncio.gather(waiting, *tasks, return_exceptions=True)
            for task in done:
                task.result()

    async def _serve(self, client: httpx.AsyncClient, receiver: Receiver) -> None:
        news = self._news[receiver.name]
        pause = self._first_pause
        while True:
            pending = next((one for one in self.pending if receiver.name in one.left), None)
            if pending is None:
                news.clear()
                await news.wait()
                continue
            body = payload(pending.notification, receiver.name, self._external_url)
            attempt, why = await deliver(client, receiver.url, pending.notification, body)
            self._count(attempt.value)
            if attempt is Attempt.FAILED:
                _LOGGER.warning("%s can't be told (%s); next try in %.0f s", receiver.name, why, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LAST_PAUSE_SECONDS)
                continue
            if attempt is Attempt.REFUSED:
                _LOGGER.error(
                    "%s refuses a notification (%s), which is not sent again; check alerts.webhooks", receiver.name, why
                )
            pause = self._first_pause
            pending.left.remove(receiver.name)
            if not pending.left and pending in self.pending:
                self.pending.remove(pending)
            self.changed = True


def _write(notification: Notification) -> None:
    state = "firing" if notification.firing else "resolved"
    level = logging.INFO if notification.kind is NotificationKind.DIGEST or not notification.firing else logging.WARNING
    first = [alert for alert in notification.alerts if alert.new or alert.ended_at is not None]
    parts = [alert.message for alert in first[:_NAMED]]
    if len(first) > _NAMED:
        parts.append(f"and {len(first) - _NAMED} more")
    _LOGGER.log(level, "%s %s%s", state, notification.summary, "".join(f" | {part}" for part in parts))
