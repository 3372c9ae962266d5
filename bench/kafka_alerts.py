"""Callback to alert on Apache Kafka: signed request into a gateway, event on the feed's `/v1/stream`.

`python -m bench kafka-alerts`. Gateway, worker and feed are processes of their own, on one broker.
"""

from __future__ import annotations

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from bench.alert_latency import BACKGROUND, PROBES, latencies, write_traffic
from bench.apache_kafka import KafkaUnavailableError, start_cluster
from bench.kafka_processes import HEAP_MEGABYTES, ringwatch, settings_of, wait_until_ready
from bench.processes import apart
from bench.results import Result
from streams.agents.app import CHANGELOGS
from streams.transports.kafka.topics import create_topics

_NAME = "callback to alert on Kafka, gateway, worker and feed apart"


def measure() -> list[Result]:
    """Percentiles of the time from request to event, opt-outs as probes."""
    try:
        found = _measure()
    except KafkaUnavailableError as error:
        return [Result(name=f"{_NAME}, p50", unit="ms", value=None, note=str(error))]
    cuts = statistics.quantiles(found, n=100)
    note = f"{PROBES} opt-outs by message beside {BACKGROUND:,.0f} callbacks/s, worst {max(found):,.0f} ms"
    return [
        Result(name=f"{_NAME}, p50", unit="ms", value=cuts[49], note=note),
        Result(name=f"{_NAME}, p99", unit="ms", value=cuts[98], note=note),
    ]


def _measure() -> list[float]:
    with tempfile.TemporaryDirectory(prefix="ringwatch-alerts-") as name, ExitStack() as stack:
        folder = Path(name)
        traffic = write_traffic(folder)
        cluster = stack.enter_context(start_cluster(folder / "kafka", heap_megabytes=HEAP_MEGABYTES))
        create_topics(settings_of(cluster.bootstrap, folder), CHANGELOGS)
        parts = [
            stack.enter_context(ringwatch(command, cluster.bootstrap, folder))
            for command in ("gateway", "worker", "feed")
        ]
        wait_until_ready(parts)
        gateway, _, feed = parts
        return apart(latencies, gateway.port, feed.address, traffic)
