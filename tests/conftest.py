"""A real Apache Kafka for the tests that ask for one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest
from kafka import KafkaAdminClient
from kafka.admin import MemberToRemove

from bench.apache_kafka import Cluster, KafkaUnavailableError, start_cluster
from bench.kafka_container import kafka_container
from schemas.topics import TOPICS

ClusterFactory = Callable[..., Cluster]

_NAMES = frozenset(topic.name for topic in TOPICS)
_GROUP = "ringwatch"
# A killed worker stays in its group until its session is over; it is thrown out sooner, but not at once.
_CLEAN_SECONDS = 30.0


def _without_kafka(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(f"CI runs the tests that need Apache Kafka, and there is none: {reason}")
    pytest.skip(f"no Apache Kafka: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let one process of the test run have all tests of the shared broker, whose topics have fixed names.

    They come first: they mostly wait, for minutes in all, and whoever begins them last is waited for.
    """
    for item in items:
        if item.get_closest_marker("kafka"):
            item.add_marker(pytest.mark.xdist_group("kafka"))
    items.sort(key=lambda item: item.get_closest_marker("kafka") is None)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give HOST:PORT of a broker that all tests share: one that was named, else one started here.

    `RINGWATCH_TEST_KAFKA` names one (HOST:PORT,HOST:PORT); tests delete ringwatch's topics and consumer group on it.
    """
    named = os.environ.get("RINGWATCH_TEST_KAFKA")
    if named:
        yield named
        return
    with ExitStack() as running:
        try:
            bootstrap = running.enter_context(start_cluster(tmp_path_factory.mktemp("kafka"), brief=True)).bootstrap
        except KafkaUnavailableError as no_java:
            try:
                bootstrap = running.enter_context(kafka_container())
            except KafkaUnavailableError as no_container:
                _without_kafka(f"{no_java}; {no_container}")
        yield bootstrap


@pytest.fixture
def fresh_kafka(kafka: str) -> str:
    """Give HOST:PORT of the shared broker, without ringwatch's topics and consumer group."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.split(","))
    try:
        _remove_group(admin)
        _remove_topics(admin)
    finally:
        admin.close()
    return kafka


@pytest.fixture
def kafka_cluster(tmp_path: Path) -> Iterator[ClusterFactory]:
    """Give a function that starts a cluster of this test's own, by default of three brokers."""
    with ExitStack() as running:

        def start(brokers: int = 3, properties: Mapping[str, str] | None = None) -> Cluster:
            try:
                cluster = start_cluster(tmp_path / "kafka", brokers, properties or {}, brief=True)
            except KafkaUnavailableError as error:
                _without_kafka(str(error))
            return running.enter_context(cluster)

        yield start


def _remove_topics(admin: KafkaAdminClient) -> None:
    def ours() -> list[str]:
        return [name for name in admin.list_topics() if name in _NAMES or name.startswith("ringwatch-")]

    if there := ours():
        # One that a dying worker made is gone as well, if it is gone already.
        admin.delete_topics(there, raise_errors=False)
        _wait_until(lambda: not ours(), "topics are still there")


def _remove_group(admin: KafkaAdminClient) -> None:
    def removed() -> bool:
        if _GROUP not in {group["group_id"] for group in admin.list_groups()}:
            return True
        members = admin.describe_groups([_GROUP])[_GROUP]["members"]
        admin.remove_group_members(_GROUP, [MemberToRemove(member_id=member["member_id"]) for member in members])
        admin.delete_groups([_GROUP])
        return False

    _wait_until(removed, "the consumer group is still there")


def _wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _CLEAN_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"{otherwise} after {_CLEAN_SECONDS:.0f} s")
        time.sleep(0.02)
