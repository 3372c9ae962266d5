"""SQL over HTTP; who may ask is for the app around it."""

from __future__ import annotations

import asyncio
import io

import msgspec
import pyarrow as pa
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from sinks.history.errors import QueryError
from sinks.history.output import write_result
from sinks.history.query import is_truncated
from sinks.history.store import History

ARROW_STREAM = "application/vnd.apache.arrow.stream"

# A query that a person wrote is far shorter.
_BODY_BYTES = 256 * 1024


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request: the statement and how many rows may come back at most."""

    sql: str
    limit: int | None = None


_DOCUMENTED_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["sql"],
                    "additionalProperties": False,
                    "properties": {
                        "sql": {"type": "string", "description": "One reading statement."},
                        "limit": {"type": "integer", "minimum": 1, "description": "Rows to return at most."},
                    },
                }
            }
        },
    }
}
_ANSWER = {
    "description": "The rows, as `Accept` asks.",
    "content": {"application/json": {}, "text/csv": {}, ARROW_STREAM: {}},
}


def sql_routes(history: History, *, rows: int = 100_000, seconds: float = 30.0) -> list[BaseRoute]:
    """`POST /v1/sql`: JSON in, an Arrow IPC stream, CSV or JSON out, as `Accept` asks.

    A wrong body or query is answered 400 with `{"detail": …}`, a body too large 413. `X-Truncated: true` says that
    there were more rows than the limit.

    Args:
        history: answers the queries.
        rows: rows returned at most, whatever the request says.
        seconds: how long a query may run.
    """
    router = APIRouter(tags=["sql"])

    @router.post(
        "/v1/sql",
        response_class=Response,
        responses={200: _ANSWER, 400: {"description": "A body or query that can't be used."}},
        openapi_extra=_DOCUMENTED_BODY,
        name="sql",
    )
    async def ask(request: Request) -> Response:
        """Answer one reading statement over the history; nothing can be written, and no file be read, through it."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _BODY_BYTES:
                return JSONResponse({"detail": f"body: over {_BODY_BYTES} bytes; shorten the query"}, 413)
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return JSONResponse({"detail": f'body: {error}; send {{"sql": "SELECT …", "limit": 100}}'}, 400)
        limit = rows if question.limit is None else min(question.limit, rows)
        try:
            return await asyncio.to_thread(
                _answer, history, question.sql, limit, seconds, request.headers.get("accept")
            )
        except QueryError as error:
            return JSONResponse({"detail": str(error)}, 400)

    return router.routes


def _answer(history: History, sql: str, limit: int, seconds: float, accept: str | None) -> Response:
    result = history.query(sql, limit, seconds)
    body = io.BytesIO()
    wanted = (accept or "").lower()
    if ARROW_STREAM in wanted:
        media = ARROW_STREAM
        with pa.ipc.new_stream(body, result.schema) as writer:
            writer.write_table(result)
    elif "text/csv" in wanted:
        media = "text/csv"
        write_result(result, "csv", body)
    else:
        media = "application/json"
        write_result(result, "json", body)
    return Response(body.getvalue(), media_type=media, headers={"X-Truncated": str(is_truncated(result)).lower()})
