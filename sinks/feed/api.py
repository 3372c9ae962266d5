"""The API: the feed's routes beside those of others, and the page that documents them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from schemas.log import Log
from schemas.settings import Settings
from sinks.feed.board import Board
from sinks.feed.documents import document_routes
from sinks.feed.list_routes import list_routes
from sinks.feed.metrics import FeedCollector
from sinks.feed.override_routes import override_routes
from sinks.feed.parameters import Clock, wall_clock
from sinks.feed.reading_routes import alert_routes, rolling_routes
from sinks.feed.rolling import RollingView
from sinks.feed.service import TWILIO, Check, create_service
from sinks.feed.silence_routes import Silences, acknowledgement_routes, marks_of, silence_routes
from sinks.feed.stream import Streams
from sinks.feed.stream_routes import stream_routes
from sinks.feed.suppression_routes import opt_out_routes, suppression_routes

__all__ = ["TWILIO", "Check", "create_api"]


def create_api(
    *,
    settings: Settings,
    board: Board,
    rolling: RollingView | None,
    log: Log,
    registry: CollectorRegistry,
    readiness: Mapping[str, Check],
    extra_routes: Sequence[BaseRoute] = (),
    run_token: str | None = None,
    clock: Clock = wall_clock,
    silences: Silences | None = None,
) -> FastAPI:
    """Put the API together.

    The caller runs the board on the event loop that serves the API. Streams end when the board stops, so it is to be
    stopped before the server waits for its connections to close.

    Args:
        settings: the token, and how large a body may be.
        board: alerts and suppressions.
        rolling: windows of numbers and campaigns; None if this process has none.
        log: where opt-outs go, and where streams read what is long past.
        registry: what `/metrics` shows; the feed's own metrics are added to it.
        readiness: the checks that `/readyz` makes, by name.
        extra_routes: routes of others; those under `/twilio` are served without tokens, all others are guarded.
        run_token: a token for this run's own commands, beside the configured one.
        clock: the wall clock.
        silences: the silences that there are; None if this process does not know them.
    """
    streams = Streams()
    registry.register(FeedCollector(board, streams))
    api = create_service(
        settings=settings, registry=registry, readiness=readiness, extra_routes=extra_routes, run_token=run_token
    )
    for router in (
        alert_routes(board, lambda alert: marks_of(alert, silences, clock())),
        silence_routes(silences, log, clock),
        acknowledgement_routes(board, silences, log, clock),
        rolling_routes(rolling),
        suppression_routes(board, clock),
        override_routes(board, log, clock),
        opt_out_routes(log, clock),
        list_routes(log, limit=settings.limits.register_body_bytes),
        stream_routes(board, log, streams),
    ):
        api.include_router(router)
    api.router.routes.extend(document_routes(api.title, api.openapi))
    return api
