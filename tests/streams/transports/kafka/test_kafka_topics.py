"""Topics as a real Apache Kafka has them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from bench.apache_kafka import Cluster
from bench.free_ports import free_ports
from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings, load_settings
from schemas.topics import TOPICS, Cleanup
from streams.transports.kafka.topics import check_topics, create_topics

pytestmark = pytest.mark.kafka

CHANGELOGS = ["ringwatch-first-changelog", "ringwatch-second-changelog"]
NAMES = [*(topic.name for topic in TOPICS), *CHANGELOGS]
MIB = 1024 * 1024


def _settings(bootstrap: str, folder: Path, partitions: int = 2, **kafka: object) -> Settings:
    return load_settings(data=folder, broker=f"kafka://{bootstrap}", partitions=partitions, kafka=kafka)


@pytest.fixture
def settings(fresh_kafka: str, tmp_path: Path) -> Settings:
    """Settings that name the shared broker, on which there are no topics yet."""
    return _settings(fresh_kafka, tmp_path)


@pytest.fixture
def admin(fresh_kafka: str) -> Iterator[KafkaAdminClient]:
    """Look at the broker past ringwatch's own code."""
    client = KafkaAdminClient(bootstrap_servers=fresh_kafka.split(","))
    yield client
    client.close()


def _configs(admin: KafkaAdminClient, name: str) -> dict[str, Any]:
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)], config_filter="all")
    return {key: config["value"] for key, config in described["topic"][name].items()}


def _set(admin: KafkaAdminClient, name: str, configs: dict[str, str]) -> None:
    answer = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs)])
    assert answer["topic"][name] == "OK"
    # The broker takes the change over from the controller a moment later.
    until = time.monotonic() + 10
    while not _configs(admin, name).items() >= configs.items():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_topics_are_made_as_the_registry_says(settings: Settings, admin: KafkaAdminClient) -> None:
    """Each topic gets its partitions, cleanup, retention and room for the largest record."""
    assert sorted(create_topics(settings, CHANGELOGS)) == sorted(NAMES)
    described = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(NAMES)}
    assert {name: len(partitions) for name, partitions in described.items()} == dict.fromkeys(NAMES, 2)
    for topic in TOPICS:
        configs = _configs(admin, topic.name)
        assert configs["cleanup.policy"] == topic.cleanup
        assert int(configs["retention.ms"]) == (-1 if topic.retention is None else topic.retention)
        assert int(configs["max.message.bytes"]) == 8 * MIB
        assert configs["min.insync.replicas"] == "1"
        assert configs["message.timestamp.type"] == "LogAppendTime"
    for name in CHANGELOGS:
        configs = _configs(admin, name)
        assert configs["cleanup.policy"] == Cleanup.COMPACT
        assert int(configs["segment.bytes"]) <= 64 * MIB
        assert int(configs["min.compaction.lag.ms"]) == 3_600_000
    check_topics(settings, CHANGELOGS)


def test_a_second_making_changes_nothing(settings: Settings) -> None:
    """What is there as it should be is left alone."""
    create_topics(settings, CHANGELOGS)
    assert create_topics(settings, CHANGELOGS) == []
    check_topics(settings, CHANGELOGS)


def test_a_missing_topic_is_made_beside_those_that_are_there(settings: Settings, admin: KafkaAdminClient) -> None:
    """A topic of a later version is named as missing, and made alone."""
    create_topics(settings, CHANGELOGS[:1])
    with pytest.raises(ConfigurationError, match=r"second-changelog is missing: run `ringwatch topics create`"):
        check_topics(settings, CHANGELOGS)
    assert create_topics(settings, CHANGELOGS) == CHANGELOGS[1:]
    assert CHANGELOGS[1] in admin.list_topics()


def test_no_topics_at_all_names_each(settings: Settings) -> None:
    """On an empty cluster every topic is named, one a line."""
    with pytest.raises(ConfigurationError) as refused:
        check_topics(settings, CHANGELOGS)
    assert [line.split()[1] for line in str(refused.value).splitlines()] == NAMES


def test_another_number_of_partitions_is_refused_and_never_changed(
    settings: Settings, admin: KafkaAdminClient, fresh_kafka: str, tmp_path: Path
) -> None:
    """Partitions are fixed: making and checking both say which setting to change."""
    create_topics(settings, CHANGELOGS)
    more = _settings(fresh_kafka, tmp_path, partitions=3)
    for attempt in (create_topics, check_topics):
        with pytest.raises(ConfigurationError, match=r"calls has 2 partitions, .* set partitions = 2; they can't"):
            attempt(more, CHANGELOGS)
    assert len(admin.describe_topics(["calls"])[0]["partitions"]) == 2


def test_fewer_copies_than_asked_are_refused(settings: Settings, fresh_kafka: str, tmp_path: Path) -> None:
    """A topic with too few copies is named with both ways out."""
    create_topics(settings, CHANGELOGS)
    three = _settings(fresh_kafka, tmp_path, replication_factor=3)
    with pytest.raises(ConfigurationError, match=r"1 copy of a partition, and 3 .* kafka\.replication_factor = 1"):
        check_topics(three, CHANGELOGS)


def test_more_copies_than_brokers_can_not_be_made(fresh_kafka: str, tmp_path: Path) -> None:
    """The error says which setting is too high."""
    with pytest.raises(ConfigurationError, match=r"could not be made .*kafka\.replication_factor"):
        create_topics(_settings(fresh_kafka, tmp_path, replication_factor=3), CHANGELOGS)


def test_wrong_settings_are_refused_and_mended(settings: Settings, admin: KafkaAdminClient) -> None:
    """A setting that would lose or refuse records is named with topic, value and remedy, and the remedy helps."""
    create_topics(settings, CHANGELOGS)
    right = {name: _configs(admin, name) for name in NAMES}
    wrong = {
        "callbacks": {"retention.ms": "1000", "retention.bytes": "1000000"},
        "calls": {"max.message.bytes": "1000000"},
        "contacts": {"message.timestamp.type": "CreateTime"},
        "optouts": {"cleanup.policy": "compact"},
        "alerts": {"min.insync.replicas": "2"},
        CHANGELOGS[0]: {"cleanup.policy": "delete"},
        CHANGELOGS[1]: {"min.compaction.lag.ms": "0"},
    }
    for name, configs in wrong.items():
        _set(admin, name, configs)
    with pytest.raises(ConfigurationError) as refused:
        check_topics(settings, CHANGELOGS)
    assert sorted(str(refused.value).splitlines()) == sorted(
        f"topic {name} has {key}={value}, and needs {right[name][key]}: run `ringwatch topics create`, which sets it"
        for name, configs in wrong.items()
        for key, value in configs.items()
    )
    assert create_topics(settings, CHANGELOGS) == []
    until = time.monotonic() + 10
    while {name: _configs(admin, name) for name in NAMES} != right:
        assert time.monotonic() < until
        time.sleep(0.1)
    check_topics(settings, CHANGELOGS)


def test_what_somebody_raised_is_left(settings: Settings, admin: KafkaAdminClient) -> None:
    """A longer retention and larger records do no harm, and stay."""
    raised = {"retention.ms": "-1", "max.message.bytes": str(16 * MIB)}
    create_topics(settings, CHANGELOGS)
    _set(admin, "callbacks", raised)
    create_topics(settings, CHANGELOGS)
    check_topics(settings, CHANGELOGS)
    assert _configs(admin, "callbacks").items() >= raised.items()


def test_three_brokers_hold_three_copies_of_which_two_must_be_in_step(
    kafka_cluster: Callable[..., Cluster], tmp_path: Path
) -> None:
    """On three brokers each partition lies on all, and stays so asked for while one of them is away."""
    cluster = kafka_cluster(brokers=3)
    settings = _settings(cluster.bootstrap, tmp_path, partitions=12)
    create_topics(settings, CHANGELOGS)
    check_topics(settings, CHANGELOGS)
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap.split(","))
    try:
        for topic in admin.describe_topics(NAMES):
            assert [sorted(partition["replica_nodes"]) for partition in topic["partitions"]] == [[1, 2, 3]] * 12
            assert _configs(admin, topic["name"])["min.insync.replicas"] == "2"
    finally:
        admin.close()
    cluster.kill(3)
    check_topics(settings, CHANGELOGS)
    assert create_topics(settings, CHANGELOGS) == []


def test_no_broker_is_said_within_seconds(tmp_path: Path) -> None:
    """Where nobody answers, the error names the address and what to do."""
    (port,) = free_ports(1)
    began = time.monotonic()
    with pytest.raises(LogUnavailableError, match=rf"127\.0\.0\.1:{port} .*start it, or correct broker"):
        check_topics(_settings(f"127.0.0.1:{port}", tmp_path), CHANGELOGS)
    assert time.monotonic() - began < 15
