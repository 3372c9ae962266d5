"""The API: every route, its errors, and who may ask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.log import Log
from schemas.settings import Settings
from sinks.feed.access import AccessControl
from sinks.feed.board import Board
from sinks.feed.body import BodyLimit
from sinks.feed.documents import document_routes
from sinks.feed.metrics import FeedCollector
from sinks.feed.models import Health, Problem, Readiness
from sinks.feed.parameters import Clock, wall_clock
from sinks.feed.reading_routes import alert_routes, rolling_routes
from sinks.feed.rolling import RollingView
from sinks.feed.stream import Streams
from sinks.feed.stream_routes import stream_routes
from sinks.feed.suppression_routes import opt_out_routes, suppression_routes

TWILIO = "/twilio"
"""The paths that Twilio calls: signed by Twilio, and none of this API's business."""

Check = Callable[[], bool | str]
"""A readiness check: True if all is well, else False or why not, in words."""


class Api(FastAPI):
    """The API beside the gateway's routes, which pay for nothing of it."""

    gateway: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self.gateway is not None and scope["type"] == "http" and scope["path"].startswith(TWILIO + "/"):
            scope["app"] = self
            await self.gateway(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


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
    """
    refused: Counter[str] = Counter()
    streams = Streams()
    registry.register(FeedCollector(board, streams, refused))
    api = Api(
        title="ringwatch",
        summary="Alerts, suppressions and rolling call statistics of the company's own numbers.",
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        responses={422: {"model": Problem, "description": "A parameter that can't be used."}},
        exception_handlers={
            HTTPException: _refuse,
            RequestValidationError: _explain,
            Exception: _hide,
        },
    )
    token = settings.api_token.get_secret_value().strip() if settings.api_token is not None else ""
    api.add_middleware(BodyLimit, limit=settings.limits.body_bytes)
    api.add_middleware(
        AccessControl,
        tokens=tuple(one for one in (token, run_token) if one),
        # Behind a proxy every request comes from this machine, so where one is spoken of only a token counts.
        token_required=bool(token) or settings.public_url is not None or bool(settings.trusted_proxies),
        refused=refused,
    )
    gateway_routes = [route for route in extra_routes if _is_gateway(route)]
    if gateway_routes:
        api.gateway = ExceptionMiddleware(Router(gateway_routes), handlers={HTTPException: _refuse})
    api.router.routes.extend(route for route in extra_routes if not _is_gateway(route))
    for router in (
        alert_routes(board),
        rolling_routes(rolling),
        suppression_routes(board, clock),
        opt_out_routes(log, clock),
        stream_routes(board, log, streams),
        _state_routes(registry, readiness),
    ):
        api.include_router(router)
    api.router.routes.extend(document_routes(api.title, api.openapi))
    return api


def _state_routes(registry: CollectorRegistry, readiness: Mapping[str, Check]) -> APIRouter:
    router = APIRouter(tags=["state"])

    @router.get("/healthz", response_model=Health)
    async def healthz() -> Health:
        """Say that the service runs."""
        return Health(status="ok")

    @router.get("/readyz", response_model=Readiness, responses={503: {"model": Readiness}})
    async def readyz(response: Response) -> Readiness:
        """Say whether the service can do its work, and what it waits for."""
        found = {name: _check(check) for name, check in readiness.items()}
        ready = all(state is True for state in found.values())
        response.status_code = 200 if ready else 503
        return Readiness(
            status="ready" if ready else "not ready",
            checks={name: state if isinstance(state, str) else "ready" for name, state in found.items()},
        )

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    )
    async def metrics() -> Response:
        """Give all metrics in Prometheus' text format."""
        return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _check(check: Check) -> bool | str:
    try:
        return check() or "not ready"
    except Exception as error:  # noqa: BLE001 - a check that fails is an answer, and must not hide the others
        return f"the check itself failed: {type(error).__name__}"


def _is_gateway(route: BaseRoute) -> bool:
    path = route.path if isinstance(route, Route | Mount) else ""
    return path == TWILIO or path.startswith(TWILIO + "/")


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404 and detail == "Not Found":  # noqa: PLR2004 - HTTP's
        detail = "no such path; /docs lists them all"
    return JSONResponse({"detail": detail}, error.status_code, error.headers)


async def _explain(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"][1:]) or "body"
    return JSONResponse({"detail": f"{where}: {problem['msg']}"}, 422)


async def _hide(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "something went wrong here; the server's log says what"}, 500)
