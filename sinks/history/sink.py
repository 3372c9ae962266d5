"""From the log into the history, for as long as the program runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

import duckdb
from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.log import Log, LogUnavailableError, Positions, Reader, Record
from schemas.settings import History as HistorySettings
from schemas.topics import ALERTS, CALLBACKS, CALLS, DEADLETTERS, OPTOUTS, SUPPRESSIONS
from sinks.history.errors import HistoryError
from sinks.history.store import History, Written

logger = logging.getLogger(__name__)

TOPICS = (CALLBACKS.name, CALLS.name, ALERTS.name, SUPPRESSIONS.name, OPTOUTS.name, DEADLETTERS.name)

# A full disk or a broker away is looked at again soon, and not so often that the retries are a load of their own.
_FIRST_RETRY_SECONDS = 0.2
_LAST_RETRY_SECONDS = 10.0
# How often a stop is looked for while the log is silent, and how often the lag is read.
_GLANCE_SECONDS = 0.5
# Records that retention dropped before they were read never come; after a silence this long they are not waited for.
_SILENCE_SECONDS = 2.0

_RETRIED = (LogUnavailableError, duckdb.Error, HistoryError, OSError)


class HistorySink:
    """Writes six topics into the history, in batches.

    Args:
        log: read from.
        history: written to; closing it is the caller's.
        settings: sizes of a batch.
        registry: gets the metrics `ringwatch_history_…`.
    """

    def __init__(self, log: Log, history: History, settings: HistorySettings, registry: CollectorRegistry) -> None:
        self._log = log
        self._history = history
        self._settings = settings
        self._written: Positions = {}
        self._silent_since: float | None = None
        self._silent_ends: Positions = {}
        self._trouble = "not writing yet"
        self._rows = Counter("ringwatch_history_rows", "Rows written, by table.", ["table"], registry=registry)
        self._skipped = Counter(
            "ringwatch_history_skipped_records", "Records that the history had already.", registry=registry
        )
        self._set_aside = Counter(
            "ringwatch_history_unreadable_records", "Records put into dead_letters.", registry=registry
        )
        self._retries = Counter(
            "ringwatch_history_retries", "Attempts that failed and were made again.", registry=registry
        )
        self._lag = Gauge("ringwatch_history_lag_records", "Records in the log, not yet written.", registry=registry)
        self._letters = Gauge(
            "ringwatch_dead_letters_records", "Dead letters written to the log so far.", registry=registry
        )
        self._seconds = Counter("ringwatch_history_write_seconds", "Seconds spent writing.", registry=registry)

    def readiness(self) -> bool | str:
        """True while records are written as they come, else why not."""
        return self._trouble or True

    async def run(self, stop: asyncio.Event) -> None:
        """Write until told to stop; then what was read is written, and no more is read.

        Trouble with the log or the file is logged, counted and tried again, without end: what is not written stays in
        the log. Anything else is a fault of this program and is raised.
        """
        retry = _FIRST_RETRY_SECONDS
        while not stop.is_set():
            try:
                reader = await self._open()
            except _RETRIED as error:
                retry = await self._wait(stop, retry, error)
                continue
            if retry == _FIRST_RETRY_SECONDS:
                self._trouble = ""
            try:
                while not stop.is_set():
                    batch = await self._collect(reader, stop)
                    if batch:
                        await self._write(batch)
                    retry = _FIRST_RETRY_SECONDS
                    await self._measure(silent=not batch)
                    self._trouble = ""
            except _RETRIED as error:
                # The next turn asks the file where to read on: what was read and not written is read again.
                retry = await self._wait(stop, retry, error)
            finally:
                await reader.close()

    async def caught_up(self) -> None:
        """Return once every record that the log holds now is in the history."""
        ends = await self._ends()
        while any(self._written.get(lane, 0) < end for lane, end in ends.items()):  # noqa: ASYNC110 - a glance now and then
            await asyncio.sleep(_GLANCE_SECONDS / 10)

    async def _open(self) -> Reader:
        counts = {topic: await self._log.partitions(topic) for topic in TOPICS}
        self._written = await asyncio.to_thread(self._history.positions, counts)
        self._silent_since = None
        return await self._log.reader(dict(self._written))

    async def _collect(self, reader: Reader, stop: asyncio.Event) -> list[Record]:
        """Gather a batch: full, or as old as a record may get, or all there is when told to stop."""
        limit = self._settings.batch_rows
        batch = list(await reader.fetch(limit, min(_GLANCE_SECONDS, self._settings.flush_seconds)))
        oldest = time.monotonic()
        while batch and len(batch) < limit and not stop.is_set():
            left = self._settings.flush_seconds - (time.monotonic() - oldest)
            if left <= 0:
                break
            batch.extend(await reader.fetch(limit - len(batch), min(left, _GLANCE_SECONDS)))
        return batch

    async def _write(self, batch: Sequence[Record]) -> None:
        started = time.monotonic()
        written: Written = await asyncio.to_thread(self._history.write, batch)
        self._seconds.inc(time.monotonic() - started)
        for record in batch:
            self._written[record.topic, record.partition] = record.offset + 1
        for table, count in written.rows.items():
            self._rows.labels(table).inc(count)
        self._skipped.inc(written.skipped)
        self._set_aside.inc(written.set_aside)

    async def _measure(self, *, silent: bool) -> None:
        ends = await self._ends()
        now = time.monotonic()
        if not silent:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since, self._silent_ends = now, ends
        elif now - self._silent_since >= _SILENCE_SECONDS:
            for lane, end in self._silent_ends.items():
                self._written[lane] = max(end, self._written.get(lane, 0))
        self._lag.set(sum(max(0, end - self._written.get(lane, 0)) for lane, end in ends.items()))
        self._letters.set(sum(end for (topic, _), end in ends.items() if topic == DEADLETTERS.name))

    async def _ends(self) -> Positions:
        return {(topic, partition): end for topic in TOPICS for partition, end in (await self._log.ends(topic)).items()}

    async def _wait(self, stop: asyncio.Event, seconds: float, error: Exception) -> float:
        """Wait before the next attempt and return how long to wait after that."""
        self._retries.inc()
        self._trouble = "nothing can be written, trying again; the program's log says why"
        logger.error("history: %s; trying again in %.1f s", error, seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
        return min(seconds * 2, _LAST_RETRY_SECONDS)
