"""The whole of it on the embedded log: gateway, agents and history in one `ringwatch up`, until all is in the history.

Then the same without HTTP: agents and history catch up with a log that is full already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from bench.load import Load
from bench.processes import Up, apart, ringwatch_up, send
from bench.results import Result
from bench.traffic import NUMBERS, encoded, lines, write_requests
from ringwatch.topics import create_topics
from ringwatch.up import running
from schemas.register import Register
from schemas.settings import Settings, load_settings
from schemas.topics import CALLBACKS
from sinks.history.ask import ask
from streams.ingest.replay_lines import append_lines
from streams.ingest.terms import Terms
from streams.transports.local.log import LocalLog

_CALLBACKS = 40_000
_CONNECTIONS = 64
_ROUNDS = 2
_GLANCE_SECONDS = 0.1
_PATIENCE_SECONDS = 300.0


def measure() -> list[Result]:
    """Callbacks a second from the first request to the last committed row, and without HTTP."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        requests = folder / "requests"
        write_requests(requests, lines(_CALLBACKS))
        through = [_through_http(folder / f"http-{turn}", requests) for turn in range(_ROUNDS)]
    caught_up = [apart(catch_up, _CALLBACKS) for _ in range(_ROUNDS)]
    taken, answered = min(through)
    traffic = f"{_CALLBACKS:,} callbacks of {NUMBERS} numbers, best of {_ROUNDS} rounds"
    rate = _CALLBACKS / min(caught_up)
    return [
        Result(
            name="pipeline: HTTP, log, agents, history, all in one process",
            unit="callbacks/s",
            value=_CALLBACKS / taken,
            against="agents and history without HTTP",
            ratio=_CALLBACKS / taken / rate,
            note=f"{traffic}; first request to last row; answered at {answered:,.0f}/s",
        ),
        Result(
            name="pipeline: agents and history, from a full log",
            unit="callbacks/s",
            value=rate,
            note=f"{traffic}; start of the programme to last row",
        ),
    ]


def _through_http(data: Path, requests: Path) -> tuple[float, float]:
    """Seconds until all is in the history, and callbacks answered a second."""
    data.mkdir()
    with ringwatch_up(data) as up:
        answered = send(Load(port=up.port, requests=str(requests), connections=_CONNECTIONS))
        if answered.refused:
            raise RuntimeError(f"{answered.refused} callbacks were refused; see {data / 'stderr'}")
        _wait_until_idle(up)
        taken = time.time() - answered.began
        [(rows,)] = ask(data, f"SELECT count(*) FROM {CALLBACKS.name}").to_pydict().values()
        if rows != _CALLBACKS:
            raise RuntimeError(f"{rows} of {_CALLBACKS} callbacks are in the history")
        return taken, answered.per_second


def _wait_until_idle(up: Up) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while any(up.lags()):
        if time.monotonic() > until:
            raise TimeoutError(f"still behind after {_PATIENCE_SECONDS:.0f} s: {up.lags()}")
        time.sleep(_GLANCE_SECONDS)


def catch_up(count: int) -> float:
    """Fill a log, start the programme on it, and give the seconds until agents and history are through."""
    with TemporaryDirectory() as name:
        settings = load_settings(data=Path(name), http="127.0.0.1:0")
        return uvloop.run(_catch_up(settings, encoded(count)))


async def _catch_up(settings: Settings, wanted: Sequence[bytes]) -> float:
    log = LocalLog.open(settings.log_path)
    create_topics(log, settings.partitions)
    await append_lines(wanted, log, Terms.of(settings, Register()))
    log.close()
    began = time.perf_counter()
    async with running(settings, ticks=False) as up, asyncio.timeout(_PATIENCE_SECONDS):
        while up.backlog():  # noqa: ASYNC110 - a backlog is a number that falls, not an event
            await asyncio.sleep(_GLANCE_SECONDS)
        await up.history.caught_up()
        return time.perf_counter() - began
