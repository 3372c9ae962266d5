"""The parts that act on what the board knows: telling people of alerts, and recording the end of overrides."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ringwatch.opening import make_data_folder
from ringwatch.parts import Parts
from schemas.log import Log
from schemas.settings import Settings
from sinks.alerts.notifier import Notifier
from sinks.feed.board import Board
from sinks.feed.overrides import end_allowances


def start_telling(settings: Settings, log: Log, board: Board, registry: CollectorRegistry, parts: Parts) -> Notifier:
    """Start the parts `notifications` and `overrides`.

    Args:
        settings: whom to tell, and the data folder.
        log: has alerts, silences and suppressions.
        board: knows the overrides.
        registry: gets the metrics.
        parts: what runs in the process.

    Raises:
        ConfigurationError: the data folder can't be made.
    """
    if settings.alerts.enabled:
        make_data_folder(settings)
    notifier = Notifier(
        log, settings.alerts, folder=settings.data, external_url=f"http://{settings.http}", registry=registry
    )
    parts.start("notifications", notifier.run)
    parts.start("overrides", lambda stop: end_allowances(board, log, stop))
    return notifier
