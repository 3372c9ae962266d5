"""One broker of Apache Kafka in a container, for machines that have an engine for containers and no Java."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator

from bench.apache_kafka import serves
from bench.free_ports import free_ports
from bench.kafka_jars import VERSION, KafkaUnavailableError

_IMAGE = f"apache/kafka:{VERSION}"
# The engine answers at once or not at all.
_ASK_SECONDS = 10.0
# The first run fetches some 400 MB.
_FETCH_SECONDS = 600.0
_START_SECONDS = 90.0
_POLL_SECONDS = 0.2


@contextlib.contextmanager
def kafka_container() -> Iterator[str]:
    """Run one broker on loopback; give its HOST:PORT.

    Raises:
        KafkaUnavailableError: no engine for containers, or the image can't be fetched or run.
        TimeoutError: the broker was not ready in time.
    """
    engine = _engine()
    (port,) = free_ports(1)
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }
    variables = [option for key, value in settings.items() for option in ("--env", f"{key}={value}")]
    run = [engine, "run", "--detach", "--rm", "--publish", f"127.0.0.1:{port}:{port}", *variables, _IMAGE]
    done = subprocess.run(run, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    if done.returncode != 0:
        raise KafkaUnavailableError(f"{_IMAGE} could not be run: {done.stderr[-2_000:]}")
    container = done.stdout.strip()
    try:
        _wait_until_ready(port)
        yield f"127.0.0.1:{port}"
    finally:
        subprocess.run([engine, "kill", container], capture_output=True, timeout=_START_SECONDS, check=False)


def _engine() -> str:
    engine = shutil.which("docker")
    if engine is None:
        raise KafkaUnavailableError("no engine for containers: install Docker, or Java 17 and Maven")
    try:
        asked = subprocess.run([engine, "info"], capture_output=True, text=True, timeout=_ASK_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailableError(
            "Docker's engine does not answer: start it, or install Java 17 and Maven"
        ) from error
    if asked.returncode != 0:
        raise KafkaUnavailableError("Docker's engine does not run: start it, or install Java 17 and Maven")
    return engine


def _wait_until_ready(port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if serves(port, {1}):
            return
        time.sleep(_POLL_SECONDS)
    raise TimeoutError(f"Apache Kafka in a container was not ready in {_START_SECONDS:.0f} s")
