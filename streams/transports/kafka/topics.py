"""Topics in Apache Kafka: made once with what they must be, and checked before anything reads or writes them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import AuthorizationError, KafkaError, TopicAlreadyExistsError, for_code

from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings
from streams.transports.kafka.connection import connect
from streams.transports.kafka.plans import REQUIRED, PlannedTopic, in_sync, plan, satisfies

_logger = logging.getLogger(__name__)

# Each partition elects its leader first; on three busy brokers that takes a few seconds.
_READY_MILLISECONDS = 30_000

# A cluster takes nine seconds to notice that a broker is gone, and names it until then.
_NOTICED_SECONDS = 20.0
_PAUSE_SECONDS = 0.3

_MAKE_THEM = "run `ringwatch topics create`"


Asked = TypeVar("Asked")


class _GoneError(LogUnavailableError):
    """A broker that was there a moment ago did not answer."""


class FoundTopic(msgspec.Struct, frozen=True):
    """What a topic is in the cluster.

    Attributes:
        partitions: how many.
        copies: the replication factor of the partition that has the fewest.
        configs: Kafka's settings of a topic, by their name; those that are sensitive have no value.
    """

    partitions: int
    copies: int
    configs: Mapping[str, str | None]


def create_topics(settings: Settings, changelogs: Sequence[str]) -> list[str]:
    """Make every topic and changelog that is missing, and mend the settings of those that are there.

    Settings that somebody raised above what is needed (retention, say) stay as they are. Partitions and copies of a
    topic that is there are never changed.

    Returns:
        The names of the topics that were made.

    Raises:
        ConfigurationError: a topic can't be made or mended, or has other partitions or too few copies; with what to do.
        LogUnavailableError: no broker answers.
    """
    # What a first try has made is made no second time.
    made: list[str] = []

    def create(admin: KafkaAdminClient) -> tuple[Sequence[PlannedTopic], dict[str, FoundTopic]]:
        planned = plan(settings, changelogs, _brokers(admin))
        found = _describe(admin, planned)
        made.extend(_make(admin, [topic for topic in planned if topic.name not in found]))
        _mend(admin, planned, found)
        return planned, found

    planned, found = _ask(settings, create)
    _refuse([problem for topic in planned if topic.name in found for problem in _misshapen(topic, found[topic.name])])
    return made


def check_topics(settings: Settings, changelogs: Sequence[str]) -> None:
    """Compare every topic and changelog with what it must be.

    Raises:
        ConfigurationError: every mismatch, one a line, with what to do.
        LogUnavailableError: no broker answers.
    """

    def look(admin: KafkaAdminClient) -> tuple[Sequence[PlannedTopic], dict[str, FoundTopic]]:
        planned = plan(settings, changelogs, _brokers(admin))
        return planned, _describe(admin, planned)

    planned, found = _ask(settings, look)
    problems: list[str] = []
    for topic in planned:
        if topic.name in found:
            problems += _misshapen(topic, found[topic.name])
            problems += _misconfigured(topic, found[topic.name])
        else:
            problems.append(f"topic {topic.name} is missing: {_MAKE_THEM}")
    _refuse(problems)


def _ask(settings: Settings, ask: Callable[[KafkaAdminClient], Asked]) -> Asked:
    """Ask until the cluster has noticed that a broker has gone; that none answers is said at once."""
    began = time.monotonic()
    while True:
        try:
            with _admin(settings) as admin:
                return ask(admin)
        except _GoneError:
            if time.monotonic() - began > _NOTICED_SECONDS:
                raise
            time.sleep(_PAUSE_SECONDS)


@contextmanager
def _admin(settings: Settings) -> Iterator[KafkaAdminClient]:
    """Connect; errors become those that the caller knows."""
    servers = ", ".join(settings.bootstrap_servers)
    admin, _ = connect(settings)
    try:
        yield admin
    except AuthorizationError as error:
        raise ConfigurationError(
            f"Apache Kafka at {servers} refuses this client ({error}): allow kafka.sasl_username to create, describe "
            "and alter topics and their configs, and to describe the cluster"
        ) from error
    except KafkaError as error:
        raise _GoneError(f"Apache Kafka at {servers} did not do as asked ({error}): try again") from error
    finally:
        admin.close()


def _brokers(admin: KafkaAdminClient) -> int:
    """How many brokers the cluster has, those included that are down now."""
    return len(admin.describe_cluster()["brokers"])


def _describe(admin: KafkaAdminClient, planned: Sequence[PlannedTopic]) -> dict[str, FoundTopic]:
    """Read what the cluster has of the planned topics, by name."""
    shapes: dict[str, tuple[int, int]] = {}
    for topic in admin.describe_topics([topic.name for topic in planned]):
        error = for_code(topic["error_code"])
        if issubclass(error, AuthorizationError):
            raise error(topic["name"])
        if partitions := topic["partitions"]:
            shapes[topic["name"]] = len(partitions), min(len(partition["replica_nodes"]) for partition in partitions)
    if not shapes:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in shapes]
    configs = admin.describe_configs(resources, config_filter="all")["topic"]
    return {
        name: FoundTopic(partitions, copies, {key: config["value"] for key, config in configs[name].items()})
        for name, (partitions, copies) in shapes.items()
    }


def _make(admin: KafkaAdminClient, missing: Sequence[PlannedTopic]) -> list[str]:
    if not missing:
        return []
    answer = admin.create_topics(
        {
            topic.name: {
                "num_partitions": topic.partitions,
                "replication_factor": topic.copies,
                "configs": topic.configs,
            }
            for topic in missing
        },
        raise_errors=False,
    )
    made: list[str] = []
    problems: list[str] = []
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if topic["error_code"] == 0:
            made.append(topic["name"])
        elif issubclass(error, AuthorizationError):
            raise error(topic["name"])
        # Somebody who starts at the same time was quicker, and made the same.
        elif error is not TopicAlreadyExistsError:
            problems.append(_not_made(topic))
    _refuse(problems)
    admin.wait_for_topics([topic.name for topic in missing], timeout_ms=_READY_MILLISECONDS)
    return made


def _not_made(topic: Mapping[str, Any]) -> str:
    why = topic["error_message"] or for_code(topic["error_code"]).description
    return (
        f"topic {topic['name']} could not be made ({why}): start all brokers, "
        "or set kafka.replication_factor to how many there are"
        if for_code(topic["error_code"]).__name__ == "InvalidReplicationFactorError"
        else f"topic {topic['name']} could not be made: {why}"
    )


def _mend(admin: KafkaAdminClient, planned: Sequence[PlannedTopic], found: Mapping[str, FoundTopic]) -> None:
    """Set what differs from the plan, and nothing else."""
    changes = {
        topic.name: {key: value for key, value, _ in _differences(topic, found[topic.name])}
        for topic in planned
        if topic.name in found
    }
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, configs) for name, configs in changes.items() if configs
    ]
    if not resources:
        return
    answers = admin.alter_configs(resources, raise_on_unknown=False, incremental=True)["topic"]
    _refuse([f"topic {name} could not be mended: {answer}" for name, answer in answers.items() if answer != "OK"])
    for resource in resources:
        _logger.info("topic %s: set %s", resource.name, ", ".join(f"{k}={v}" for k, v in resource.configs.items()))


def _differences(topic: PlannedTopic, found: FoundTopic) -> Iterator[tuple[str, str, str | None]]:
    """Give name, planned and found value of each setting that does not do."""
    # As many as the copies that are there allow; to ask for more would refuse every append.
    configs = {**topic.configs, "min.insync.replicas": str(in_sync(found.copies))}
    for key, value in configs.items():
        there = found.configs.get(key)
        if there is None or not satisfies(key, there, value):
            yield key, value, there


def _misconfigured(topic: PlannedTopic, found: FoundTopic) -> Iterator[str]:
    for key, value, there in _differences(topic, found):
        if key in REQUIRED:
            yield f"topic {topic.name} has {key}={there}, and needs {value}: {_MAKE_THEM}, which sets it"


def _misshapen(topic: PlannedTopic, found: FoundTopic) -> Iterator[str]:
    if found.partitions != topic.partitions:
        yield (
            f"topic {topic.name} has {found.partitions} partitions, and partitions is {topic.partitions}: set "
            f"partitions = {found.partitions}; they can't be changed once there are data, as keys would move "
            f"(a topic without data may be deleted, then {_MAKE_THEM})"
        )
    if found.copies < topic.copies:
        yield (
            f"topic {topic.name} has {found.copies} {'copy' if found.copies == 1 else 'copies'} of a partition, and "
            f"{topic.copies} are asked for: raise it with Kafka's kafka-reassign-partitions, "
            f"or set kafka.replication_factor = {found.copies}"
        )


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigurationError("\n".join(problems))
