"""Alerts, numbers and campaigns: what may be read as pages and one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query

from schemas.alert import Alert, AlertState, SubjectKind
from sinks.feed.alerts import AlertPosition
from sinks.feed.board import Board
from sinks.feed.models import (
    AlertDetail,
    AlertPage,
    Marks,
    RollingModel,
    RollingPage,
    alert_detail,
    alert_model,
    rolling_model,
)
from sinks.feed.parameters import (
    NOT_FOUND,
    UNAVAILABLE,
    After,
    Limit,
    Since,
    as_number,
    ready_board,
    since_ms,
)
from sinks.feed.rolling import RollingView, SubjectView


def alert_routes(board: Board, marks: Callable[[Alert], Marks | None]) -> APIRouter:
    """The routes of alerts.

    Args:
        board: the alerts.
        marks: what people said of an alert; None if that is not known.
    """
    router = APIRouter(prefix="/v1/alerts", tags=["alerts"], responses=UNAVAILABLE)

    @router.get("", response_model=AlertPage)
    async def list_alerts(
        state: Annotated[list[AlertState] | None, Query(description="May be given more than once.")] = None,
        rule: Annotated[list[str] | None, Query(description="May be given more than once.")] = None,
        kind: Annotated[SubjectKind | None, Query(description="Kind of the subject.")] = None,
        value: Annotated[str | None, Query(description="The subject: a number, a campaign, …")] = None,
        campaign: Annotated[str | None, Query(description="A campaign's own alerts and its numbers'.")] = None,
        since: Since = None,
        limit: Limit = 100,
        after: After = None,
    ) -> AlertPage:
        """List the alerts as they stand, newest transition first."""
        ready_board(board)
        values = None if value is None else {value, as_number(value)}
        earliest = since_ms(since)

        def wanted(alert: Alert) -> bool:
            return (
                (not state or alert.state in state)
                and (not rule or alert.rule in rule)
                and (kind is None or alert.subject.kind is kind)
                and (values is None or alert.subject.value in values)
                and (campaign is None or _of_campaign(alert, campaign))
                and (earliest is None or alert.at >= earliest)
            )

        found, position = board.alerts.page(wanted, _read_position(after), limit)
        following = None if position is None else f"{position[0]}-{position[1]}"
        return AlertPage(items=[alert_model(alert, marks(alert)) for alert in found], next=following)

    @router.get("/{alert_id}", response_model=AlertDetail, responses=NOT_FOUND)
    async def get_alert(alert_id: str) -> AlertDetail:
        """Give one alert as it stands, with its transitions."""
        ready_board(board)
        held = board.alerts.get(alert_id)
        if held is None:
            raise HTTPException(
                404, f"no alert {alert_id!r} here; /v1/alerts lists them, older ones are in the history"
            )
        return alert_detail(held, marks(held.current))

    return router


def rolling_routes(rolling: RollingView | None) -> APIRouter:
    """The routes of numbers and campaigns."""
    router = APIRouter(prefix="/v1", tags=["rolling windows"], responses=UNAVAILABLE)

    def view() -> RollingView:
        if rolling is None:
            raise HTTPException(503, "rolling windows are not kept by this process; ask the one that runs the worker")
        return rolling

    @router.get("/numbers", response_model=RollingPage)
    async def list_numbers(
        campaign: Annotated[str | None, Query(description="Only this campaign's numbers.")] = None,
        limit: Limit = 100,
        after: After = None,
    ) -> RollingPage:
        """List the company's own numbers with their rolling windows."""
        start = None if after is None else as_number(after)
        return await _page(lambda past, count: view().numbers(past, count, campaign), start, limit)

    @router.get("/numbers/{number:path}", response_model=RollingModel, responses=NOT_FOUND)
    async def get_number(number: str) -> RollingModel:
        """Give one of the company's own numbers with its rolling windows."""
        written = as_number(number)
        found = view().number(written)
        if found is None:
            raise HTTPException(404, f"no calls from {written!r} yet; write numbers as E.164, or see /v1/numbers")
        return rolling_model(found)

    @router.get("/campaigns", response_model=RollingPage)
    async def list_campaigns(limit: Limit = 100, after: After = None) -> RollingPage:
        """List the campaigns with their rolling windows."""
        return await _page(lambda past, count: view().campaigns(past, count), after, limit)

    @router.get("/campaigns/{campaign:path}", response_model=RollingModel, responses=NOT_FOUND)
    async def get_campaign(campaign: str) -> RollingModel:
        """Give one campaign with its rolling windows."""
        found = view().campaign(campaign)
        if found is None:
            raise HTTPException(404, f"no calls of campaign {campaign!r} yet; /v1/campaigns lists those that have some")
        return rolling_model(found)

    return router


# Reading a subject takes some tenths of a millisecond; between so many of them others get their turn.
_SUBJECTS_A_TURN = 20


async def _page(read: Callable[[str | None, int], Sequence[SubjectView]], after: str | None, limit: int) -> RollingPage:
    # One more than asked for tells whether there is a next page.
    found: list[SubjectView] = []
    while len(found) <= limit:
        wanted = min(_SUBJECTS_A_TURN, limit + 1 - len(found))
        more = read(found[-1].value if found else after, wanted)
        found += more
        if len(more) < wanted:
            break
        await asyncio.sleep(0)
    following = found[limit - 1].value if len(found) > limit else None
    return RollingPage(items=[rolling_model(view) for view in found[:limit]], next=following)


def _of_campaign(alert: Alert, campaign: str) -> bool:
    if alert.subject.kind is SubjectKind.CAMPAIGN:
        return alert.subject.value == campaign
    return alert.evidence.get("campaign") == campaign


def _read_position(after: str | None) -> AlertPosition | None:
    if after is None:
        return None
    at, dash, alert_id = after.partition("-")
    if not dash or not alert_id or not (at.isascii() and at.isdecimal()):
        raise HTTPException(422, "after: give `next` of the page before as it came, or leave it out")
    return int(at), alert_id
