"""The log's topics and changelogs, made and checked before anything reads or writes them."""

from __future__ import annotations

from contextlib import closing

import click

from schemas.settings import ConfigurationError, Settings
from schemas.topics import TOPICS, Cleanup
from streams.agents.app import CHANGELOGS
from streams.transports.kafka import topics as kafka_topics
from streams.transports.local.errors import PartitionCountError
from streams.transports.local.log import LocalLog


def create_topics(log: LocalLog, partitions: int) -> None:
    """Make every topic and changelog that is missing.

    Raises:
        ConfigurationError: a topic has another number of partitions than the settings ask for.
    """
    try:
        for topic in TOPICS:
            log.create_topic(topic.name, partitions, topic.cleanup, topic.retention)
        for changelog in CHANGELOGS:
            log.create_topic(changelog, partitions, Cleanup.COMPACT, None)
    except PartitionCountError as error:
        raise ConfigurationError(f"partitions: {error}") from error


def run_topics_create(settings: Settings) -> None:
    """Make what is missing in the log of the settings, mend what can be mended, and say what was made.

    Raises:
        ConfigurationError: a topic can't be made, or is there and can't be used.
        LogUnavailableError: the log can't be reached.
        LogError: the embedded log is in use, damaged or newer.
    """
    if settings.on_kafka:
        made = kafka_topics.create_topics(settings, CHANGELOGS)
    else:
        with closing(LocalLog.open(settings.log_path)) as log:
            before = set(log.topics())
            create_topics(log, settings.partitions)
            made = [name for name in log.topics() if name not in before]
    for name in made:
        click.echo(f"made {name}")
    click.echo(_summary(settings))


def run_topics_check(settings: Settings) -> None:
    """Say whether the log of the settings has all topics as they must be.

    Raises:
        ConfigurationError: it has not; the text has every mismatch and what to do.
        LogUnavailableError: the log can't be reached.
        LogError: the embedded log is in use, damaged or newer.
    """
    if settings.on_kafka:
        kafka_topics.check_topics(settings, CHANGELOGS)
    else:
        _check_local_topics(settings)
    click.echo(_summary(settings))


def _check_local_topics(settings: Settings) -> None:
    if not settings.log_path.exists():
        raise ConfigurationError(f"{settings.log_path}: no log yet; run `ringwatch topics create`, or `ringwatch up`")
    with closing(LocalLog.open(settings.log_path)) as log:
        found = log.topics()
    problems: list[str] = []
    for name in _names():
        if name not in found:
            problems.append(f"topic {name} is missing: run `ringwatch topics create`")
        elif found[name] != settings.partitions:
            problems.append(
                f"topic {name} has {found[name]} partitions, and partitions is {settings.partitions}: "
                f"set partitions = {found[name]}; they can't be changed once there are data"
            )
    if problems:
        raise ConfigurationError("\n".join(problems))


def _names() -> list[str]:
    return [*(topic.name for topic in TOPICS), *CHANGELOGS]


def _summary(settings: Settings) -> str:
    place = settings.broker if settings.on_kafka else settings.log_path
    return f"{place}: {len(_names())} topics with {settings.partitions} partitions each, as they must be"
