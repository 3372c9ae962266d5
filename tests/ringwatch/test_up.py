from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from ringwatch.up import Up, running
from schemas.log import Record
from schemas.settings import ConfigurationError, Settings
from schemas.topics import CALLBACKS
from sinks.history.ask import RUNNING_FILE
from streams.ingest.simulator import Line
from streams.ingest.simulator.play import play
from streams.ingest.simulator.signing import signer
from streams.transports.local.log import LocalLog

AllRecords = Callable[..., Iterator[Record]]

_PATIENCE_SECONDS = 60.0


@asynccontextmanager
async def _up(settings: Settings) -> AsyncIterator[tuple[Up, httpx.AsyncClient]]:
    assert settings.api_token is not None
    authorised = {"Authorization": f"Bearer {settings.api_token.get_secret_value()}"}
    async with (
        running(settings, ticks=False) as up,
        httpx.AsyncClient(base_url=up.address, headers=authorised, timeout=30, trust_env=False) as client,
    ):
        await _until_ready(client)
        yield up, client


async def _until_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await client.get("/readyz")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.02)


async def _settled(up: Up) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while up.backlog() > 0:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        await up.history.caught_up()


def _agents_lag(metrics: str) -> set[float]:
    """Each value that the agents' lag has on some partition."""
    found = re.findall(r'^ringwatch_agents_lag_records\{partition="0",topic="\w+"\} (\S+)$', metrics, re.MULTILINE)
    return {float(value) for value in found}


def _calls(lines: list[Line]) -> set[str]:
    return {line.params["CallSid"] for line in lines if line.path.startswith("/twilio/voice/")}


def test_played_calls_come_out_of_the_api_and_the_history(settings: Settings, traffic: Any) -> None:
    """Signed requests are accepted, counted by number, written to the history, measured; the note goes with the run."""
    lines = list(traffic.stretch[:600])
    token = settings.accounts[traffic.account_sid].get_secret_value()

    async def run() -> None:
        async with _up(settings) as (up, client):
            assert (settings.data / RUNNING_FILE).exists()
            result = await play(lines, up.address, settings.public_url or "", token)
            assert (result.accepted, result.lines) == (len(lines), len(lines))
            await _settled(up)
            numbers = (await client.get("/v1/numbers")).raise_for_status().json()
            [items] = [value for value in numbers.values() if isinstance(value, list)]
            assert sum(item["windows"]["7d"]["attempts"] for item in items) == len(_calls(lines))
            count = {"sql": "select count(*) as n from calls"}
            answer = (await client.post("/v1/sql", json=count)).raise_for_status()
            assert str(len(_calls(lines))) in answer.text
            metrics = (await client.get("/metrics")).raise_for_status().text
            assert _agents_lag(metrics) == {0.0}
            assert "\nringwatch_history_lag_records 0.0" in metrics
            assert (await client.get("/healthz")).status_code == httpx.codes.OK

    asyncio.run(run())
    assert not (settings.data / RUNNING_FILE).exists()


def test_an_unsigned_request_writes_nothing(settings: Settings, traffic: Any) -> None:
    """A request without the right signature gets 403 and leaves no record."""

    async def run() -> None:
        async with _up(settings) as (up, client):
            line = traffic.stretch[0]
            assert (await client.post(line.path, data=line.params)).status_code == httpx.codes.FORBIDDEN
            assert up.log.end(CALLBACKS.name, 0) == 0

    asyncio.run(run())


def test_a_full_disk_is_503_until_there_is_room(settings: Settings, traffic: Any, all_records: AllRecords) -> None:
    """While the log can take no more the answer is 503 with Retry-After; with room again what was refused is taken."""
    sign = signer(settings.accounts[traffic.account_sid].get_secret_value(), settings.public_url or "")
    accepted: Counter[str] = Counter()

    async def post(client: httpx.AsyncClient, line: Line) -> httpx.Response:
        request = sign(line)
        answer = await client.post(request.path, content=request.body, headers=request.headers)
        if answer.is_success:
            accepted[line.params["CallSid"]] += 1
        return answer

    async def run() -> None:
        lines = [line for line in traffic.stretch if "CallSid" in line.params]
        async with _up(settings) as (up, client):
            connection: Any = up.log._storage._connection
            connection.execute("PRAGMA max_page_count = 1")
            refused = None
            for line in lines:
                answer = await post(client, line)
                if not answer.is_success:
                    refused = line
                    break
            assert refused is not None
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert int(answer.headers["Retry-After"]) > 0
            assert (await client.get("/healthz")).status_code == httpx.codes.OK
            state = await client.get("/readyz")
            assert state.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert state.json()["checks"]["gateway"] == "the log takes no records; the program's log says why"
            connection.execute("PRAGMA max_page_count = 1000000")
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not (await post(client, refused)).is_success:  # noqa: ASYNC110 - as Twilio would
                    await asyncio.sleep(0.05)
            assert (await client.get("/readyz")).json()["checks"]["gateway"] == "ready"
            for line in lines[len(accepted) : len(accepted) + 50]:
                assert (await post(client, line)).is_success
            await _settled(up)

    asyncio.run(run())
    log = LocalLog.open(settings.log_path)
    try:
        written = Counter((record.key or b"").decode() for record in all_records(log, CALLBACKS.name))
    finally:
        log.close()
    assert written == accepted


def test_a_taken_port_is_refused_and_everything_let_go(settings: Settings) -> None:
    """An address in use is refused with the setting's name, and log and history can be opened again at once."""

    async def run() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            taken = settings.model_copy(update={"http": f"127.0.0.1:{port}"})
            with pytest.raises(ConfigurationError, match=f"http: 127.0.0.1:{port} .*--http"):
                async with running(taken, ticks=False):
                    pass
        async with _up(settings):
            pass

    asyncio.run(run())


def test_insecure_is_for_loopback(settings: Settings) -> None:
    """Unsigned callbacks on an address that others can reach are refused before anything is opened."""

    async def run() -> None:
        async with running(settings.model_copy(update={"http": "0.0.0.0:0"}), insecure=True):
            pass

    with pytest.raises(ConfigurationError, match=r"http: 0\.0\.0\.0:0 .*--insecure"):
        asyncio.run(run())
    assert not settings.log_path.exists()
