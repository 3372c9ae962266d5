"""Who may ask."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from schemas.settings import Settings
from sinks.feed.access import AccessControl

TOKEN = "s3cret-token"
RUN_TOKEN = "the-runs-own"
LOCAL = {"host": "localhost:8080"}


async def _told(_request: Request) -> Response:
    return PlainTextResponse("told")


def _ask(
    path: str = "/v1/alerts",
    *,
    method: str = "GET",
    peer: str | None = "127.0.0.1",
    headers: list[tuple[str, str]] | dict[str, str] | None = None,
    token: str | None = None,
    run_token: str | None = None,
) -> httpx.Response:
    """What an application behind the access control answers."""
    app = AccessControl(
        PlainTextResponse("told"), tokens=tuple(filter(None, (token, run_token))), token_required=token is not None
    )
    pairs = list((LOCAL if headers is None else headers).items()) if not isinstance(headers, list) else headers
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "client": None if peer is None else (peer, 40_000),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
    }
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(app(scope, receive, send))
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=sent[1]["body"])


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {"host": "localhost:8080"}, 200),
        ("127.0.0.1", {"host": "LOCALHOST"}, 200),
        ("127.8.9.1", {"host": "127.0.0.1:80"}, 200),
        ("::1", {"host": "[::1]:8080"}, 200),
        ("::ffff:127.0.0.1", {"host": "[::1]"}, 200),
        ("10.0.0.7", {"host": "localhost:8080"}, 403),
        ("::ffff:10.0.0.7", {"host": "localhost"}, 403),
        ("testclient", {"host": "localhost"}, 403),
        (None, {"host": "localhost"}, 403),
        ("127.0.0.1", {"host": "abc.ngrok.app"}, 403),
        ("127.0.0.1", {"host": "localhost.evil.example:8080"}, 403),
        ("127.0.0.1", {"host": "evil.example"}, 403),
        ("127.0.0.1", {"host": "localhost:8080:1"}, 403),
        ("127.0.0.1", {"host": ""}, 403),
        ("127.0.0.1", {}, 403),
        ("127.0.0.1", [("host", "localhost"), ("host", "localhost")], 403),
        ("127.0.0.1", LOCAL | {"x-forwarded-for": "127.0.0.1"}, 403),
        ("127.0.0.1", LOCAL | {"X-Forwarded-Host": "hooks.example.com"}, 403),
        ("127.0.0.1", LOCAL | {"forwarded": "for=10.0.0.7"}, 403),
        ("127.0.0.1", LOCAL | {"via": "1.1 proxy"}, 403),
        ("127.0.0.1", LOCAL | {"cf-connecting-ip": "10.0.0.7"}, 403),
    ],
)
def test_without_a_token_only_this_machine_is_answered(
    peer: str | None, headers: dict[str, str] | list[tuple[str, str]], status: int
) -> None:
    """Without a configured token, proxied, remote and renamed requests get 403 and the setting's name."""
    for path in ("/v1/alerts", "/v1/stream", "/metrics", "/docs", "/openapi.json", "/", "/v1/sql"):
        answer = _ask(path, peer=peer, headers=headers)
        assert answer.status_code == status
        if status == 403:
            assert "RINGWATCH_API_TOKEN" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer  {TOKEN} ", 200),
        (f"Bearer {RUN_TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Basic {TOKEN}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Bearer \xff\xfe", 401),
        (None, 401),
    ],
)
def test_with_a_token_only_its_holders_are_answered(authorization: str | None, status: int) -> None:
    """With a configured token, even this machine needs it, and its holders may come from anywhere."""
    headers = LOCAL if authorization is None else LOCAL | {"authorization": authorization}
    answer = _ask(headers=headers, token=TOKEN, run_token=RUN_TOKEN)
    assert answer.status_code == status
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "api_token" in answer.json()["detail"]
        assert TOKEN not in answer.text
    else:
        away = headers | {"host": "ringwatch.example.com", "x-forwarded-for": "10.1.1.1"}
        assert _ask(peer="10.0.0.7", headers=away, token=TOKEN, run_token=RUN_TOKEN).status_code == 200


def test_run_token_opens_without_a_configured_token() -> None:
    """The run's own commands get in by its token, and an empty token opens nothing."""
    headers = {"host": "10.0.0.1:8080", "authorization": f"Bearer {RUN_TOKEN}"}
    assert _ask(peer="10.0.0.7", headers=headers, run_token=RUN_TOKEN).status_code == 200
    assert _ask(peer="10.0.0.7", headers=headers, run_token="").status_code == 403


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/healthz", "GET", 200),
        ("/readyz", "HEAD", 200),
        ("/healthz", "POST", 403),
        ("/healthz/", "GET", 403),
        ("/healthz/../v1/alerts", "GET", 403),
        ("//v1/alerts", "GET", 403),
        ("/V1/alerts", "GET", 403),
    ],
)
def test_only_health_and_readiness_are_open(path: str, method: str, status: int) -> None:
    """Everything but the two exact paths is guarded."""
    assert _ask(path, method=method, peer="10.0.0.7").status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8080"}, 200),
        ({"origin": "http://localhost:8080", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_pages_of_other_sites_may_not_write(headers: dict[str, str], status: int) -> None:
    """A POST whose Origin is another site is refused, with or without the token."""
    assert _ask("/v1/optouts", method="POST", headers=LOCAL | headers).status_code == status
    held = LOCAL | headers | {"authorization": f"Bearer {TOKEN}"}
    assert _ask("/v1/optouts", method="POST", headers=held, token=TOKEN).status_code == status


def test_api_guards_extra_routes_and_leaves_the_gateway_alone(feed: SimpleNamespace) -> None:
    """Added routes are guarded like the API's own, except Twilio's, which never meet the guard."""

    async def twilio(request: Request) -> Response:
        body = await request.body()
        return JSONResponse({"campaign": request.path_params["campaign"], "bytes": len(body)})

    extra = [
        Route("/twilio/voice/{campaign}", twilio, methods=["POST"]),
        Route("/v1/sql", _told, methods=["GET", "POST"]),
    ]
    settings = Settings(api_token=SecretStr(TOKEN))

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with (
            feed.running(log, extra_routes=extra, settings=settings, run_token=RUN_TOKEN) as service,
            service.client() as client,
        ):
            foreign = {"Origin": "https://evil.example", "X-Forwarded-For": "10.0.0.1", "Host": "hooks.example.com"}
            large = b"x" * (settings.limits.body_bytes + 1)
            answer = await client.post("/twilio/voice/spring-sale", headers=foreign, content=large)
            assert answer.json() == {"campaign": "spring-sale", "bytes": len(large)}
            assert (await client.get("/twilio/nothing")).status_code == 404
            assert (await client.get("/twilio/voice/a")).status_code == 405
            for path in ("/v1/sql", "/v1/alerts", "/metrics", "/docs", "/docs/files/swagger-ui.css", "/twilio"):
                assert (await client.get(path)).status_code == 401
            assert (await client.get("/healthz")).status_code == 200
            held = {"Authorization": f"Bearer {RUN_TOKEN}"}
            assert (await client.get("/v1/sql", headers=held)).text == "told"
            metrics = (await client.get("/metrics", headers=held)).text
            assert 'ringwatch_feed_refused_total{cause="token"} 6.0' in metrics

    asyncio.run(scenario())


def test_websockets_are_closed() -> None:
    """Nothing here speaks WebSocket, so the guard closes it before any route sees it."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        return {"type": "websocket.connect"}

    app = AccessControl(PlainTextResponse("told"), tokens=(), token_required=False)
    asyncio.run(app({"type": "websocket", "path": "/v1/stream", "headers": []}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
