"""Silences and acknowledgements: what a person says to be left alone."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, HTTPException, Query

from schemas.alert import Alert, AlertState, SubjectKind
from schemas.log import Log, LogUnavailableError, NewRecord
from schemas.silence import Matchers, Silence
from schemas.topics import SILENCES
from sinks.alerts.states import labels_of
from sinks.feed.board import Board
from sinks.feed.models import Marks, Problem
from sinks.feed.parameters import NOT_FOUND, RETRY_AFTER, UNAVAILABLE, Clock, as_number, end_of, moment, ready_board
from sinks.feed.person_models import AcknowledgementRequest, Author, SilenceList, SilenceModel, SilenceRequest

Silences = Callable[[], Mapping[str, Silence] | None]
"""Gives the silences by id; None while they are still being read."""


def silence_routes(silences: Silences | None, log: Log, clock: Clock) -> APIRouter:
    """The routes of silences.

    Args:
        silences: those that there are; None if this process does not know them.
        log: where they are kept.
        clock: the wall clock.
    """
    router = APIRouter(prefix="/v1", tags=["silences"], responses=UNAVAILABLE)

    @router.get("/silences", response_model=SilenceList)
    async def list_silences(
        state: Annotated[
            list[Literal["pending", "active", "expired"]] | None, Query(description="May be given more than once.")
        ] = None,
    ) -> SilenceList:
        """List the silences and acknowledgements, the latest first; expired ones for five days."""
        now = clock()
        wanted = [one for one in _known(silences).values() if not state or one.state(now) in state]
        wanted.sort(key=lambda one: (one.created_at, one.silence_id), reverse=True)
        return SilenceList(items=[_model(one, now) for one in wanted])

    @router.post("/silences", status_code=201, response_model=SilenceModel)
    async def post_silence(request: SilenceRequest) -> SilenceModel:
        """Keep alerts from being told until a time; 201 means that it is on disk, and it holds within a second."""
        now = clock()
        starts_at = now if request.starts_at is None else moment("starts_at", request.starts_at)
        ends_at = end_of("ends_at", request.ends_at, request.hours, max(now, starts_at))
        if ends_at is None:
            raise HTTPException(422, "ends_at: missing; a silence has an end, give ends_at or hours")
        asked = request.matchers
        value = asked.value
        if value is not None and asked.kind in {SubjectKind.NUMBER, SubjectKind.CONTACT}:
            value = as_number(value)
        matchers = Matchers(asked.rule, None if asked.kind is None else asked.kind.value, value, asked.campaign)
        return await _keep(log, clock, _new(matchers, starts_at, ends_at, request.author, request.comment, now))

    @router.delete("/silences/{silence_id}", response_model=SilenceModel, responses=NOT_FOUND)
    async def end_silence(
        silence_id: str, author: Annotated[Author, Query(description="Who ends it.")]
    ) -> SilenceModel:
        """End a silence or an acknowledgement before its time."""
        now = clock()
        silence = _known(silences).get(silence_id)
        if silence is None:
            raise HTTPException(404, f"no silence {silence_id!r}; /v1/silences lists them")
        if silence.state(now) == "expired":
            return _model(silence, now)
        return await _keep(log, clock, msgspec.structs.replace(silence, ends_at=now, ended_by=author))

    return router


def acknowledgement_routes(board: Board, silences: Silences | None, log: Log, clock: Clock) -> APIRouter:
    """The route of acknowledgements.

    Args:
        board: knows the alerts.
        silences: those that there are; None if this process does not know them.
        log: where acknowledgements are kept.
        clock: the wall clock.
    """
    router = APIRouter(prefix="/v1", tags=["silences"], responses=UNAVAILABLE)

    @router.post(
        "/alerts/{alert_id}/acknowledgement",
        status_code=201,
        response_model=SilenceModel,
        responses=NOT_FOUND | {409: {"model": Problem, "description": "The alert has resolved."}},
    )
    async def acknowledge(alert_id: str, request: AcknowledgementRequest) -> SilenceModel:
        """Say that somebody looks after an alert: it is not repeated, and told once more when it resolves."""
        ready_board(board)
        now = clock()
        held = board.alerts.get(alert_id)
        if held is None:
            raise HTTPException(404, f"no alert {alert_id!r} here; /v1/alerts lists them")
        if held.current.state is AlertState.RESOLVED:
            raise HTTPException(409, "the alert has resolved; there is nothing to acknowledge")
        for silence in _known(silences).values():
            if silence.matchers.alert_id == alert_id and silence.holds(now):
                return _model(silence, now)
        return await _keep(
            log, clock, _new(Matchers(alert_id=alert_id), now, None, request.author, request.comment, now)
        )

    return router


def marks_of(alert: Alert, silences: Silences | None, now: int) -> Marks | None:
    """Say who looks after an alert, and which silences keep it from being told; None if that is not known.

    Args:
        alert: as it stands.
        silences: those that there are.
        now: milliseconds since the epoch.
    """
    known = silences() if silences is not None else None
    if known is None:
        return None
    holding = [one for one in known.values() if one.holds(now) and alert.state is not AlertState.RESOLVED]
    labels = labels_of(alert) | {"alert_id": alert.alert_id}
    found = [one for one in holding if one.matchers.match(labels)]
    return {
        "acknowledged_by": next((one.author for one in found if one.acknowledges), None),
        "silenced_by": sorted(one.silence_id for one in found if not one.acknowledges),
    }


def _known(silences: Silences | None) -> Mapping[str, Silence]:
    found = silences() if silences is not None else None
    if found is None:
        raise HTTPException(503, "silences are still being read from the log; ask again", RETRY_AFTER)
    return found


async def _keep(log: Log, clock: Clock, silence: Silence) -> SilenceModel:
    record = NewRecord(SILENCES.name, silence.silence_id.encode(), silence.encode(), timestamp=clock())
    try:
        await log.append([record])
    except LogUnavailableError:
        raise HTTPException(503, "it could not be written to disk; send it again", RETRY_AFTER) from None
    return _model(silence, clock())


def _new(
    matchers: Matchers, starts_at: int, ends_at: int | None, author: str, comment: str, created_at: int
) -> Silence:
    return Silence(
        silence_id=secrets.token_hex(8),
        matchers=matchers,
        starts_at=starts_at,
        ends_at=ends_at,
        author=author,
        comment=comment,
        created_at=created_at,
    )


def _model(silence: Silence, now: int) -> SilenceModel:
    return SilenceModel.model_validate(silence.as_public(now))
