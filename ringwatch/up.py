"""`ringwatch up`: gateway, agents, history and feed in one process, on the embedded log."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import faust
import uvicorn
from prometheus_client import CollectorRegistry, Gauge, GCCollector, PlatformCollector, ProcessCollector

from ringwatch.rolling import Rolling
from ringwatch.running import new_token, note_of
from ringwatch.ticks import tick_silent_partitions
from ringwatch.topics import create_topics
from schemas.register import Register, load_register
from schemas.settings import ConfigurationError, Settings
from schemas.topics import DEADLETTERS
from sinks.feed.api import create_api
from sinks.feed.board import Board
from sinks.history.errors import HistoryInUseError
from sinks.history.routes import sql_routes
from sinks.history.sink import TOPICS as HISTORY_TOPICS
from sinks.history.sink import HistorySink
from sinks.history.store import History
from streams.agents.app import APP_ID, create_app
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.transports.local.driver import release_log, share_log
from streams.transports.local.log import LocalLog

_logger = logging.getLogger(__name__)

# How long open connections may take to finish once a stop was asked for: Twilio's own limit on a request.
_GRACE_SECONDS = 15

# Connections that may wait to be taken: bursts of Twilio's come from many machines at once.
_BACKLOG = 2_048

# An ad-hoc query holds the file for seconds; longer than ten, somebody should look who holds it.
_HISTORY_TRIES = 20
_HISTORY_PAUSE_SECONDS = 0.5


class Up:
    """A running ringwatch.

    Attributes:
        address: base URL of its HTTP server.
        log: its log, for those who append beside the gateway.
        history: its sink, to wait for.
        board: alerts and suppressions as they are now.
    """

    def __init__(self, address: str, log: LocalLog, history: HistorySink, board: Board, app: faust.App) -> None:
        self.address = address
        self.log = log
        self.history = history
        self.board = board
        self._app = app
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def backlog(self) -> int:
        """Records that the agents have not applied yet."""
        return _backlog(self.log, self._app)


def read_register(settings: Settings) -> Register:
    """The register that the settings name; an empty one if they name none.

    Raises:
        ConfigurationError: a line can't be used.
    """
    return Register() if settings.register_file is None else load_register(settings.register_file)


@asynccontextmanager
async def running(settings: Settings, *, insecure: bool = False, ticks: bool = True) -> AsyncIterator[Up]:
    """Run everything until the block ends; then stop in order: no more requests, agents, history, log.

    Args:
        settings: checked settings.
        insecure: take unsigned callbacks; on loopback only.
        ticks: let the wall clock act where traffic has stopped; not for simulated time.

    Raises:
        ConfigurationError: the settings, the register or the data folder can't be used.
    """
    if insecure and not settings.on_loopback:
        raise ConfigurationError(
            f"http: {settings.http} can be reached from outside, so --insecure is refused; listen on 127.0.0.1"
        )
    register = read_register(settings)
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    async with AsyncExitStack() as stack:
        log = share_log(settings.log_path)
        stack.callback(release_log, settings.log_path)
        history_store = await _open_history(settings)
        stack.callback(history_store.close)
        create_topics(log, settings.partitions)
        _refuse_foreign_history(history_store, log, settings)

        history = HistorySink(log, history_store, settings.history, registry)
        board = Board(log)
        rolling = Rolling(log, settings)
        app = create_app(settings, f"local://{settings.log_path.resolve()}")
        transport: Any = app.transport
        stack.callback(transport.release)
        _watch_backlog(registry, log, app)

        token = new_token()
        api = create_api(
            settings=settings,
            board=board,
            rolling=rolling,
            log=log,
            registry=registry,
            readiness={
                "agents": lambda: _agents_ready(app),
                "alerts": board.readiness,
                "windows": rolling.readiness,
            },
            extra_routes=[
                *gateway_routes(settings, register, log, insecure=insecure, metrics=GatewayMetrics(registry)),
                *sql_routes(history_store, rows=settings.history.query_rows, seconds=settings.history.query_seconds),
            ],
            run_token=token,
        )
        server = _Server(
            uvicorn.Config(
                api,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                loop="none",
                http="httptools",
                lifespan="off",
                timeout_graceful_shutdown=_GRACE_SECONDS,
                server_header=False,
                # The gateway judges forwarded headers itself; who is local is not for a header to say.
                proxy_headers=False,
            )
        )

        parts = _Parts()
        stack.push_async_callback(parts.stop)
        parts.start("history", history.run)
        await app.start()
        stack.push_async_callback(app.stop)
        parts.start("board", board.run)
        parts.start("windows", rolling.run)
        if ticks:
            parts.start("ticks", lambda stop: tick_silent_partitions(log, stop))
        address = await server.listen()
        stack.push_async_callback(server.close)
        stack.callback(board.journal.close)
        stack.enter_context(note_of(settings.data, address, token))
        up = Up(address, log, history, board, app)
        parts.tell(up.failed)
        yield up


async def _open_history(settings: Settings) -> History:
    """Open the history; wait a little for a `ringwatch sql` that reads it just now."""
    for _ in range(_HISTORY_TRIES):
        try:
            return History.open(settings.history_path)
        except HistoryInUseError:
            await asyncio.sleep(_HISTORY_PAUSE_SECONDS)
    return History.open(settings.history_path)


def _refuse_foreign_history(history: History, log: LocalLog, settings: Settings) -> None:
    """Refuse a history that has read further than the log reaches: it would take new records for old ones.

    Raises:
        ConfigurationError: the history belongs to another log.
    """
    topics = log.topics()
    for (topic, partition), offset in history.positions({name: topics[name] for name in HISTORY_TOPICS}).items():
        end = log.end(topic, partition)
        if offset > end:
            raise ConfigurationError(
                f"data: {settings.history_path} has read {topic}[{partition}] up to {offset}, but {settings.log_path} "
                f"ends at {end}: it belongs to another log; put that log back, or move the history away"
            )


class _Server(uvicorn.Server):
    """A server whose signals are handled by whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._task: asyncio.Task[None] | None = None

    async def listen(self) -> str:
        """Serve; give the base URL once connections are taken.

        Raises:
            ConfigurationError: the address can't be listened on.
        """
        host, port = self.config.host, self.config.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise ConfigurationError(
                f"http: {host}:{port} can't be listened on ({error.strerror}); name another with --http"
            ) from error
        # Not `serve`, which would take the signals for itself.
        self._task = asyncio.create_task(self._serve([listener]))
        while not self.started:  # noqa: ASYNC110 - uvicorn tells by a flag
            await asyncio.sleep(0.005)
        return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    async def close(self) -> None:
        """Take no more connections and let the open requests finish."""
        self.should_exit = True
        if self._task is not None:
            await self._task


class _Parts:
    """Tasks that run as long as the program; one that dies ends it."""

    def __init__(self) -> None:
        self._stops: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None

    def start(self, name: str, run: Callable[[asyncio.Event], Awaitable[Any]]) -> None:
        """Run a part in the background."""
        stop = asyncio.Event()

        async def part() -> None:
            await run(stop)

        task = asyncio.create_task(part(), name=name)
        task.add_done_callback(self._note)
        self._stops.append(stop)
        self._tasks.append(task)

    def tell(self, failed: asyncio.Future[None]) -> None:
        """Say by this future when a part has died."""
        self._failed = failed
        for task in self._tasks:
            if task.done():
                self._note(task)

    def _note(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _logger.critical("%s has died", task.get_name(), exc_info=error)
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(error)

    async def stop(self) -> None:
        """Stop all parts, the last one started first, and wait for each."""
        for stop, task in zip(reversed(self._stops), reversed(self._tasks), strict=True):
            stop.set()
            await asyncio.gather(task, return_exceptions=True)


def _agents_ready(app: faust.App) -> bool | str:
    tables: Any = app.tables
    return bool(tables.recovery.completed.is_set()) or "reading the agents' state from the log"


def _backlog(log: LocalLog, app: faust.App) -> int:
    committed = log.committed(APP_ID)
    sources = {topic for agent in app.agents.values() for topic in agent.channel.topics}
    return sum(
        log.end(topic, partition) - committed.get((topic, partition), 0)
        for topic in sources
        for partition in range(log.topics()[topic])
    )


def _watch_backlog(registry: CollectorRegistry, log: LocalLog, app: faust.App) -> None:
    gauge = Gauge("ringwatch_agents_lag_records", "Records in the log, not yet applied by agents.", registry=registry)
    gauge.set_function(lambda: _backlog(log, app))
    letters = Gauge("ringwatch_dead_letters_records", "Dead letters written to the log so far.", registry=registry)
    letters.set_function(lambda: sum(log.end(DEADLETTERS.name, part) for part in range(log.topics()[DEADLETTERS.name])))


async def run_until_stopped(settings: Settings, *, insecure: bool, on_ready: Callable[[Up], None]) -> None:
    """Run until SIGTERM or SIGINT, or until a part dies.

    Args:
        settings: checked settings.
        insecure: take unsigned callbacks.
        on_ready: called once everything runs.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(settings, insecure=insecure) as up:
        on_ready(up)
        waiting = asyncio.create_task(stop.wait())
        up.failed.add_done_callback(lambda _: stop.set())
        await waiting
        if up.failed.done():
            up.failed.result()
