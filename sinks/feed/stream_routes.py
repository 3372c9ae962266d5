"""The route of the event stream."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, HTTPException, Query, Response

from schemas.alert import SubjectKind
from schemas.log import Log, LogUnavailableError, Positions
from sinks.feed.board import Board
from sinks.feed.cursor import CursorError, end_positions, read_cursor
from sinks.feed.events import Filter
from sinks.feed.models import Problem
from sinks.feed.parameters import RETRY_AFTER, UNAVAILABLE
from sinks.feed.stream import EventStreamResponse, Follower, Streams

_STREAM_EXAMPLE = 'event: alert\ndata: {"alert_id": "22a04f3a03d04bae", …}\nid: a7.0-s12.3\n\n'


def stream_routes(board: Board, log: Log, streams: Streams) -> APIRouter:
    """The route of the event stream."""
    router = APIRouter(prefix="/v1", tags=["stream"], responses=UNAVAILABLE)

    @router.get(
        "/stream",
        response_class=Response,
        responses={
            200: {
                "description": "Server-sent events `alert` and `suppression`; `data` is JSON as the lists show it, "
                'or `{"kind", "value", "lifted": true}` when nothing suppresses it any more.',
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM_EXAMPLE}},
            },
            400: {"model": Problem, "description": "Last-Event-ID is no cursor of this feed."},
        },
    )
    async def follow(
        last_event_id: Annotated[str | None, Header(description="The id of the last event that was seen.")] = None,
        start: Annotated[
            Literal["now", "beginning"],
            Query(alias="from", description="Where to start without Last-Event-ID."),
        ] = "now",
        rule: Annotated[list[str] | None, Query(description="Only these rules; liftings come all the same.")] = None,
        kind: Annotated[list[SubjectKind] | None, Query(description="Only subjects of these kinds.")] = None,
    ) -> Response:
        """Follow alerts and suppressions as they come, or from where Last-Event-ID left off."""
        if streams.full:
            raise HTTPException(503, f"{streams.limit} streams are open; close some, or come back later", RETRY_AFTER)
        try:
            ends = await end_positions(log)
        except LogUnavailableError:
            raise HTTPException(503, "the log can't be read now; come back later", RETRY_AFTER) from None
        try:
            positions = _start(last_event_id, start, ends)
        except CursorError as error:
            raise HTTPException(400, str(error)) from None
        wanted = Filter(frozenset(rule or ()), frozenset(kind or ()))
        return EventStreamResponse(Follower(board, log, positions), wanted, streams)

    return router


def _start(last_event_id: str | None, start: str, ends: Positions) -> Positions:
    if last_event_id:
        return read_cursor(last_event_id, ends)
    return ends if start == "now" else dict.fromkeys(ends, 0)
