"""The Faust app: each stage wired to its topics, nothing else."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any, Final, NoReturn

import faust
from faust.types import TP

from schemas.log import Log
from schemas.settings import Settings
from schemas.topics import CALLBACKS, Topic
from streams.agents.accounts import accounts_stage
from streams.agents.arrival import arrival_of
from streams.agents.assemble import AssembleStage
from streams.agents.campaigns import CampaignsStage
from streams.agents.contacts import ContactsStage
from streams.agents.effects import StoppedError, emit_then_keep_state
from streams.agents.numbers import numbers_stage
from streams.agents.stage import Stage, cached_of, process_all
from streams.agents.state_table import StateTable
from streams.transports.kafka.connection import faust_credentials
from streams.transports.kafka.driver import Transport as KafkaTransport
from streams.transports.progress import Progress
from streams.transports.slices import Slice, SlicedTopic

APP_ID: Final = "ringwatch"

# Ten chances to be heard before a worker is taken for dead.
_HEARTBEATS_A_SESSION: Final = 10
# What a restart repeats as no-ops: a second of it.
_COMMIT_SECONDS: Final = 1.0
# Records are handed out in the order of all partitions, so a fetch is to reach each of them.
_RECORDS_A_FETCH: Final = 10_000
# A fetch gives a partition's records up to this size, or one record that is larger.
_BYTES_A_FETCH: Final = 2_097_152
# States of a slice go in few requests; topics take up to 8 MiB.
_BYTES_A_BATCH: Final = 1_000_000

_logger = logging.getLogger(__name__)

StageFactory = Callable[[Settings, MutableMapping[bytes, bytes]], Stage]

STAGES: Final[tuple[tuple[str, StageFactory], ...]] = (
    (AssembleStage.name, lambda settings, data: AssembleStage(settings.assembly, data, cached_of(settings.partitions))),
    ("numbers", numbers_stage),
    ("accounts", accounts_stage),
    (ContactsStage.name, ContactsStage),
    (CampaignsStage.name, CampaignsStage),
)
"""Every stage by the name of its table, in the order of the flow."""


def changelog_of(stage: str) -> str:
    """The changelog topic of a stage's table, as Faust names it."""
    return f"{APP_ID}-{stage}-changelog"


CHANGELOGS: Final[tuple[str, ...]] = tuple(changelog_of(name) for name, _ in STAGES)


class RingwatchApp(faust.App):
    """A Faust app that ends its process when it can't go on, so that whoever supervises it starts it anew.

    Faust would stay up without working.
    """

    async def crash(self, reason: BaseException) -> None:
        """End the process; nothing that was not applied has been acknowledged."""
        if self.should_stop:
            await super().crash(reason)
            return
        _logger.critical("the agents can't go on; ending the process", exc_info=reason)
        _end()


def create_app(
    settings: Settings,
    broker: str,
    log: Log,
    *,
    app_id: str = APP_ID,
    stages: Sequence[tuple[str, StageFactory]] = STAGES,
) -> faust.App:
    """Make the app with all agents.

    Args:
        settings: rules, lateness, partitions, how Kafka is reached.
        broker: the URL of the embedded log, or of Kafka; its topics and changelogs exist.
        log: the same log; the states are read from it.
        app_id: names the consumer group, and the changelogs with the stage's name.
        stages: those to run, by the names of their tables.
    """
    # Faust makes the folder, but not the one it lies in.
    settings.data.mkdir(parents=True, exist_ok=True)
    app = RingwatchApp(
        app_id,
        broker=[f"kafka://{server}" for server in settings.bootstrap_servers] if settings.on_kafka else broker,
        store="memory://",
        datadir=str(settings.data / "faust"),
        Topic=SlicedTopic,
        Table=StateTable,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        # Tables read their changelogs themselves and tell Faust of no offset that it could check.
        recovery_consistency_check=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=True,
        # A queue holds slices, not records: four of 500 are plenty to keep an agent busy.
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        # Faust would warn of partitions that are merely quiet.
        stream_processing_timeout=3_600.0,
        broker_commit_livelock_soft_timeout=3_600.0,
        **(_kafka_options(settings) if settings.on_kafka else {}),
    )
    transport: Any = KafkaTransport(app.conf.broker, app) if settings.on_kafka else app.transport
    transport.aligned = (CALLBACKS.name, arrival_of)
    app.transport = transport
    for name, factory in stages:
        _attach(app, name, factory, settings, log)
    if settings.on_kafka:
        _share_progress(app, log)
    return app


def _share_progress(app: faust.App, log: Log) -> None:
    # As with agents, the transport's own consumer and producer know more than Faust's interfaces say.
    transport: Any = app

    async def share() -> None:
        progress = Progress(transport.consumer, CALLBACKS.name, log, transport.producer.publish)
        await progress.run(lambda: app.should_stop)

    app.task(share)


def _kafka_options(settings: Settings) -> dict[str, Any]:
    kafka = settings.kafka
    return {
        "broker_credentials": faust_credentials(settings),
        # A worker that comes back under its name within the session gets its partitions back and nothing else moves.
        "consumer_group_instance_id": settings.worker_name,
        "broker_session_timeout": kafka.session_seconds,
        "broker_heartbeat_interval": kafka.session_seconds / _HEARTBEATS_A_SESSION,
        "broker_commit_interval": _COMMIT_SECONDS,
        "broker_max_poll_records": _RECORDS_A_FETCH,
        "consumer_max_fetch_size": _BYTES_A_FETCH,
        "producer_max_batch_size": _BYTES_A_BATCH,
        # Twenty times as fast as lz4, which aiokafka always does at its highest level, for a third more bytes.
        "producer_compression_type": "snappy",
    }


def _attach(app: faust.App, name: str, factory: StageFactory, settings: Settings, log: Log) -> None:
    made: Any = app.Table(
        name,
        partitions=settings.partitions,
        # Faust takes a table's serializers from these types; a schema of raw bytes is overruled by JSON.
        key_type=bytes,
        value_type=bytes,
    )
    table: StateTable = made
    sources = factory(settings, {}).sources
    table.attach(log, lambda data: factory(settings, data), sources)
    for source in sources:
        _add_agent(app, table, source)


def _add_agent(app: faust.App, table: StateTable, source: Topic) -> None:
    # The transports' own consumer and producer know more than Faust's interfaces say.
    transport: Any = app
    topic = app.topic(source.name, value_type=bytes, value_serializer="raw", key_serializer="raw")

    async def run(stream: Any) -> None:
        # An agent that raises loses the messages it holds, so this body ends the process instead: unacknowledged,
        # the slice comes again after the restart.
        try:
            async for event in stream.noack().events():
                slice_: Slice = event.value
                # A stage that reads two topics has an agent for each, and one table: what the one has applied and not
                # yet told must not be kept by the other.
                async with table.in_turn:
                    started = time.perf_counter()
                    effects = {run[0].partition: process_all(table.stage(run[0].partition), run) for run in slice_.runs}
                    worked = time.perf_counter() - started
                    try:
                        await emit_then_keep_state(
                            effects, transport.producer.publish, table.states.keep, lambda: app.should_stop
                        )
                    except StoppedError:
                        # Not applied, so not committed: the slice comes again. Acknowledging only lets Faust end.
                        await stream.ack(event)
                        return
                for run in slice_.runs:
                    place = TP(source.name, run[0].partition)
                    transport.consumer.applied(place, run[-1].offset + 1)
                transport.consumer.worked(source.name, len(slice_), worked)
                await stream.ack(event)
        except Exception:
            _logger.critical(
                "the agent of %s can't go on; ending the process unacknowledged", table.name, exc_info=True
            )
            _end()

    app.agent(topic, name=f"{table.name}-{source.name}")(run)


def _end() -> NoReturn:
    logging.shutdown()
    os._exit(70)
