"""What the gateway counts."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from schemas.log import NewRecord

# Log writes take about a millisecond, and the promise is 50 ms for 99 of 100.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)


class GatewayMetrics:
    """Counters of requests, rejects and records, and the time from the request's first byte read to its answer.

    Args:
        registry: where `/metrics` reads from.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "ringwatch_gateway_requests",
            "Requests by endpoint and outcome.",
            ("endpoint", "outcome"),
            registry=registry,
        )
        self._rejected = Counter(
            "ringwatch_gateway_rejected", "Refused requests by reason.", ("reason",), registry=registry
        )
        self._records = Counter("ringwatch_gateway_records", "Records written by topic.", ("topic",), registry=registry)
        self._seconds = Histogram(
            "ringwatch_gateway_seconds", "Seconds from request to answer.", buckets=_BUCKETS, registry=registry
        )
        self._of: dict[tuple[str, str], Counter] = {}

    def answered(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Count one answered request and the seconds it took."""
        counter = self._of.get((endpoint, outcome))
        if counter is None:
            counter = self._of[endpoint, outcome] = self._requests.labels(endpoint, outcome)
        counter.inc()
        self._seconds.observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count one refused request."""
        self._rejected.labels(reason).inc()

    def written(self, records: Sequence[NewRecord]) -> None:
        """Count records that are in the log."""
        for record in records:
            self._records.labels(record.topic).inc()
