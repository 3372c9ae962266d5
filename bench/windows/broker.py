"""Topics of this measurement on a broker."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from bench.peers import environment
from bench.windows.ringwatch_windows import settings_for
from schemas.topics import CALLS
from streams.transports.kafka.topics import create_topics

PARTITIONS = 12
"""As ringwatch makes its topics on Kafka by default."""

_ROOT = Path(__file__).parent.parent.parent
_FILL_SECONDS = 600.0


def topic_of(events: int, most: int) -> str:
    """The topic with so many calls; the fullest has the name that ringwatch's agents know."""
    return CALLS.name if events == most else f"{CALLS.name}-{events}"


def make_topics(
    bootstrap: str, names: Iterable[str], changelogs: Sequence[str], faust_changelogs: Sequence[str], folder: Path
) -> None:
    """Make ringwatch's own topics and changelogs as it makes them, and further ones of calls beside them.

    Args:
        bootstrap: HOST:PORT of the broker.
        names: topics of calls.
        changelogs: topics of ringwatch's states.
        faust_changelogs: topics of the tables of the idiomatic Faust agent.
        folder: for ringwatch's settings; nothing is written to it.
    """
    own = create_topics(settings_for(bootstrap, PARTITIONS, folder), changelogs)
    further = [
        *(NewTopic(name, num_partitions=PARTITIONS, replication_factor=1) for name in names if name not in own),
        # Faust makes its changelogs itself, and now and then counts into them before it can see them.
        *(NewTopic(name, PARTITIONS, 1, topic_configs={"cleanup.policy": "compact"}) for name in faust_changelogs),
    ]
    if not further:
        return
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics(further)
    finally:
        admin.close()


def fill(bootstrap: str, start: int, topics: dict[str, int]) -> None:
    """Fill topics with the first calls of one stream, event time from `start` on.

    Raises:
        PeersUnavailableError: the peers' packages, one of which sends the calls, can't be installed.
        RuntimeError: not all calls are on the broker.
    """
    named = [f"{name}={count}" for name, count in topics.items()]
    done = subprocess.run(
        [str(environment.python()), "-m", "bench.peers.fill", bootstrap, str(start), *named],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        timeout=_FILL_SECONDS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the topics could not be filled: {done.stderr[-2_000:]}")
