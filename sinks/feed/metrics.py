"""The feed's own numbers among the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sinks.feed.board import Board
from sinks.feed.events import FEED_TOPICS
from sinks.feed.stream import Streams


class RefusedCollector(Collector):
    """Reads the counts of refused requests whenever somebody asks for metrics.

    Args:
        refused: requests refused, by cause.
    """

    def __init__(self, refused: Counter[str]) -> None:
        self._refused = refused

    def collect(self) -> Iterator[Metric]:
        """Give the counter as it stands."""
        refused = CounterMetricFamily("ringwatch_feed_refused", "Requests refused, by cause.", labels=["cause"])
        for cause, count in self._refused.items():
            refused.add_metric([cause], count)
        yield refused


class FeedCollector(Collector):
    """Reads the feed's counters whenever somebody asks for metrics.

    Args:
        board: counts records.
        streams: counts open streams.
    """

    def __init__(self, board: Board, streams: Streams) -> None:
        self._board = board
        self._streams = streams

    def collect(self) -> Iterator[Metric]:
        """Give each metric as it stands."""
        records = CounterMetricFamily("ringwatch_feed_records", "Records read by the feed.", labels=["topic"])
        unreadable = CounterMetricFamily(
            "ringwatch_feed_unreadable", "Records that the feed skipped because they can't be read.", labels=["topic"]
        )
        for topic in FEED_TOPICS:
            records.add_metric([topic], self._board.records[topic])
            unreadable.add_metric([topic], self._board.unreadable[topic])
        yield from (records, unreadable)
        yield CounterMetricFamily(
            "ringwatch_feed_log_retries", "Times the feed could not read the log.", value=self._board.retries
        )
        yield GaugeMetricFamily("ringwatch_feed_alerts", "Alerts held.", value=len(self._board.alerts))
        yield GaugeMetricFamily(
            "ringwatch_feed_suppressions", "Suppressions held.", value=len(self._board.suppressions)
        )
        yield GaugeMetricFamily("ringwatch_feed_streams", "Open event streams.", value=self._streams.open)
