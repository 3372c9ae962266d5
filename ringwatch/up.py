"""`ringwatch up`: gateway, agents, history and feed in one process, on either log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringwatch.agents import Agents, agents_at_work
from ringwatch.appends import WatchedLog
from ringwatch.history import open_history
from ringwatch.opening import new_registry, open_log, place_of_log, refuse_insecure_outside
from ringwatch.parts import Parts, running_parts
from ringwatch.program import Program
from ringwatch.register import open_register, watch_register
from ringwatch.rolling import Rolling
from ringwatch.running import new_token, note_of
from ringwatch.serve import about_callbacks, serve
from ringwatch.server import listening
from ringwatch.telling import start_telling
from ringwatch.ticks import tick_silent_partitions
from schemas.log import Log
from schemas.settings import Settings
from sinks.feed.api import create_api
from sinks.feed.board import Board
from sinks.history.routes import sql_routes
from sinks.history.sink import HistorySink
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.register_routes import register_routes


class Up(Program):
    """A running ringwatch, all of it.

    Attributes:
        log: its log, for those who append beside the gateway.
        history: its sink, to wait for.
        board: alerts and suppressions as they are now.
    """

    def __init__(
        self, address: str, parts: Parts, log: Log, history: HistorySink, board: Board, agents: Agents
    ) -> None:
        super().__init__(address, parts)
        self.log = log
        self.history = history
        self.board = board
        self._agents = agents

    def backlog(self) -> int:
        """Records that the agents have not applied yet."""
        return self._agents.backlog()


@asynccontextmanager
async def running(settings: Settings, *, insecure: bool = False, ticks: bool = True) -> AsyncIterator[Up]:
    """Run everything until the block ends; then stop in order: no more requests, agents, history, log.

    Args:
        settings: checked settings.
        insecure: take unsigned callbacks; on loopback only.
        ticks: let the wall clock act where traffic has stopped; not for simulated time.

    Raises:
        ConfigurationError: the settings, the register, the topics or the data folder can't be used.
        HistoryError: the history is in use, damaged or newer.
        LogUnavailableError: the log can't be reached.
    """
    if insecure:
        refuse_insecure_outside(settings)
    registry = new_registry()
    register, terms = open_register(settings, registry)
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(settings))
        watched = WatchedLog(log)
        store = await stack.enter_async_context(open_history(settings, log))
        parts = await stack.enter_async_context(running_parts())

        history = HistorySink(log, store, settings.history, registry)
        parts.start("history", history.run)
        agents = await stack.enter_async_context(agents_at_work(settings, log, registry, parts))
        board = Board(log)
        rolling = Rolling(log, settings)
        parts.start("board", board.run)
        parts.start("windows", rolling.run)
        notifier = start_telling(settings, log, board, registry, parts)
        parts.start("register", lambda stop: watch_register(register, stop))
        if ticks:
            parts.start("ticks", lambda stop: tick_silent_partitions(log, stop, agents.callbacks_held))

        token = new_token()
        api = create_api(
            settings=settings,
            board=board,
            rolling=rolling,
            log=watched,
            registry=registry,
            readiness={
                "gateway": watched.readiness,
                "agents": agents.readiness,
                "history": history.readiness,
                "alerts": board.readiness,
                "windows": rolling.readiness,
                "notifications": notifier.readiness,
            },
            extra_routes=[
                *gateway_routes(settings, terms, watched, insecure=insecure, metrics=GatewayMetrics(registry)),
                *register_routes(register, limit=settings.limits.register_body_bytes),
                *sql_routes(store, rows=settings.history.query_rows, seconds=settings.history.query_seconds),
            ],
            run_token=token,
            silences=notifier.silences,
        )
        address = await stack.enter_async_context(listening(api, settings))
        # Streams end with the journal, and the server waits for them.
        stack.callback(board.journal.close)
        stack.enter_context(note_of(settings.data, address, token))
        yield Up(address, parts, log, history, board, agents)


def serve_up(settings: Settings, *, insecure: bool) -> int:
    """Run everything until stopped; give the exit code."""
    return serve(
        running(settings, insecure=insecure),
        lambda up: (
            f"ringwatch listens on {up.address} (API: {up.address}/docs)",
            f"log: {place_of_log(settings)}  history: {settings.history_path}",
            *about_callbacks(settings, insecure=insecure),
        ),
    )
