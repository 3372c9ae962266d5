"""The Faust app: each stage wired to its topics, nothing else."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import faust
from faust.types import TP

from schemas.settings import Settings
from schemas.topics import Topic
from streams.agents.accounts import accounts_stage
from streams.agents.assemble import AssembleStage
from streams.agents.campaigns import CampaignsStage
from streams.agents.contacts import ContactsStage
from streams.agents.effects import StoppedError, emit_then_keep_state
from streams.agents.numbers import numbers_stage
from streams.agents.stage import Stage, process_all
from streams.transports.slices import Slice, SlicedTopic

APP_ID: Final = "ringwatch"

_logger = logging.getLogger(__name__)

StageFactory = Callable[[Settings, MutableMapping[bytes, bytes]], Stage]

STAGES: Final[tuple[tuple[str, StageFactory], ...]] = (
    (AssembleStage.name, lambda settings, data: AssembleStage(settings.assembly, data)),
    ("numbers", numbers_stage),
    ("accounts", accounts_stage),
    (CampaignsStage.name, CampaignsStage),
    (ContactsStage.name, ContactsStage),
)
"""Every stage by the name of its table, in the order of the flow."""


def changelog_of(stage: str) -> str:
    """The changelog topic of a stage's table, as Faust names it."""
    return f"{APP_ID}-{stage}-changelog"


CHANGELOGS: Final[tuple[str, ...]] = tuple(changelog_of(name) for name, _ in STAGES)


def create_app(settings: Settings, broker: str) -> faust.App:
    """Make the app with all agents.

    Args:
        settings: rules, lateness, partitions.
        broker: the URL of the log; its topics and changelogs exist.
    """
    app = faust.App(
        APP_ID,
        broker=broker,
        store="memory://",
        datadir=str(settings.data / "faust"),
        Topic=SlicedTopic,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=True,
        # A queue holds slices, not records: four of 500 are plenty to keep an agent busy.
        stream_buffer_maxsize=4,
        stream_recovery_delay=0.0,
        # Faust would warn of partitions that are merely quiet.
        stream_processing_timeout=3_600.0,
        broker_commit_livelock_soft_timeout=3_600.0,
    )
    for name, factory in STAGES:
        _attach(app, name, factory, settings)
    return app


def _attach(app: faust.App, name: str, factory: StageFactory, settings: Settings) -> None:
    table = app.Table(
        name,
        partitions=settings.partitions,
        # Faust takes a table's serializers from these types; a schema of raw bytes is overruled by JSON.
        key_type=bytes,
        value_type=bytes,
        # Faust applies a changelog in batches of this many records; the default of 1000 is fine in memory.
        recovery_buffer_size=1_000,
    )
    stage = factory(settings, table.data)
    for source in stage.sources:
        _add_agent(app, stage, source)


def _add_agent(app: faust.App, stage: Stage, source: Topic) -> None:
    # The transports' own consumer and producer know more than Faust's interfaces say.
    transport: Any = app
    topic = app.topic(source.name, value_type=bytes, value_serializer="raw", key_serializer="raw")
    changelog = changelog_of(stage.name)

    async def run(stream: Any) -> None:
        # An agent that raises loses the messages it holds, so this body ends the process instead: unacknowledged,
        # the slice comes again after the restart.
        try:
            async for event in stream.noack().events():
                slice_: Slice = event.value
                effects = process_all(stage, slice_.records)
                try:
                    await emit_then_keep_state(effects, changelog, transport.producer.publish, lambda: app.should_stop)
                except StoppedError:
                    # Not applied, so not committed: the slice comes again. Acknowledging only lets Faust end.
                    await stream.ack(event)
                    return
                transport.consumer.applied(TP(source.name, slice_.records[0].partition), slice_.next_offset)
                await stream.ack(event)
        except Exception:
            _logger.critical(
                "the agent of %s can't go on; ending the process unacknowledged", stage.name, exc_info=True
            )
            logging.shutdown()
            os._exit(70)

    app.agent(topic, name=f"{stage.name}-{source.name}")(run)
