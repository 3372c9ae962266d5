"""The agents in a process: started, watched, measured."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import faust
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ringwatch.opening import make_data_folder
from ringwatch.parts import Parts
from schemas.log import Log
from schemas.settings import Settings
from schemas.topics import CALLBACKS
from sinks.feed.service import Ready
from streams.agents.app import create_app
from streams.agents.owned_states import LostClaimError

_GLANCE_SECONDS = 0.005

# Slices in work take well below a second. Where brokers are away, Faust would wait for them for minutes.
_STOP_SECONDS = 20.0

_logger = logging.getLogger(__name__)


class Agents:
    """The agents of this process, and the partitions they hold.

    Args:
        app: what they run in.
    """

    def __init__(self, app: faust.App) -> None:
        # The transports' own consumers know more than Faust's interfaces say.
        self._app: Any = app

    def lags(self) -> dict[tuple[str, int], int]:
        """Records in the log that are not applied yet, by topic and partition, of the partitions held now."""
        lags: dict[tuple[str, int], int] = self._app.consumer.lags()
        return lags

    def backlog(self) -> int:
        """Records in the log that are not applied yet, of all partitions held now."""
        return sum(self.lags().values())

    def callbacks_held(self) -> set[int]:
        """The partitions of `callbacks` that are worked off here."""
        return {partition for topic, partition in self._app.consumer.owned() if topic == CALLBACKS.name}

    def readiness(self) -> bool | str | Ready:
        """True once partitions are assigned and the tables of them restored."""
        recovery = self._app.tables.recovery
        if self._app.rebalancing or recovery.signal_recovery_start.is_set():
            return "waiting for the partitions that this worker gets"
        if not recovery.completed.is_set() or not self._are_restored():
            return "reading the agents' state from the log"
        if not self._app.consumer.owned():
            return Ready("ready, without partitions: other workers have them all")
        return True

    def _are_restored(self) -> bool:
        assigned = self._app.consumer.assignment()
        try:
            for table in self._app.tables.values():
                changelog = table.changelog_topic.get_topic_name()
                for partition in (tp.partition for tp in assigned if tp.topic == changelog):
                    table.states.of(partition)
        except LostClaimError:
            return False
        return True

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until told to stop; raise what the app crashed of, if it does."""
        await self._app.wait_for_stopped(stop)
        if self._app.crashed:
            raise self._app.crash_reason or RuntimeError("the agents have crashed")


class LagCollector(Collector):
    """Reads the agents' lag whenever somebody asks for metrics, so that partitions that moved away vanish."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents

    def collect(self) -> Iterator[Metric]:
        """Give the lag of each partition held now."""
        lag = GaugeMetricFamily(
            "ringwatch_agents_lag_records",
            "Records in the log, not yet applied by the agents of this process.",
            labels=["topic", "partition"],
        )
        for (topic, partition), records in sorted(self._agents.lags().items()):
            lag.add_metric([topic, str(partition)], records)
        yield lag


@asynccontextmanager
async def agents_at_work(
    settings: Settings, log: Log, registry: CollectorRegistry, parts: Parts
) -> AsyncIterator[Agents]:
    """Run the agents for as long as the block runs; slices in work are finished or dropped unapplied at its end.

    Args:
        settings: name the log; its topics and changelogs exist.
        log: the same log; states are read from it.
        registry: gets the lag.
        parts: are told should the agents die.

    Raises:
        ConfigurationError: the data folder can't be made.
    """
    # Faust has a folder of its own there, and puts nothing into it.
    make_data_folder(settings)
    url = settings.broker if settings.on_kafka else f"local://{settings.log_path.resolve()}"
    app = create_app(settings, url, log)
    agents = Agents(app)
    registry.register(LagCollector(agents))
    try:
        await app.start()
        parts.start("agents", agents.run)
        # On Kafka it may take long until other workers let go; here it takes a moment, and then lags are known.
        while not settings.on_kafka and not agents.callbacks_held() and not app.should_stop:  # noqa: ASYNC110 - Faust tells of it by no event
            await asyncio.sleep(_GLANCE_SECONDS)
        yield agents
    finally:
        await _stop(app)
        if not settings.on_kafka:
            transport: Any = app.transport
            transport.release()


async def _stop(app: faust.App) -> None:
    limit = asyncio.timeout(_STOP_SECONDS)
    with contextlib.suppress(TimeoutError):
        async with limit:
            await app.stop()
    # Faust may take the end of the time for the end of its work, so that no error tells of it.
    if limit.expired():
        # What is not committed is worked off again and changes nothing; a supervisor would wait no longer either.
        _logger.warning("Kafka does not answer, so the agents are left as they are after %.0f s", _STOP_SECONDS)
