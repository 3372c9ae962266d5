"""Real brokers that end when they should and keep what they were given."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from bench.apache_kafka import Cluster
from bench.free_ports import free_ports
from bench.kafka_jars import KafkaUnavailableError, jars, java

pytestmark = pytest.mark.kafka


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_killed_node_comes_back_with_its_data(kafka_cluster: Callable[..., Cluster]) -> None:
    """What a broker acknowledged is read again after kill -9 and a start on the same folder."""
    cluster = kafka_cluster(brokers=1)
    admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    admin.create_topics({"kept": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, acks="all")
    producer.send("kept", b"value", key=b"key").get(timeout=30)
    producer.close()
    first = cluster.pid(1)

    cluster.kill(1)
    assert cluster.running == []
    assert _gone(first)
    cluster.start(1)

    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap, auto_offset_reset="earliest")
    partition = TopicPartition("kept", 0)
    consumer.assign([partition])
    records = consumer.poll(timeout_ms=20_000)[partition]
    consumer.close()
    assert [(record.key, record.value) for record in records] == [(b"key", b"value")]


def test_no_broker_outlives_a_killed_run(tmp_path: Path) -> None:
    """The kernel ends the brokers of a process that was itself killed."""
    code = (
        "import sys, time; from pathlib import Path; from bench.apache_kafka import start_cluster\n"
        "cluster = start_cluster(Path(sys.argv[1]), brief=True); print(cluster.pid(1), flush=True); time.sleep(600)"
    )
    try:
        java()
        jars()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
    if sys.platform != "linux":
        pytest.skip("only Linux ends a child with its parent")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        broker = int(run.stdout.readline())
        assert not _gone(broker)
        run.send_signal(signal.SIGKILL)
    until = time.monotonic() + 10
    while not _gone(broker):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_broker_that_does_not_start_says_why(kafka_cluster: Callable[..., Cluster]) -> None:
    """The error has the end of the node's log."""
    with pytest.raises(RuntimeError, match=r"num\.io\.threads"):
        kafka_cluster(brokers=1, properties={"num.io.threads": "none"})


@pytest.fixture
def used_kafka(kafka: str) -> str:
    """Give the shared broker with a topic of ringwatch, and a worker that went without a word."""
    admin = KafkaAdminClient(bootstrap_servers=kafka.split(","))
    if "ringwatch-used-changelog" not in admin.list_topics():
        topic = {"ringwatch-used-changelog": {"num_partitions": 1, "replication_factor": 1}}
        admin.create_topics(topic, wait_for_metadata=True)
    consumer = KafkaConsumer(
        "ringwatch-used-changelog",
        bootstrap_servers=kafka.split(","),
        group_id="ringwatch",
        # One of static membership does not say goodbye.
        group_instance_id="gone",
        session_timeout_ms=60_000,
    )
    until = time.monotonic() + 30
    while not consumer.assignment():
        assert time.monotonic() < until
        consumer.poll(timeout_ms=200)
    consumer.close(autocommit=False)
    assert len(admin.describe_groups(["ringwatch"])["ringwatch"]["members"]) == 1
    admin.close()
    return kafka


def test_a_fresh_kafka_has_nothing_of_ringwatch(used_kafka: str, fresh_kafka: str) -> None:
    """Topics and group of an earlier test are gone, even if a worker of it was killed and is still in the group."""
    assert used_kafka == fresh_kafka
    admin = KafkaAdminClient(bootstrap_servers=fresh_kafka.split(","))
    assert not [name for name in admin.list_topics() if name.startswith("ringwatch")]
    assert "ringwatch" not in {group["group_id"] for group in admin.list_groups()}
    admin.close()


def test_no_java_is_said_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Java, and without Maven and jars, the error names what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("RINGWATCH_TEST_KAFKA_JARS", str(tmp_path / "jars"))
    with pytest.raises(KafkaUnavailableError, match="install a Java runtime"):
        java()
    with pytest.raises(KafkaUnavailableError, match="install Maven"):
        jars()


def test_free_ports_differ_and_are_not_given_to_clients() -> None:
    """Ports are distinct and below those of outgoing connections."""
    found = free_ports(20)
    assert len(set(found)) == 20
    outgoing = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if outgoing.exists():
        assert max(found) < int(outgoing.read_text().split()[0])
