from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.request_validator import RequestValidator

from streams.ingest.simulator import Scenario, simulate
from streams.ingest.simulator.play import Delivered, PlayResult, play
from streams.ingest.simulator.signing import signer

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://hooks.example.com"

Answer = Callable[[str, dict[str, str]], Response]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """A gateway in miniature: it checks the signature and answers as it is told."""
    validator = RequestValidator(TOKEN)

    async def receive(request: Request) -> Response:
        body = (await request.body()).decode()
        params = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))
        signature = request.headers["X-Twilio-Signature"]
        if not validator.validate(PUBLIC_URL + request.url.path, params, signature):
            return Response(status_code=403)
        return answer(request.url.path, params)

    app = Starlette(routes=[Route("/{rest:path}", receive, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def against(answer: Answer, run: Callable[[str], Awaitable[PlayResult]]) -> PlayResult:
    """Play against a gateway that answers so."""

    async def both() -> PlayResult:
        async with serving(answer) as url:
            return await run(url)

    return asyncio.run(both())


def test_signatures_are_twilios(small: Scenario) -> None:
    """Every line becomes a POST whose signature Twilio's own validator accepts, blank parameters included."""
    sign = signer(TOKEN, PUBLIC_URL + "/")
    validator = RequestValidator(TOKEN)
    for line in simulate(small, 1):
        request = sign(line)
        assert (request.method, request.path) == ("POST", line.path)
        params = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        assert params == line.params
        assert validator.validate(PUBLIC_URL + line.path, params, request.headers["X-Twilio-Signature"])
        changed = {**params, "AccountSid": "AC0"}
        assert not validator.validate(PUBLIC_URL + line.path, changed, request.headers["X-Twilio-Signature"])


def test_every_line_arrives_as_it_is(small: Scenario) -> None:
    """Each line is delivered once with its path and parameters, about in its order, and counted as accepted."""
    lines = list(simulate(small, 1))[:400]
    arrived: list[tuple[str, dict[str, str]]] = []
    delivered: list[Delivered] = []

    def answer(path: str, params: dict[str, str]) -> Response:
        arrived.append((path, params))
        return Response(status_code=204)

    result = against(
        answer, lambda url: play(lines, url, PUBLIC_URL, TOKEN, concurrency=4, on_progress=delivered.append)
    )
    assert result.lines == result.accepted == len(lines)
    assert result.refused == result.failed == result.unanswered == result.retries == 0
    expected = [(line.path, line.params) for line in lines]
    assert sorted(arrived, key=str) == sorted(expected, key=str)
    places = {(path, str(params)): place for place, (path, params) in enumerate(expected)}
    # With four connections a line can overtake only a few.
    assert all(abs(places[path, str(params)] - place) < 50 for place, (path, params) in enumerate(arrived))
    assert all((one.status, one.attempts) == (204, 1) for one in delivered)
    assert sorted(one.line.encode() for one in delivered) == sorted(line.encode() for line in lines)


def test_a_full_gateway_is_tried_again(small: Scenario) -> None:
    """A 503 is tried again after its Retry-After, and the line is counted as accepted once it is taken."""
    lines = list(simulate(small, 1))[:20]
    tried: dict[str, list[float]] = {}

    def answer(path: str, params: dict[str, str]) -> Response:
        times = tried.setdefault(path + str(params), [])
        times.append(time.monotonic())
        return Response(status_code=204) if len(times) > 1 else Response(status_code=503, headers={"Retry-After": "1"})

    result = against(answer, lambda url: play(lines, url, PUBLIC_URL, TOKEN, concurrency=20))
    assert (result.accepted, result.retries) == (20, 20)
    assert all(second - first >= 0.95 for first, second in tried.values())


def test_a_gateway_that_stays_full_is_given_up(small: Scenario) -> None:
    """After its retries a line that was never taken is counted as failed."""
    lines = list(simulate(small, 1))[:5]
    unavailable = Response(status_code=503, headers={"Retry-After": "0"})
    result = against(lambda *_: unavailable, lambda url: play(lines, url, PUBLIC_URL, TOKEN, retries=2))
    assert (result.failed, result.accepted, result.retries) == (5, 0, 10)


def test_a_refusal_is_not_tried_again(small: Scenario) -> None:
    """A line signed with another token is refused once and counted so."""
    lines = list(simulate(small, 1))[:5]
    result = against(
        lambda *_: Response(status_code=204), lambda url: play(lines, url, PUBLIC_URL, "another", concurrency=2)
    )
    assert (result.refused, result.accepted, result.retries) == (5, 0, 0)


def test_nobody_listening_is_counted_as_unanswered(small: Scenario) -> None:
    """Where nothing listens, each line is tried again and then counted as unanswered."""
    lines = list(simulate(small, 1))[:3]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        result = asyncio.run(play(lines, url, PUBLIC_URL, TOKEN, retries=1))
    assert (result.unanswered, result.retries) == (3, 3)


@pytest.mark.parametrize("pace", ["seconds", "speed"])
def test_lines_keep_their_pace(small: Scenario, pace: str) -> None:
    """Played in a number of seconds or at a speed, lines arrive spread over that time as over life."""
    lines = list(simulate(small, 1))[:60]
    span = (lines[-1].received_at - lines[0].received_at) / 1_000
    arrived: list[float] = []

    def answer(_path: str, _params: dict[str, str]) -> Response:
        arrived.append(time.monotonic())
        return Response(status_code=204)

    async def run(url: str) -> PlayResult:
        if pace == "seconds":
            return await play(lines, url, PUBLIC_URL, TOKEN, seconds=1.0)
        return await play(iter(lines), url, PUBLIC_URL, TOKEN, speed=span)

    result = against(answer, run)
    assert 0.95 <= result.seconds < 3.0
    halfway = (lines[30].received_at - lines[0].received_at) / 1_000 / span
    assert arrived[30] - arrived[0] == pytest.approx(halfway, abs=0.3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speed": 2.0, "seconds": 3.0}, "not both"),
        ({"speed": 0.0}, "speed is 0.0: give a number above zero"),
        ({"seconds": -1.0}, "seconds is -1.0: give a number above zero"),
    ],
)
def test_a_pace_that_makes_no_sense_is_refused(arguments: dict[str, float], message: str) -> None:
    """A speed and a length together, or one not above zero, are refused before anything is sent."""
    with pytest.raises(ValueError, match=message):
        asyncio.run(play([], "http://127.0.0.1:9", PUBLIC_URL, TOKEN, **arguments))  # type: ignore[arg-type]  # floats only


def test_no_lines_play_at_once() -> None:
    """Nothing to play is a result of zeros."""
    result = asyncio.run(play([], "http://127.0.0.1:9", PUBLIC_URL, TOKEN, seconds=5.0))
    assert (result.lines, result.accepted) == (0, 0)
