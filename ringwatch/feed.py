"""`ringwatch feed`: alerts, suppressions, windows and the event stream from Kafka, in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringwatch.appends import WatchedLog
from ringwatch.opening import new_registry, open_log, place_of_log, require_kafka
from ringwatch.parts import running_parts
from ringwatch.program import Program
from ringwatch.rolling import Rolling
from ringwatch.serve import serve
from ringwatch.server import listening
from ringwatch.telling import start_telling
from schemas.settings import Settings
from sinks.feed.api import create_api
from sinks.feed.board import Board


@asynccontextmanager
async def running_feed(settings: Settings) -> AsyncIterator[Program]:
    """Run the feed until the block ends; its streams are then ended and its open requests finished.

    Args:
        settings: checked settings, of Kafka.

    Raises:
        ConfigurationError: the settings or the topics can't be used.
        LogUnavailableError: Kafka can't be reached.
    """
    require_kafka(settings, "feed")
    registry = new_registry()
    async with AsyncExitStack() as stack:
        log = WatchedLog(await stack.enter_async_context(open_log(settings)))
        parts = await stack.enter_async_context(running_parts())
        board = Board(log)
        rolling = Rolling(log, settings)
        parts.start("board", board.run)
        parts.start("windows", rolling.run)
        notifier = start_telling(settings, log, board, registry, parts)
        api = create_api(
            settings=settings,
            board=board,
            rolling=rolling,
            log=log,
            registry=registry,
            readiness={
                "alerts": board.readiness,
                "windows": rolling.readiness,
                "opt_outs": log.readiness,
                "notifications": notifier.readiness,
            },
            silences=notifier.silences,
        )
        address = await stack.enter_async_context(listening(api, settings))
        # Streams end with the journal, and the server waits for them.
        stack.callback(board.journal.close)
        yield Program(address, parts)


def serve_feed(settings: Settings) -> int:
    """Run the feed until stopped; give the exit code."""
    return serve(
        running_feed(settings),
        lambda program: (
            f"ringwatch feed listens on {program.address} (API: {program.address}/docs)",
            f"log: {place_of_log(settings)}",
        ),
    )
