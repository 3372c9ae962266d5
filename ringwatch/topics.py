"""The log's topics and changelogs, made and checked before anything reads or writes them."""

from __future__ import annotations

from schemas.settings import ConfigurationError
from schemas.topics import TOPICS, Cleanup
from streams.agents.app import CHANGELOGS
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
