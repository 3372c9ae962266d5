"""Real Apache Kafka on loopback: brokers as processes of this machine, for tests, drills and measurements.

    with start_cluster(folder, brokers=3) as cluster:
        use(cluster.bootstrap)
        cluster.kill(2)
        cluster.start(2)

`python -m bench.apache_kafka [--brokers N] [--folder DIR]` runs one by hand until Ctrl-C.
"""

from __future__ import annotations

import argparse
import atexit
import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from bench.free_ports import free_ports
from bench.kafka_jars import KafkaUnavailableError, jars, java
from bench.kafka_properties import LOOPBACK, Ports, node_properties

__all__ = ["Cluster", "KafkaUnavailableError", "serves", "start_cluster"]

# Four seconds on an idle machine; a loaded CI machine takes ten times that.
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.05
# A port that was free may be taken before the broker binds it; thrice in a row it is another fault.
_ATTEMPTS = 3
_TAIL_CHARACTERS = 3_000
# What is compiled fully pays only after a minute.
_QUICKLY = ("-XX:TieredStopAtLevel=1",)
_NO_PROPERTIES: Mapping[str, str] = MappingProxyType({})

# The kernel ends the broker when the thread that started it ends, however this process ends; kill -9 included.
_TIED = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
# This thread lives as long as the process, whichever thread calls.
_STARTER = ThreadPoolExecutor(1, "apache-kafka")


class Cluster:
    """Running brokers, each also a controller; nodes are numbered from 1. A context manager that ends them.

    Attributes:
        bootstrap: HOST:PORT of each node, joined by commas.
        folder: each node's data, its `node-N.properties`, and its log `node-N.log`.
    """

    def __init__(
        self, folder: Path, ports: Sequence[Ports], properties: Mapping[str, str], java_options: Sequence[str]
    ) -> None:
        self.folder = folder
        self.bootstrap = ",".join(f"{LOOPBACK}:{port.clients}" for port in ports)
        self._ports = ports
        self._java_options = java_options
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for node in self.nodes:
            chosen = {**node_properties(node, ports, folder / f"node-{node}"), **properties}
            self._properties_file(node).write_text("".join(f"{key}={value}\n" for key, value in chosen.items()))
        atexit.register(self.close)

    @property
    def nodes(self) -> range:
        """The numbers of all nodes, running or not."""
        return range(1, len(self._ports) + 1)

    @property
    def running(self) -> list[int]:
        """The numbers of the nodes that run."""
        return [node for node, process in self._processes.items() if process.poll() is None]

    def pid(self, node: int) -> int:
        """The process of a node."""
        return self._processes[node].pid

    def kill(self, node: int) -> None:
        """End a node with SIGKILL and wait until it is gone; its data stay."""
        self._processes[node].kill()
        self._processes[node].wait()

    def stop(self, node: int) -> None:
        """End a node with SIGTERM, so that it hands over its partitions; with SIGKILL if that takes too long."""
        process = self._processes[node]
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Without a majority of the controllers nobody takes over, and it would wait for minutes.
            self.kill(node)

    def start(self, node: int) -> None:
        """Start a node on the data it has, and wait until it serves.

        Raises:
            RuntimeError: it ended, or is not ready in time; the text has the tail of its log.
        """
        self._launch(node)
        self._wait_until_ready(node, {node})

    def start_all(self) -> None:
        """Give each node an empty store, start all, and wait until all serve; as `start`."""
        self._format()
        for node in self.nodes:
            self._launch(node)
        for node in self.nodes:
            self._wait_until_ready(node, self.nodes)

    def close(self) -> None:
        """End all nodes at once, with SIGKILL; a second call does nothing."""
        atexit.unregister(self.close)
        for node in self.running:
            self._processes[node].kill()
        for process in self._processes.values():
            process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def log_tail(self, node: int) -> str:
        """The end of a node's log."""
        log = self._log_file(node)
        return log.read_text(errors="replace")[-_TAIL_CHARACTERS:] if log.exists() else ""

    def _log_file(self, node: int) -> Path:
        return self.folder / f"node-{node}.log"

    def _properties_file(self, node: int) -> Path:
        return self.folder / f"node-{node}.properties"

    def _format(self) -> None:
        """Write each node's empty store, with one identity for the cluster."""
        # Letters only: a leading - would be read as an option.
        cluster = base64.urlsafe_b64encode(bytes(byte & 0x3F for byte in os.urandom(16))).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster, "-c"]
        commands = [
            # It lives for a second: a garbage collector with threads would cost more.
            [java(), *_QUICKLY, "-XX:+UseSerialGC", "-cp", f"{jars()}/*", *tool, str(properties)]
            for properties in map(self._properties_file, self.nodes)
        ]
        formatting = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for command in commands
        ]
        outputs = [process.communicate()[0] for process in formatting]
        for process, output in zip(formatting, outputs, strict=True):
            if process.returncode != 0:
                raise RuntimeError(f"Kafka's store could not be made: {output.decode(errors='replace')[-2_000:]}")

    def _launch(self, node: int) -> None:
        if node in self.running:
            raise RuntimeError(f"node {node} runs already; stop or kill it first")
        server = [
            java(),
            *self._java_options,
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-cp",
            f"{jars()}/*",
            "kafka.Kafka",
            str(self._properties_file(node)),
        ]
        command = [sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *server]
        with self._log_file(node).open("ab") as log:
            self._processes[node] = _STARTER.submit(
                subprocess.Popen,
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the caller, who ends the brokers in its own time.
                start_new_session=True,
            ).result()

    def _wait_until_ready(self, node: int, nodes: Collection[int]) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            status = self._processes[node].poll()
            if status is not None:
                raise RuntimeError(f"Kafka's node {node} ended with {status}: {self.log_tail(node)}")
            if serves(self._ports[node - 1].clients, nodes):
                return
            time.sleep(_POLL_SECONDS)
        raise RuntimeError(f"Kafka's node {node} was not ready in {_START_SECONDS:.0f} s: {self.log_tail(node)}")


def serves(port: int, nodes: Collection[int]) -> bool:
    """Whether the node on a port of loopback answers now, and sees these nodes take part in the cluster."""
    with contextlib.suppress(OSError):
        socket.create_connection((LOOPBACK, port), timeout=1).close()
        with contextlib.suppress(KafkaError):
            admin = KafkaAdminClient(
                bootstrap_servers=[f"{LOOPBACK}:{port}"],
                bootstrap_timeout_ms=2_000,
                request_timeout_ms=2_000,
                reconnect_backoff_max_ms=200,
            )
            try:
                known = admin.describe_cluster()["brokers"]
            finally:
                admin.close()
            # A fenced broker is registered, and leads nothing.
            return {broker["broker_id"] for broker in known if not broker["is_fenced"]}.issuperset(nodes)
    return False


def start_cluster(
    folder: Path,
    brokers: int = 1,
    properties: Mapping[str, str] = _NO_PROPERTIES,
    heap_megabytes: int = 400,
    *,
    brief: bool = False,
) -> Cluster:
    """Start a cluster of Apache Kafka on loopback and wait until it serves.

    The brokers end with `close`, with the interpreter, and, on Linux, however the interpreter ends.

    Args:
        folder: for data, logs and settings; made if missing, and not removed.
        brokers: how many nodes; each is broker and controller.
        properties: settings of Apache Kafka that replace those chosen here.
        heap_megabytes: Java's heap, for each node.
        brief: compile quickly and less well: starts with two thirds of the work; not for measurements.

    Raises:
        KafkaUnavailableError: no Java, or no jars and no way to get them; the text says what to install.
        RuntimeError: a broker did not start; the text has the tail of its log.
    """
    java()
    jars()
    java_options = [f"-Xmx{heap_megabytes}m", *(_QUICKLY if brief else ())]
    for attempt in range(1, _ATTEMPTS + 1):
        # A node that never started has left nothing to keep; its log stays to be read.
        cluster = Cluster(
            folder if attempt == 1 else folder / f"attempt-{attempt}", _ports(brokers), properties, java_options
        )
        try:
            cluster.start_all()
        except BaseException as error:
            cluster.close()
            if attempt == _ATTEMPTS or "BindException" not in str(error):
                raise
        else:
            return cluster
    raise AssertionError


def _ports(brokers: int) -> list[Ports]:
    found = free_ports(2 * brokers)
    return [Ports(*pair) for pair in zip(found[::2], found[1::2], strict=True)]


def _main() -> None:
    parser = argparse.ArgumentParser(description="Run Apache Kafka on loopback until Ctrl-C.")
    parser.add_argument("--brokers", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ringwatch-kafka-") as temporary,
        start_cluster(given.folder or Path(temporary), given.brokers) as cluster,
    ):
        print(f"RINGWATCH_BROKER=kafka://{cluster.bootstrap}", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    _main()
