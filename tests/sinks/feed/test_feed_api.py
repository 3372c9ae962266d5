"""What holds for all of the API: refusals, readiness, its description, metrics."""

from __future__ import annotations

import asyncio
import json
import re
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sinks.feed.documents import as_openapi_3_0
from sinks.feed.service import Ready

ROUTES = {
    "/v1/alerts": {"get": "200"},
    "/v1/alerts/{alert_id}": {"get": "200"},
    "/v1/alerts/{alert_id}/acknowledgement": {"post": "201"},
    "/v1/silences": {"get": "200", "post": "201"},
    "/v1/silences/{silence_id}": {"delete": "200"},
    "/v1/numbers": {"get": "200"},
    "/v1/numbers/{number}": {"get": "200"},
    "/v1/campaigns": {"get": "200"},
    "/v1/campaigns/{campaign}": {"get": "200"},
    "/v1/suppressions": {"get": "200"},
    "/v1/suppressions/{kind}/{value}": {"get": "200", "post": "201", "delete": "200"},
    "/v1/suppressions.csv": {"get": "200"},
    "/v1/overrides": {"get": "200"},
    "/v1/optouts": {"post": "202"},
    "/v1/optouts/import": {"post": "202"},
    "/v1/optouts/remove": {"post": "202"},
    "/v1/stream": {"get": "200"},
    "/healthz": {"get": "200"},
    "/readyz": {"get": "200"},
    "/metrics": {"get": "200"},
}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/alerts?limit=0",
        "/v1/alerts?limit=5000",
        "/v1/alerts?state=burning",
        "/v1/alerts?since=yesterday",
        "/v1/alerts?since=2026-11-23T14:00:00",
        "/v1/alerts?since=%F0%9F%98%80",
        "/v1/alerts?after=x",
        "/v1/alerts?after=%D9%A3-x",
        "/v1/suppressions?after=x",
        "/v1/suppressions?kind=person",
        "/v1/stream?from=yesterday",
        "/v1/stream?kind=person",
    ],
)
def test_wrong_parameters_get_one_clear_sentence(feed: SimpleNamespace, path: str) -> None:
    """422 and a line that begins with the parameter's name."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            answer = await client.get(path)
            assert answer.status_code == 422
            name = re.search(r"\?(\w+)=", path)
            assert name is not None
            assert answer.json()["detail"].startswith(name[1])

    asyncio.run(scenario())


def test_nothing_is_answered_before_the_log_was_read(feed: SimpleNamespace) -> None:
    """Until the board has caught up, "not suppressed" would be a guess: 503, and readiness says what it waits for."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        log.away = True
        async with feed.running(log, wait=False) as service, service.client() as client:
            for path in ("alerts", "alerts/x", "suppressions", "suppressions.csv", "suppressions/contact/+12025550123"):
                answer = await client.get(f"/v1/{path}")
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "1"
            await feed.soon(lambda: service.board.retries > 0)
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json() == {
                "status": "not ready",
                "checks": {"feed": "the log can't be read: the disk is full"},
            }
            assert (await client.get("/healthz")).json() == {"status": "ok"}

    asyncio.run(scenario())


def test_readiness_tells_every_check_in_words(feed: SimpleNamespace) -> None:
    """200 only if every check is True or says Ready; words, False and a check that fails all mean not ready."""

    def broken() -> bool:
        raise RuntimeError("secret path")

    async def scenario() -> None:
        state: dict[str, bool | str] = {"log": True, "worker": "recovering tables"}
        checks = {"log": lambda: state["log"], "worker": lambda: state["worker"], "history": broken}
        async with feed.running(feed.MemoryLog(), readiness=checks) as service, service.client() as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"] == {
                "log": "ready",
                "worker": "recovering tables",
                "history": "the check itself failed: RuntimeError",
            }
        async with (
            feed.running(feed.MemoryLog(), readiness={"log": lambda: True}) as service,
            service.client() as client,
        ):
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"log": "ready"}})
        async with (
            feed.running(feed.MemoryLog(), readiness={"log": lambda: False}) as service,
            service.client() as client,
        ):
            assert (await client.get("/readyz")).json()["checks"] == {"log": "not ready"}
        async with (
            feed.running(feed.MemoryLog(), readiness={"worker": lambda: Ready("idle")}) as service,
            service.client() as client,
        ):
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"worker": "idle"}})

    asyncio.run(scenario())


def test_openapi_names_every_route_with_its_answer(feed: SimpleNamespace) -> None:
    """The document has each route, a schema for each JSON answer, and one shape for refusals."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            document = (await client.get("/openapi.json")).json()
            assert document["openapi"].startswith("3.1")
            paths = {path.replace(":path}", "}"): set(methods) for path, methods in document["paths"].items()}
            assert paths == {path: set(methods) for path, methods in ROUTES.items()}
            for path, method, status in ((path, *one) for path, all_ in ROUTES.items() for one in all_.items()):
                operation = document["paths"][path][method]
                assert operation["description"]
                success = operation["responses"][status]["content"]
                if "application/json" in success:
                    assert "$ref" in success["application/json"]["schema"]
                refused = operation["responses"].get("422")
                if refused:
                    schema = refused["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}

    asyncio.run(scenario())


def test_docs_work_without_a_network(feed: SimpleNamespace) -> None:
    """The page loads files of this server alone, and a document of the version that its viewer reads."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            page = await client.get("/docs")
            assert "default-src 'self'" in page.headers["content-security-policy"]
            assert "://" not in page.text
            for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
                file = await client.get(path)
                assert file.status_code == 200
                assert len(file.content) > 100
            older = (await client.get("/docs/openapi.json")).json()
            assert older["openapi"] == "3.0.3"
            assert older["paths"].keys() == service.api.openapi()["paths"].keys()
            text = json.dumps(older)
            assert '"type": "null"' not in text
            assert '"const"' not in text
            assert (await client.get("/docs/files/../api.py")).status_code == 404

    asyncio.run(scenario())


def test_openapi_3_0_keeps_references_nullable() -> None:
    """A reference that may be null, and a constant, keep their meaning in the older version."""
    newer = {
        "a": {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
        "b": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        "c": {"const": True, "type": "boolean"},
        "d": {"type": "string", "examples": ["one", "two"]},
    }
    assert as_openapi_3_0(newer) == {
        "openapi": "3.0.3",
        "a": {"anyOf": [{"$ref": "#/x"}], "nullable": True},
        "b": {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
        "c": {"enum": [True], "type": "boolean"},
        "d": {"type": "string", "example": "one"},
    }


def test_metrics_show_the_registry_and_the_feed(feed: SimpleNamespace) -> None:
    """The text of the passed registry has the feed's own metrics in it."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append([feed.alert_record(feed.alert()), feed.suppression_record(feed.suppression())])
        async with feed.running(log) as service, service.client() as client:
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain")
            for line in (
                'ringwatch_feed_records_total{topic="alerts"} 1.0',
                'ringwatch_feed_unreadable_total{topic="alerts"} 0.0',
                "ringwatch_feed_alerts 1.0",
                "ringwatch_feed_suppressions 1.0",
            ):
                assert line in answer.text

    asyncio.run(scenario())


def test_failures_show_nothing_of_the_inside(feed: SimpleNamespace) -> None:
    """A route that breaks gives 500 and one sentence, and an unknown path 404 with one."""

    async def broken(_request: Request) -> Response:
        raise RuntimeError("secret path")

    async def scenario() -> None:
        extra = [Route("/v1/broken", broken)]
        async with feed.running(feed.MemoryLog(), extra_routes=extra) as service, service.client() as client:
            answer = await client.get("/v1/broken")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            missing = await client.get("/v1/nothing")
            assert (missing.status_code, missing.json()) == (404, {"detail": "no such path; /docs lists them all"})
            assert (await client.delete("/v1/alerts")).status_code == 405

    asyncio.run(scenario())
