"""`ringwatch history`: from Kafka into the DuckDB file, and SQL, in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringwatch.opening import new_registry, open_log, place_of_log, require_kafka
from ringwatch.parts import Parts, running_parts
from ringwatch.program import Program
from ringwatch.running import new_token, note_of
from ringwatch.serve import serve
from ringwatch.server import listening
from schemas.log import Log
from schemas.settings import ConfigurationError, Settings
from sinks.feed.service import create_service
from sinks.history.errors import HistoryInUseError
from sinks.history.routes import sql_routes
from sinks.history.sink import TOPICS, HistorySink
from sinks.history.store import History

# An ad-hoc query holds the file for seconds; longer than ten, somebody should look who holds it.
_HISTORY_TRIES = 20
_HISTORY_PAUSE_SECONDS = 0.5


class HistoryProgram(Program):
    """A running history.

    Attributes:
        history: its sink, to wait for.
    """

    def __init__(self, address: str, parts: Parts, history: HistorySink) -> None:
        super().__init__(address, parts)
        self.history = history


@asynccontextmanager
async def running_history(settings: Settings) -> AsyncIterator[HistoryProgram]:
    """Run the history until the block ends; what was read is then written.

    Args:
        settings: checked settings, of Kafka.

    Raises:
        ConfigurationError: the settings, the topics or the data folder can't be used.
        HistoryError: the file is in use, damaged or newer.
        LogUnavailableError: Kafka can't be reached.
    """
    require_kafka(settings, "history")
    registry = new_registry()
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        store = await stack.enter_async_context(open_history(settings, log))
        parts = await stack.enter_async_context(running_parts())
        history = HistorySink(log, store, settings.history, registry)
        parts.start("history", history.run)
        token = new_token()
        api = create_service(
            settings=settings,
            registry=registry,
            readiness={"history": history.readiness},
            extra_routes=sql_routes(store, rows=settings.history.query_rows, seconds=settings.history.query_seconds),
            run_token=token,
        )
        address = await stack.enter_async_context(listening(api, settings))
        stack.enter_context(note_of(settings.data, address, token))
        yield HistoryProgram(address, parts, history)


def serve_history(settings: Settings) -> int:
    """Run the history until stopped; give the exit code."""
    return serve(
        running_history(settings),
        lambda program: (
            f"ringwatch history listens on {program.address}",
            f"log: {place_of_log(settings)}  history: {settings.history_path}",
        ),
    )


@asynccontextmanager
async def open_history(settings: Settings, log: Log) -> AsyncIterator[History]:
    """The history for as long as the block runs, made sure to belong to the log.

    Raises:
        ConfigurationError: the history belongs to another log.
        HistoryError: it is in use, damaged or newer.
    """
    history = await _open_patiently(settings)
    try:
        await _refuse_foreign(history, log, settings)
        yield history
    finally:
        history.close()


async def _open_patiently(settings: Settings) -> History:
    """Open the history; wait a little for a `ringwatch sql` that reads it just now."""
    for _ in range(_HISTORY_TRIES):
        try:
            return History.open(settings.history_path)
        except HistoryInUseError:
            await asyncio.sleep(_HISTORY_PAUSE_SECONDS)
    return History.open(settings.history_path)


async def _refuse_foreign(history: History, log: Log, settings: Settings) -> None:
    """Refuse a history that has read further than the log reaches: it would take new records for old ones."""
    ends = {(topic, partition): end for topic in TOPICS for partition, end in (await log.ends(topic)).items()}
    counts = {topic: await log.partitions(topic) for topic in TOPICS}
    for (topic, partition), offset in history.positions(counts).items():
        end = ends[topic, partition]
        if offset > end:
            raise ConfigurationError(
                f"data: {settings.history_path} has read {topic}[{partition}] up to {offset}, but "
                f"{place_of_log(settings)} ends at {end}: it belongs to another log; put that log back, or move the "
                "history away"
            )
