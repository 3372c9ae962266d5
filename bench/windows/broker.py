"""Topics of this measurement on a broker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.peers import environment
from schemas.topics import CALLS

PARTITIONS = 12
"""As ringwatch makes its topics on Kafka by default."""

_ROOT = Path(__file__).parent.parent.parent
_FILL_SECONDS = 600.0


def topic_of(events: int, most: int) -> str:
    """The topic with so many calls; the fullest has the name that ringwatch's agents know."""
    return CALLS.name if events == most else f"{CALLS.name}-{events}"


def make_topics(bootstrap: str, names: Iterable[str]) -> None:
    """Make topics of calls."""
    _create(bootstrap, [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in names])


def make_changelog(bootstrap: str, name: str) -> None:
    """Make a compacted topic for states."""
    configs = {"cleanup.policy": "compact"}
    _create(
        bootstrap, [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, topic_configs=configs)]
    )


def _create(bootstrap: str, topics: list[NewTopic]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics(topics)
    finally:
        admin.close()


def fill(bootstrap: str, start: int, topics: dict[str, int]) -> None:
    """Fill topics with the first calls of one stream, event time from `start` on."""
    named = [f"{name}={count}" for name, count in topics.items()]
    subprocess.run(
        [str(environment.python()), "-m", "bench.peers.fill", bootstrap, str(start), *named],
        check=True,
        cwd=_ROOT,
        timeout=_FILL_SECONDS,
    )
