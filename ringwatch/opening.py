"""What a process opens before it works: the metrics, the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from ringwatch.topics import create_topics
from schemas.log import Log
from schemas.settings import ConfigurationError, Settings
from streams.agents.app import CHANGELOGS
from streams.transports.kafka.log import KafkaLog
from streams.transports.kafka.topics import check_topics
from streams.transports.local.driver import release_log, share_log


def refuse_insecure_outside(settings: Settings) -> None:
    """Refuse to take unsigned callbacks where others than this machine could send them.

    Raises:
        ConfigurationError: the address can be reached from outside.
    """
    if not settings.on_loopback:
        raise ConfigurationError(
            f"http: {settings.http} can be reached from outside, so --insecure is refused; listen on 127.0.0.1"
        )


def require_kafka(settings: Settings, command: str) -> None:
    """Refuse to run one part alone on the embedded log, which one process owns.

    Raises:
        ConfigurationError: the log is not Kafka.
    """
    if not settings.on_kafka:
        raise ConfigurationError(
            f"broker: `ringwatch {command}` needs Kafka, as one process owns the embedded log; run `ringwatch up`, "
            "which has all parts in it, or set RINGWATCH_BROKER=kafka://HOST:PORT"
        )


def new_registry() -> CollectorRegistry:
    """Metrics of a process, with those of the process itself."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def make_data_folder(settings: Settings) -> None:
    """Make the data folder if it is not there.

    Raises:
        ConfigurationError: it can't be made.
    """
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"data: {settings.data} can't be made ({error.strerror}); name another with --data"
        ) from error


def place_of_log(settings: Settings) -> str:
    """Where the log is, for people."""
    return settings.broker if settings.on_kafka else str(settings.log_path)


@asynccontextmanager
async def open_log(settings: Settings) -> AsyncIterator[Log]:
    """The log of the settings for as long as the block runs.

    The embedded one gets the topics it lacks; those of Kafka are checked.

    Raises:
        ConfigurationError: topics are missing or not as the settings say.
        LogUnavailableError: it can't be reached.
        LogError: the embedded log is in use, damaged or newer.
    """
    if settings.on_kafka:
        await asyncio.to_thread(check_topics, settings, CHANGELOGS)
        kafka_log = await asyncio.to_thread(KafkaLog.open, settings)
        try:
            yield kafka_log
        finally:
            await kafka_log.close()
        return
    log = share_log(settings.log_path)
    try:
        create_topics(log, settings.partitions)
        yield log
    finally:
        release_log(settings.log_path)
