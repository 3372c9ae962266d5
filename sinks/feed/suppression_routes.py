"""Suppressions and opt-outs: what a dialer asks before a call, and what it tells after one."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import secrets
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, Response
from starlette.responses import StreamingResponse

from schemas.alert import Subject, SubjectKind
from schemas.log import Log, LogUnavailableError, NewRecord
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.times import to_iso
from schemas.topics import OPTOUTS
from sinks.feed.board import Board
from sinks.feed.models import OptOutAccepted, OptOutRequest, SuppressionPage, Verdict, suppression_model
from sinks.feed.parameters import (
    RETRY_AFTER,
    UNAVAILABLE,
    After,
    Clock,
    Limit,
    Since,
    as_number,
    lacks_plus,
    ready_board,
    since_ms,
)
from sinks.feed.suppressions import HeldSuppression

CSV_COLUMNS = ("kind", "value", "rule", "alert_id", "at", "until", "reason")
# Rows written between two turns of the event loop: some milliseconds of work.
_CSV_ROWS = 500

Kind = Annotated[SubjectKind | None, Query(description="Only suppressions of this kind.")]


def suppression_routes(board: Board, clock: Clock) -> APIRouter:
    """The routes of suppressions."""
    router = APIRouter(prefix="/v1", tags=["suppressions"], responses=UNAVAILABLE)
    # Positions of a log say nothing about its contents after a restart on another one; a name for each run does.
    run = secrets.token_hex(4)

    def tag(request: Request, now: int) -> str:
        query = hashlib.sha256(f"{request.url.path}?{request.url.query}".encode()).hexdigest()[:12]
        return f'"{run}-{board.suppressions.state(now)}-{query}"'

    @router.get(
        "/suppressions",
        response_model=SuppressionPage,
        responses={304: {"description": "Nothing changed since the ETag that If-None-Match names."}},
    )
    async def list_suppressions(
        request: Request,
        response: Response,
        kind: Kind = None,
        rule: Annotated[list[str] | None, Query(description="May be given more than once.")] = None,
        value: Annotated[str | None, Query(description="One number or contact.")] = None,
        since: Since = None,
        limit: Limit = 100,
        after: After = None,
    ) -> SuppressionPage | Response:
        """List the suppressions that hold now; to poll, give the ETag of the last answer as If-None-Match."""
        ready_board(board)
        now = clock()
        headers = {"ETag": tag(request, now), "Cache-Control": "no-cache"}
        if _unchanged(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        response.headers.update(headers)
        values = None if value is None else {value, as_number(value)}
        earliest = since_ms(since)

        def wanted(held: HeldSuppression) -> bool:
            return (
                (kind is None or held.kind is kind)
                and (not rule or held.rule in rule)
                and (values is None or held.value in values)
                and (earliest is None or held.at >= earliest)
            )

        found, following = board.suppressions.page(wanted, now, _read_after(after), limit)
        return SuppressionPage(items=[suppression_model(one) for one in found], next=following)

    @router.get(
        "/suppressions.csv",
        response_class=Response,
        responses={
            200: {"description": "All that hold now, as CSV with a header line.", "content": {"text/csv": {}}},
            304: {"description": "Nothing changed since the ETag that If-None-Match names."},
        },
    )
    async def export_suppressions(request: Request, kind: Kind = None) -> Response:
        """Give all suppressions that hold now as CSV."""
        ready_board(board)
        now = clock()
        headers = {
            "ETag": tag(request, now),
            "Cache-Control": "no-cache",
            "Content-Disposition": 'attachment; filename="suppressions.csv"',
        }
        if _unchanged(request, headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return StreamingResponse(_csv(board, kind, now), media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/suppressions/{kind}/{value:path}", response_model=Verdict)
    async def get_suppression(kind: SubjectKind, value: str) -> Verdict:
        """Say whether a number or contact is suppressed now; one that nobody knows is not."""
        ready_board(board)
        return _verdict(board, kind, value, clock())

    return router


def opt_out_routes(log: Log, clock: Clock) -> APIRouter:
    """The route by which dialers and other programs report opt-outs."""
    router = APIRouter(prefix="/v1", tags=["opt-outs"], responses=UNAVAILABLE)

    @router.post("/optouts", status_code=202, response_model=OptOutAccepted)
    async def post_opt_out(request: OptOutRequest) -> OptOutAccepted:
        """Take an opt-out; the answer is 202 once it is on disk."""
        now = clock()
        opt_out = OptOut(
            contact=request.contact,
            opted_out=True,
            source=OptOutSource(request.source),
            channel=Channel.VOICE,
            at=now,
            campaign=request.campaign,
            said=request.said,
            endpoint="/v1/optouts",
        )
        record = NewRecord(OPTOUTS.name, opt_out.contact.encode(), opt_out.encode(), timestamp=now)
        try:
            await log.append([record])
        except LogUnavailableError:
            raise HTTPException(503, "the opt-out could not be written to disk; send it again", RETRY_AFTER) from None
        return OptOutAccepted(accepted=True, contact=opt_out.contact, at=to_iso(now))

    return router


def _verdict(board: Board, kind: SubjectKind, value: str, now: int) -> Verdict:
    telephone = kind in {SubjectKind.NUMBER, SubjectKind.CONTACT}
    written = as_number(value) if telephone else value
    spellings = [written, f"+{written}"] if telephone and lacks_plus(written) else [written]
    for spelling in spellings:
        standing = board.suppressions.standing(Subject(kind, spelling), now)
        if standing.verdict is None and standing.override is None:
            continue
        shown: dict[str, object] = {"kind": kind, "value": spelling}
        if standing.verdict is not None:
            shown = standing.verdict.as_public()
        override = None if standing.override is None else standing.override.as_override()
        return Verdict.model_validate(shown | {"suppressed": standing.suppressed, "overridden_by": override})
    if len(spellings) > 1:
        # Answering "not suppressed" here would clear a call because of a spelling.
        raise HTTPException(422, f"value: write {written} as E.164 with its +, e.g. +12025550123")
    return Verdict(suppressed=False, kind=kind, value=written)


def _unchanged(request: Request, tag: str) -> bool:
    named = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    return tag in named or named == ["*"]


def _read_after(after: str | None) -> str | None:
    if after is None:
        return None
    kind, colon, value = after.partition(":")
    if not colon or kind not in set(SubjectKind):
        raise HTTPException(422, "after: give `next` of the page before as it came, or leave it out")
    return f"{kind}:+{value[1:]}" if value.startswith(" ") else after


async def _csv(board: Board, kind: SubjectKind | None, now: int) -> AsyncGenerator[str, None]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    count = 0
    for held in board.suppressions.all(now):
        if kind is not None and held.kind is not kind:
            continue
        shown = held.decode().as_public()
        writer.writerow("" if shown[column] is None else shown[column] for column in CSV_COLUMNS)
        count += 1
        if count % _CSV_ROWS == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
            await asyncio.sleep(0)
    yield buffer.getvalue()
