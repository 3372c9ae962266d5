from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.routing import Route

from schemas.alert import AlertState
from schemas.register import Register
from schemas.settings import Settings
from sinks.feed.api import create_api
from sinks.feed.board import Board
from sinks.feed.documents import document_routes
from sinks.feed.models import AlertPage, OptOutAccepted, RollingModel, Verdict
from sinks.feed.rolling import WINDOWS
from sinks.history.routes import sql_routes
from sinks.history.store import History
from streams.ingest.gateway import gateway_routes
from streams.ingest.gateway_metrics import GatewayMetrics
from streams.ingest.register_files import RegisterFiles
from streams.ingest.register_routes import register_routes
from streams.ingest.terms import CurrentTerms
from streams.transports.local.log import LocalLog


def served(folder: Path) -> set[tuple[str, str]]:
    """Method and path of everything that `ringwatch up` serves, but for the files of the page."""
    settings = Settings.model_construct()
    registry = CollectorRegistry()
    log = LocalLog.open(folder / "log")
    history = History.open(folder / "history.duckdb")
    try:
        extra = [
            *gateway_routes(
                settings, CurrentTerms(settings, Register()), log, insecure=True, metrics=GatewayMetrics(registry)
            ),
            *register_routes(RegisterFiles(settings), limit=settings.limits.register_body_bytes),
            *sql_routes(history),
        ]
        api = create_api(
            settings=settings,
            board=Board(log),
            rolling=None,
            log=log,
            registry=registry,
            readiness={},
            extra_routes=extra,
        )
        found = {(method.upper(), path) for path, methods in api.openapi()["paths"].items() for method in methods}
        assert api.openapi_url is not None
        found.add(("GET", api.openapi_url))
        for route in [*extra, *document_routes(api.title, api.openapi)]:
            if isinstance(route, Route):
                found |= {(method, route.path) for method in (route.methods or set()) - {"HEAD"}}
    finally:
        history.close()
        log.close()
    return found


def test_every_path_is_documented(page: Callable[[str], Any], tmp_path: Path) -> None:
    """docs/api.md lists every method and path that is served, and no others."""
    rows = page("docs/api.md").table("method", "path", "what")
    documented = {(method, row[1].strip("`")) for row in rows for method in row[0].split(", ")}
    paths = {(method, path.replace(":path}", "}")) for method, path in served(tmp_path)}
    assert documented == paths


def test_the_answers_shown_fit_the_models(page: Callable[[str], Any]) -> None:
    """The example answers of docs/api.md are what the API's own models take."""
    shown = [json.loads(block) for block in page("docs/api.md").fenced("json")]
    alerts = [one for one in shown if isinstance(one, dict) and "items" in one]
    assert [item.state for one in alerts for item in AlertPage.model_validate(one).items] == [AlertState.FIRING]
    [rolling] = [one for one in shown if isinstance(one, dict) and "windows" in one]
    assert set(RollingModel.model_validate(rolling).windows) < set(WINDOWS)
    [verdict] = [one for one in shown if isinstance(one, dict) and "suppressed" in one]
    assert Verdict.model_validate(verdict).suppressed
    [accepted] = [one for one in shown if isinstance(one, dict) and "accepted" in one]
    assert OptOutAccepted.model_validate(accepted).contact == verdict["value"]


def test_every_metric_is_documented(page: Callable[[str], Any], told: Any) -> None:
    """docs/operations.md lists every metric of ringwatch's own with its type and labels, and no others."""
    exported = dict(re.findall(r"^# TYPE (ringwatch_\w+) (\w+)$", told.metrics, re.MULTILINE))
    exported = {name: kind for name, kind in exported.items() if not name.endswith("_created")}
    rows = page("docs/operations.md").table("metric", "type", "labels", "meaning")
    assert {row[0].strip("`"): row[1] for row in rows} == exported
    for name, _, labels, _ in rows:
        samples = re.findall(rf"^{name.strip('`')}(?:_count)?\{{(.*?)\}} ", told.metrics, re.MULTILINE)
        for sample in samples:
            assert re.findall(r"(\w+)=", sample) == re.findall(r"`(\w+)`", labels), name


def test_the_curl_commands_ask_for_paths_that_are(pages: list[Any], tmp_path: Path) -> None:
    """Each curl command of the documentation names a path that is served."""
    paths = {re.sub(r"\{[^}]*\}", "[^/]+", path.replace(".", r"\.")) for _, path in served(tmp_path)}
    shown = [
        (page.path.name, path)
        for page in pages
        for block in page.fenced("sh")
        for path in re.findall(r"http://127\.0\.0\.1:8080(/[^\s'?]*)", block)
    ]
    assert len(shown) > 8
    for name, path in shown:
        assert any(re.fullmatch(pattern, path) for pattern in paths), f"{name}: {path}"
