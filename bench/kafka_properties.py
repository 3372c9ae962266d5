"""The settings of a node of Apache Kafka on loopback: safe as in production, quick to start and to notice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

LOOPBACK = "127.0.0.1"
"""Nobody else reaches the brokers: they ask for no password."""


class Ports(msgspec.Struct, frozen=True):
    """Where a node listens: to clients, and to the other controllers."""

    clients: int
    controllers: int


def node_properties(node: int, ports: Sequence[Ports], data: Path) -> dict[str, str]:
    """Give the settings of one node.

    Args:
        node: its number, from 1.
        ports: of every node, in order.
        data: the folder for its data.
    """
    port = ports[node - 1]
    copies = min(3, len(ports))
    # Two of three, so that one may be away; ringwatch's topics ask for the same.
    in_sync = 2 if copies >= 3 else 1
    voters = ",".join(f"{number}@{LOOPBACK}:{other.controllers}" for number, other in enumerate(ports, 1))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port.clients},CONTROLLER://{LOOPBACK}:{port.controllers}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port.clients}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "default.replication.factor": str(copies),
        "min.insync.replicas": str(in_sync),
        "offsets.topic.replication.factor": str(copies),
        # Each partition costs files and an election at start; one group needs one.
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": str(copies),
        "transaction.state.log.min.isr": str(in_sync),
        "transaction.state.log.num.partitions": "4",
        # A group of one shall not wait 3 s for others to join.
        "group.initial.rebalance.delay.ms": "0",
        # Tests of a worker's death need not wait for the 6 s that brokers ask for at least.
        "group.min.session.timeout.ms": "1000",
        # Else 128 MB of a small heap.
        "log.cleaner.dedupe.buffer.size": "33554432",
        "auto.create.topics.enable": "false",
        "controlled.shutdown.enable": "true",
        # A killed broker leads, and may not register again, until its session is over, which else takes 9 s. Less than
        # this, and a busy machine takes brokers for dead.
        "broker.session.timeout.ms": "6000",
        "broker.heartbeat.interval.ms": "500",
    }
