"""What holds now: alerts and suppressions, materialised from their topics."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

from schemas.alert import Alert
from schemas.log import Log, LogUnavailableError, Positions, Reader, Record
from schemas.suppression import Suppression, read_cause
from schemas.wire import UnreadableRecordError
from sinks.feed.alerts import HeldAlerts
from sinks.feed.cursor import end_positions
from sinks.feed.events import Lifted, read_event
from sinks.feed.journal import Journal
from sinks.feed.suppressions import HeldSuppressions

_LOGGER = logging.getLogger(__name__)

# Some ten milliseconds of work between two turns of the event loop while the log is read from its beginning.
BATCH = 1_000
# A stop is noticed within this time, in seconds; new records end the wait at once.
WAIT = 0.1
# An end of the log that no record leads to (its last records were compacted away) is taken as reached after this many
# seconds without a record: longer than a slow broker's fetch.
SETTLE = 2.0
# Seconds between two tries when the log is away: quick at first, then no burden on a log that is coming back.
FIRST_DELAY = 0.1
LAST_DELAY = 5.0


class Board:
    """The current transition of each alert and the suppressions that hold.

    `run` and everything that reads the board belong to one event loop.

    Args:
        log: where the topics are.
        journal: where new events go; by default one of ordinary size.
        alerts: by default of ordinary size.

    Attributes:
        overtaken: partition and offset of records of `suppressions` that came after later ones of their key, which they
            must not undo: workers taken for dead write such, and workers that do their work again.
    """

    def __init__(self, log: Log, *, journal: Journal | None = None, alerts: HeldAlerts | None = None) -> None:
        self._log = log
        self.journal = journal if journal is not None else Journal()
        self.alerts = alerts if alerts is not None else HeldAlerts()
        self.suppressions = HeldSuppressions()
        self.overtaken: set[tuple[int, int]] = set()
        self.positions: Positions = {}
        self.caught_up = asyncio.Event()
        self.records: Counter[str] = Counter()
        self.unreadable: Counter[str] = Counter()
        self.retries = 0
        self._trouble = ""

    def readiness(self) -> bool | str:
        """True if what the board says is current, else why it may not be."""
        if self._trouble:
            return f"the log can't be read: {self._trouble}"
        if not self.caught_up.is_set():
            return "reading alerts and suppressions from the log"
        return "stopped" if self.journal.closed else True

    async def run(self, stop: asyncio.Event) -> None:
        """Read both topics from their beginning on and follow them until `stop` is set.

        Whoever waits on the journal is told when it ends. A log that is away is tried again and again.
        """
        delay = FIRST_DELAY
        try:
            while not stop.is_set():
                before = self.records.total()
                try:
                    await self._follow(stop)
                except LogUnavailableError as error:
                    self._trouble = str(error) or "no reason given"
                    self.retries += 1
                    delay = FIRST_DELAY if self.records.total() > before else min(delay * 2, LAST_DELAY)
                    _LOGGER.warning("the feed can't read the log (%s); next try in %.1f s", self._trouble, delay)
                    await _stopped(stop, delay)
        finally:
            self.journal.close()

    async def _follow(self, stop: asyncio.Event) -> None:
        ends = await end_positions(self._log)
        self.positions = {place: self.positions.get(place, 0) for place in ends}
        reader = await self._log.reader(dict(self.positions))
        try:
            self._trouble = ""
            await self._catch_up(reader, ends, stop)
            while not stop.is_set():
                self._apply(await reader.fetch(BATCH, WAIT))
                self._trouble = ""
        finally:
            await reader.close()

    async def _catch_up(self, reader: Reader, ends: Positions, stop: asyncio.Event) -> None:
        while not stop.is_set() and any(self.positions[place] < end for place, end in ends.items()):
            records = await reader.fetch(BATCH, SETTLE)
            if not records:
                break
            self._apply(records)
            await asyncio.sleep(0)
        if not stop.is_set():
            self.caught_up.set()
            self.journal.wake()

    def _apply(self, records: Sequence[Record]) -> None:
        for record in records:
            place = (record.topic, record.partition)
            if record.offset < self.positions[place]:
                continue
            try:
                self._take(record)
            except UnreadableRecordError as error:
                self.unreadable[record.topic] += 1
                _LOGGER.warning("%s[%d]@%d is skipped: %s", *place, record.offset, error)
            self.records[record.topic] += 1
            self.positions[place] = record.offset + 1
        if records:
            self.journal.wake()

    def _take(self, record: Record) -> None:
        event = read_event(record)
        cause = read_cause(record.headers)
        if not isinstance(event.payload, Alert) and self.suppressions.is_overtaken(event.payload, cause):
            self.overtaken.add((record.partition, record.offset))
            return
        match event.payload:
            case Alert() as alert:
                if not self.alerts.apply(alert, record.offset):
                    return
            case Suppression() as suppression:
                self.suppressions.apply(suppression, record.value or b"", record.timestamp, cause)
            case Lifted() as lifted:
                self.suppressions.lift(lifted.subject, lifted.rule, lifted.scope, record.timestamp, cause)
        if not isinstance(event.payload, Alert):
            event.instead = self.suppressions.instead_of(event.payload, record.timestamp)
            event.size += len(event.instead)
        self.journal.add(event)


async def _stopped(stop: asyncio.Event, wait: float) -> None:
    try:
        async with asyncio.timeout(wait):
            await stop.wait()
    except TimeoutError:
        return
