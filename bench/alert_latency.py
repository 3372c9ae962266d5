"""From a callback sent to its alert read on `/v1/stream`, while other callbacks come in."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import msgspec
import uvloop

from bench.load import Load
from bench.load import send as send_here
from bench.processes import AUTHORISED, apart, ringwatch_up, send
from bench.results import Result
from bench.traffic import lines, read_requests, stop_message, write_requests

BACKGROUND = 500.0
"""Callbacks a second beside the probes."""

PROBES = 200
"""Opt-outs that are timed."""

_SECONDS = 24
_PROBES_A_SECOND = 10.0
_CONNECTIONS = 32
# Probes begin once the background has run for a while and end before it does.
_LEAD_SECONDS = 2.0
_PATIENCE_SECONDS = 60.0


class Traffic(msgspec.Struct, frozen=True):
    """Files of signed requests.

    Attributes:
        background: sent all the while.
        probes: opt-outs, sent one by one.
    """

    background: str
    probes: str


def measure() -> list[Result]:
    """Percentiles of the time from request to event, opt-outs as probes."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        traffic = write_traffic(folder)
        data = folder / "data"
        data.mkdir()
        with ringwatch_up(data) as up:
            found = apart(latencies, up.port, up.address, traffic)
    cuts = statistics.quantiles(found, n=100)
    note = f"{len(found)} opt-outs by message beside {BACKGROUND:,.0f} callbacks/s, worst {max(found):,.0f} ms"
    return [
        Result(name="callback to alert on /v1/stream, p50", unit="ms", value=cuts[49], note=note),
        Result(name="callback to alert on /v1/stream, p99", unit="ms", value=cuts[98], target="<= 500", note=note),
    ]


def write_traffic(folder: Path) -> Traffic:
    """Sign what is sent, as of now."""
    background, probes = folder / "background", folder / "probes"
    write_requests(background, lines(int(BACKGROUND * _SECONDS)))
    now = time.time_ns() // 1_000_000
    write_requests(probes, [stop_message(_contact(index), index, now) for index in range(PROBES)])
    return Traffic(str(background), str(probes))


def _contact(index: int) -> str:
    return f"+1303555{index:04d}"


def latencies(gateway: int, feed: str, traffic: Traffic) -> list[float]:
    """Milliseconds from each probe's sending to its event.

    Args:
        gateway: the port that takes callbacks on 127.0.0.1.
        feed: base URL of the event stream.
        traffic: what is sent.
    """
    return uvloop.run(_measure(gateway, feed, traffic))


async def _measure(gateway: int, feed: str, traffic: Traffic) -> list[float]:
    seen: dict[str, float] = {}
    connected = asyncio.Event()
    reading = asyncio.create_task(_read(feed, seen, connected))
    await connected.wait()
    load = Load(port=gateway, requests=traffic.background, connections=_CONNECTIONS, rate=BACKGROUND)
    others = asyncio.create_task(asyncio.to_thread(send, load))
    await asyncio.sleep(_LEAD_SECONDS)
    sent: dict[str, float] = {}
    for index, request in enumerate(read_requests(Path(traffic.probes))):
        one = Load(port=gateway, requests="", connections=1)
        sent[_contact(index)] = time.perf_counter()
        answered = await send_here(one, [request])
        if answered.refused:
            raise RuntimeError("a probe was refused")
        pause = 1 / _PROBES_A_SECOND - (time.perf_counter() - sent[_contact(index)])
        await asyncio.sleep(max(pause, 0.0))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while len(seen) < len(sent):  # noqa: ASYNC110 - a glance now and then, after the measured time
            await asyncio.sleep(0.05)
        answered = await others
    if answered.refused:
        raise RuntimeError(f"{answered.refused} callbacks were refused")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return [(seen[contact] - at) * 1_000 for contact, at in sent.items()]


async def _read(feed: str, seen: dict[str, float], connected: asyncio.Event) -> None:
    """Note when the alert of each contact comes."""
    async with (
        httpx.AsyncClient(timeout=None) as client,
        client.stream("GET", f"{feed}/v1/stream", headers=AUTHORISED) as stream,
    ):
        connected.set()
        async for line in stream.aiter_lines():
            if line.startswith("data:") and '"opt_out"' in line:
                now = time.perf_counter()
                content = msgspec.json.decode(line[5:])
                subject = content.get("subject") or {}
                seen.setdefault(subject.get("value", ""), now)
