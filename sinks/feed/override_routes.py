"""Overrides: a person's word on a number or contact, which wins over every rule and is recorded."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query

from schemas.alert import Subject, SubjectKind
from schemas.log import Headers, Log, LogUnavailableError, NewRecord
from schemas.suppression import OVERRIDE, Suppression, suppression_key, words_header
from schemas.topics import SUPPRESSIONS
from sinks.feed.board import Board
from sinks.feed.parameters import (
    NOT_FOUND,
    RETRY_AFTER,
    UNAVAILABLE,
    Clock,
    as_number,
    end_of,
    lacks_plus,
    ready_board,
)
from sinks.feed.person_models import Author, OverrideList, OverrideRequest, SubjectOverride

Suppressible = Literal[SubjectKind.NUMBER, SubjectKind.CONTACT]


def override_routes(board: Board, log: Log, clock: Clock) -> APIRouter:
    """The routes of overrides.

    Args:
        board: knows those that hold.
        log: where they are kept.
        clock: the wall clock.
    """
    router = APIRouter(prefix="/v1", tags=["suppressions"], responses=UNAVAILABLE)

    async def keep(subject: Subject, value: bytes | None, headers: Headers) -> None:
        key = suppression_key(subject, OVERRIDE)
        record = NewRecord(SUPPRESSIONS.name, key, value, timestamp=clock(), headers=headers)
        try:
            await log.append([record])
        except LogUnavailableError:
            raise HTTPException(503, "it could not be written to disk; send it again", RETRY_AFTER) from None

    def next_moment(subject: Subject) -> int:
        # Two words on a subject are told apart by their times, also where the clock was set back between them.
        return max(clock(), board.suppressions.last_word_at(subject) + 1)

    @router.get("/overrides", response_model=OverrideList)
    async def list_overrides() -> OverrideList:
        """List the words of people that hold now, be it that they allow or that they suppress."""
        ready_board(board)
        return OverrideList(items=[_model(one) for one in board.suppressions.overrides(clock())])

    @router.post("/suppressions/{kind}/{value:path}", status_code=201, response_model=SubjectOverride)
    async def post_override(kind: Suppressible, value: str, request: OverrideRequest) -> SubjectOverride:
        """Suppress a number or contact, or allow it whatever the rules say; 201 means that it is on disk."""
        ready_board(board)
        subject = _subject(kind, value)
        now = clock()
        at = next_moment(subject)
        until = end_of("until", request.until, request.hours, now)
        override = Suppression(
            subject=subject,
            rule=OVERRIDE,
            alert_id="",
            at=now,
            until=until,
            reason=request.reason,
            evidence={"author": request.author, "allow": request.allow},
            allows=request.allow,
            author=request.author,
        )
        await keep(subject, override.encode(), words_header(request.author, at))
        return _model(override)

    @router.delete("/suppressions/{kind}/{value:path}", response_model=SubjectOverride, responses=NOT_FOUND)
    async def end_override(
        kind: Suppressible, value: str, author: Annotated[Author, Query(description="Who ends it.")]
    ) -> SubjectOverride:
        """End a person's word on a number or contact; what the rules say holds again."""
        ready_board(board)
        subject = _subject(kind, value)
        word = board.suppressions.word(subject)
        if word is None or not word.holds(clock()):
            raise HTTPException(
                404, f"nobody's word holds for {subject.value!r}; /v1/overrides lists them, and rules end by themselves"
            )
        await keep(subject, None, words_header(author, next_moment(subject)))
        return _model(word.decode())

    return router


def _subject(kind: SubjectKind, value: str) -> Subject:
    written = as_number(value)
    if lacks_plus(written):
        raise HTTPException(422, f"value: write {written} as E.164 with its +, e.g. +12025550123")
    return Subject(kind, written)


def _model(override: Suppression) -> SubjectOverride:
    subject = override.subject
    return SubjectOverride.model_validate(override.as_override() | {"kind": subject.kind, "value": subject.value})
