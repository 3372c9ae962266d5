"""Do-not-call lists over HTTP: a whole list is taken, or none of it and the answer says so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.concurrency import run_in_threadpool

from schemas.do_not_call import (
    IMPORT_PATH,
    REMOVAL_PATH,
    DoNotCallList,
    list_of,
    read_contacts,
    read_json_contacts,
    record_of,
)
from schemas.log import Log, LogUnavailableError
from schemas.settings import ConfigurationError
from sinks.feed.models import ListImported, Problem
from sinks.feed.parameters import RETRY_AFTER, UNAVAILABLE

TOGETHER = 2_000
"""People written at once: their records are made in some milliseconds, for which other requests wait."""

_READERS: dict[str, Callable[[str, Iterable[bytes]], list[str]]] = {
    "text/csv": read_contacts,
    "text/plain": read_contacts,
    "application/x-ndjson": read_json_contacts,
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            media: {"schema": {"type": "string", "description": "One number a line, CSV with `contact`, or NDJSON."}}
            for media in _READERS
        },
    }
}
_Name = Annotated[str, Query(alias="list", description="The list's name.")]
_Day = Annotated[
    str, Query(description="The day from which it holds, or from which they are off it.", examples=["2026-11-23"])
]
_REFUSALS: dict[int | str, dict[str, Any]] = {
    413: {"description": "The body is too large."},
    415: {"description": "The body is none of the three."},
    422: {
        "model": Problem,
        "description": "Lines that can't be used, each with its number; nobody was opted out, or taken off.",
    },
}


def list_routes(log: Log, *, limit: int) -> APIRouter:
    """The routes that take do-not-call lists, and who is on them no longer.

    Args:
        log: where the opt-outs go.
        limit: the largest body, in bytes.
    """
    router = APIRouter(tags=["opt-outs"], responses=UNAVAILABLE)

    @router.post(IMPORT_PATH, status_code=202, response_model=ListImported, openapi_extra=_BODY, responses=_REFUSALS)
    async def import_list(request: Request, name: _Name, date: _Day) -> ListImported:
        """Opt out everybody on a list; the answer is 202 once all are on disk. Sent again it changes nothing."""
        return await take(request, name, date, removed=False)

    @router.post(REMOVAL_PATH, status_code=202, response_model=ListImported, openapi_extra=_BODY, responses=_REFUSALS)
    async def remove_from_list(request: Request, name: _Name, date: _Day) -> ListImported:
        """Take people off a list; other lists, and what they asked for themselves, stand. 202 once all are on disk."""
        return await take(request, name, date, removed=True)

    async def take(request: Request, name: str, day: str, *, removed: bool) -> ListImported:
        listed, contacts = await _read(request, name, day, limit)
        for start in range(0, len(contacts), TOGETHER):
            together = contacts[start : start + TOGETHER]
            try:
                await log.append([record_of(listed, contact, removed=removed) for contact in together])
            except LogUnavailableError:
                detail = f"only the first {start} of {len(contacts)} are on disk; send the whole list again"
                raise HTTPException(503, detail, RETRY_AFTER) from None
        return ListImported(accepted=True, list=listed.name, date=listed.day.isoformat(), contacts=len(contacts))

    return router


async def _read(request: Request, name: str, day: str, limit: int) -> tuple[DoNotCallList, list[str]]:
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    reader = _READERS.get(media)
    if reader is None:
        raise HTTPException(415, f"send the list as {', '.join(_READERS)}, and say so in Content-Type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            detail = f"the list is over {limit} bytes; send it in parts (limits.register_body_bytes allows more)"
            raise HTTPException(413, detail)
    try:
        return list_of(name, day), await run_in_threadpool(reader, "body", io.BytesIO(body))
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
