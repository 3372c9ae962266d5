"""What every HTTP service of ringwatch has: who may ask, errors in words, health, readiness and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from schemas.do_not_call import IMPORT_PATH, REMOVAL_PATH
from schemas.settings import Settings
from sinks.feed.access import AccessControl
from sinks.feed.body import BodyLimit
from sinks.feed.metrics import RefusedCollector
from sinks.feed.models import Health, Problem, Readiness

TWILIO = "/twilio"
"""The paths that Twilio calls: signed by Twilio, and none of this API's business."""

LARGE_BODIES = ("/v1/register/", IMPORT_PATH, REMOVAL_PATH)
"""The paths whose routes take more than others, within `limits.register_body_bytes`."""


class Ready(msgspec.Struct, frozen=True):
    """All is well, and there is something to say about it."""

    words: str


Check = Callable[[], bool | str | Ready]
"""A readiness check: True or `Ready` if all is well, else False or why not, in words."""


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


def create_service(
    *,
    settings: Settings,
    registry: CollectorRegistry,
    readiness: Mapping[str, Check],
    extra_routes: Sequence[BaseRoute] = (),
    run_token: str | None = None,
) -> Api:
    """Make a service with `/healthz`, `/readyz` and `/metrics`, guarded as all of them are.

    Args:
        settings: the token, and how large a body may be.
        registry: what `/metrics` shows; a counter of refused requests is added to it.
        readiness: the checks that `/readyz` makes, by name.
        extra_routes: routes of others; those under `/twilio` are served without tokens, all others are guarded.
        run_token: a token for this run's own commands, beside the configured one.
    """
    refused: Counter[str] = Counter()
    registry.register(RefusedCollector(refused))
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
    api.add_middleware(BodyLimit, limit=settings.limits.body_bytes, own=LARGE_BODIES)
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
    api.include_router(_state_routes(registry, readiness))
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
        ready = all(isinstance(state, Ready) for state in found.values())
        response.status_code = 200 if ready else 503
        return Readiness(
            status="ready" if ready else "not ready",
            checks={name: state.words if isinstance(state, Ready) else state for name, state in found.items()},
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


def _check(check: Check) -> str | Ready:
    try:
        state = check()
    except Exception as error:  # noqa: BLE001 - a check that fails is an answer, and must not hide the others
        return f"the check itself failed: {type(error).__name__}"
    if isinstance(state, bool):
        return Ready("ready") if state else "not ready"
    return state or "not ready"


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
