"""The part that tells people: it follows alerts and silences in the log, and has the router decide."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.alert import Alert
from schemas.alerting import Alerting
from schemas.log import Log, LogUnavailableError, Positions, Reader, Record, ends_of
from schemas.silence import Silence
from schemas.topics import ALERTS, SILENCES
from schemas.wire import UnreadableRecordError
from sinks.alerts.keeping import Kept, load, save, sole_teller
from sinks.alerts.outbox import Outbox
from sinks.alerts.router import Router
from sinks.alerts.states import NotificationKind
from sinks.alerts.webhook import receiver_of

_LOGGER = logging.getLogger(__name__)

# Some ten milliseconds of work between two turns of the event loop while the log is read from its beginning.
_BATCH = 1_000
# A stop is noticed within this time, in seconds, and what is due is told so much late at most.
_WAIT_SECONDS = 0.25
# An end that no record leads to is taken as reached after so long without one.
_SETTLE_SECONDS = 2.0
# How far the log was read is kept so often where nothing was told; what is read again meanwhile says nothing new.
_SAVE_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.1
_LAST_RETRY_SECONDS = 5.0

_OUTCOMES = ("logged", "delivered", "failed", "refused", "dropped")


def wall_clock() -> int:
    """The time now, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Notifier:
    """Follows the log and tells people.

    The state of the router and the positions that it comes from are one file, which is on disk before a webhook is
    called: a restart goes on where it was, and repeats at most a delivery, under the same idempotency key.

    Args:
        log: has the topics `alerts` and `silences`.
        settings: whom to tell, and how.
        folder: the data folder, where the state is kept; it must be there.
        external_url: base URL of links in notifications.
        registry: gets the metrics.
        clock: the wall clock, in milliseconds since the epoch.
        first_pause: seconds before a failed webhook is tried again.
    """

    def __init__(
        self,
        log: Log,
        settings: Alerting,
        *,
        folder: Path,
        external_url: str,
        registry: CollectorRegistry,
        clock: Callable[[], int] = wall_clock,
        first_pause: float = 1.0,
    ) -> None:
        self._log = log
        self._settings = settings
        self._folder = folder
        self._clock = clock
        self._now = 0
        self._notifications = Counter(
            "ringwatch_notifications", "Notifications, by what became of them.", ["outcome"], registry=registry
        )
        for outcome in _OUTCOMES:
            self._notifications.labels(outcome)
        self._overflow = Counter(
            "ringwatch_alerts_overflow", "New alerts that were counted instead of told.", registry=registry
        )
        silences = Gauge("ringwatch_silences", "Silences that hold.", registry=registry)
        silences.set_function(self._holding)
        self.outbox = Outbox(
            [receiver_of(url) for url in dict.fromkeys(hook.get_secret_value() for hook in settings.webhooks)],
            external_url=settings.external_url or external_url,
            timeout=settings.webhook_timeout_seconds,
            count=lambda outcome: self._notifications.labels(outcome).inc(),
            first_pause=first_pause,
        )
        self.router = Router(settings)
        self.positions: Positions = {}
        self.caught_up = asyncio.Event()
        self._topics: tuple[str, ...] = (SILENCES.name,)
        self._tells = False
        self._anew = True
        self._changed = False
        self._saved_at = 0.0
        self._trouble = ""
        self._disk_trouble = ""

    def readiness(self) -> bool | str:
        """True while alerts are told as they come, else why not."""
        if not self.caught_up.is_set() and not self._trouble:
            return "reading alerts and silences from the log"
        return self._trouble or self._disk_trouble or True

    def silences(self) -> Mapping[str, Silence] | None:
        """The silences by id; None while they are still being read."""
        return self.router.state.silences if self.caught_up.is_set() else None

    async def run(self, stop: asyncio.Event) -> None:
        """Tell until told to stop; a log that is away is tried again and again."""
        with ExitStack() as stack:
            self._tells = self._settings.enabled and stack.enter_context(sole_teller(self._folder))
            if self._settings.enabled and not self._tells:
                _LOGGER.warning("another process tells people from %s, so this one does not", self._folder)
            if self._tells:
                self._topics = (ALERTS.name, SILENCES.name)
                self._restore()
            delivering = asyncio.create_task(self.outbox.run(stop))
            following = asyncio.create_task(self._follow_always(stop))
            try:
                await asyncio.wait({delivering, following}, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                for task in (delivering, following):
                    if not stop.is_set():
                        task.cancel()
                await asyncio.gather(delivering, following, return_exceptions=True)
                await self._save()
            for task in (delivering, following):
                if not task.cancelled():
                    task.result()

    def _restore(self) -> None:
        kept = load(self._folder)
        if kept is None:
            return
        self.router = Router(self._settings, kept.router)
        self.positions = kept.places()
        self.outbox.restore(kept.outbox)
        self._anew = False

    async def _follow_always(self, stop: asyncio.Event) -> None:
        delay = _FIRST_RETRY_SECONDS
        while not stop.is_set():
            before = sum(self.positions.values())
            try:
                await self._follow(stop)
            except LogUnavailableError as error:
                self._trouble = f"the log can't be read: {error}"
                moved = sum(self.positions.values()) > before
                delay = _FIRST_RETRY_SECONDS if moved else min(delay * 2, _LAST_RETRY_SECONDS)
                _LOGGER.warning("notifications: %s; next try in %.1f s", self._trouble, delay)
                await _stopped(stop, delay)

    async def _follow(self, stop: asyncio.Event) -> None:
        ends = await ends_of(self._log, self._topics)
        if any(self.positions.get(place, 0) > end for place, end in ends.items()):
            _LOGGER.warning("the log ends before what was read of it: it is another one, and is read anew")
            self.router, self.positions, self._anew = Router(self._settings), {}, True
        self.positions = {place: self.positions.get(place, 0) for place in ends}
        reader = await self._log.reader(dict(self.positions))
        try:
            self._trouble = ""
            await self._catch_up(reader, ends, stop)
            while not stop.is_set():
                self._take(await reader.fetch(_BATCH, self._wait()))
                self._trouble = ""
                await self._tell()
        finally:
            await reader.close()

    async def _catch_up(self, reader: Reader, ends: Positions, stop: asyncio.Event) -> None:
        while not stop.is_set() and any(self.positions[place] < end for place, end in ends.items()):
            records = await reader.fetch(_BATCH, _SETTLE_SECONDS)
            if not records:
                break
            self._take(records)
            if self._anew:
                self.router.forget_ended()
            await asyncio.sleep(0)
        if stop.is_set():
            return
        if self._anew:
            self.router.begin(self._moment())
            self._anew = False
            self._changed = True
        self.caught_up.set()

    def _take(self, records: Sequence[Record]) -> None:
        now = self._moment()
        for record in records:
            place = (record.topic, record.partition)
            if record.offset < self.positions[place]:
                continue
            try:
                if record.topic == ALERTS.name:
                    self.router.take(Alert.decode(record.value or b""), now)
                elif record.value is not None:
                    self.router.take_silence(Silence.decode(record.value))
            except UnreadableRecordError as error:
                _LOGGER.warning("%s[%d]@%d is skipped: %s", *place, record.offset, error)
            self.positions[place] = record.offset + 1
            self._changed = True

    async def _tell(self) -> None:
        found = self.router.due(self._moment())
        for notification in found:
            self.outbox.put(notification)
            if notification.kind is NotificationKind.OVERFLOW:
                self._overflow.inc(sum(notification.counts.values()))
        aged = time.monotonic() - self._saved_at > _SAVE_SECONDS
        if found or self.outbox.changed or (self._changed and aged):
            await self._save()
        if found:
            # Also where the disk is full: people told twice after a crash are better off than people told never.
            self.outbox.release()

    async def _save(self) -> None:
        if not self._tells or self._anew:
            return
        positions = [(topic, partition, offset) for (topic, partition), offset in self.positions.items()]
        data = msgspec.json.encode(Kept(positions, self.router.state, self.outbox.everything()))
        self._changed = self.outbox.changed = False
        self._saved_at = time.monotonic()
        try:
            await asyncio.to_thread(save, self._folder, data)
        except OSError as error:
            self._changed = True
            self._disk_trouble = f"{self._folder} takes no notes of what was told: {error.strerror}"
            _LOGGER.error("notifications: %s; a restart may repeat notifications", self._disk_trouble)  # noqa: TRY400 - the trace says no more
        else:
            self._disk_trouble = ""

    def _moment(self) -> int:
        # A clock that is set back must not have anything told twice.
        self._now = max(self._now, self._clock())
        return self._now

    def _wait(self) -> float:
        due = self.router.next_due()
        if due is None:
            return _WAIT_SECONDS
        return min(max((due - self._moment()) / 1_000, 0.01), _WAIT_SECONDS)

    def _holding(self) -> int:
        now = self._clock()
        return sum(silence.holds(now) for silence in self.router.state.silences.values())


async def _stopped(stop: asyncio.Event, wait: float) -> None:
    try:
        async with asyncio.timeout(wait):
            await stop.wait()
    except TimeoutError:
        return
