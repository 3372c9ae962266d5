"""The faults, each a function that does it to a stand under load and gives the moment that it was over."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from bench.drill.stand import SESSION_SECONDS, Stand
from schemas.log import NewRecord
from schemas.times import HOUR
from streams.agents.app import changelog_of
from streams.ingest.simulator import Line
from schemas.topics import CALLBACKS, CALLS, CAMPAIGNS

Act = Callable[[Stand], Awaitable[float]]


class Fault(msgspec.Struct, frozen=True):
    """One fault.

    Attributes:
        name: on the command line and in the table.
        what: one sentence.
        act: does it; gives the moment of the monotonic clock from which the way back is counted.
        brokers: how many there must be.
    """

    name: str
    what: str
    act: Act
    brokers: int = 3


async def _kill_workers(stand: Stand) -> float:
    for name in ("worker-1", "worker-2", "worker-1"):
        stand[name].kill()
        killed = time.monotonic()
        if name != "worker-1" or len(stand[name].ended) < 2:
            await asyncio.sleep(5)
    return killed


async def _join_and_leave(stand: Stand) -> float:
    await stand.start("worker", "worker-3").listens()
    await asyncio.sleep(8)
    await stand["worker-3"].stop()
    return time.monotonic()


async def _stop_gracefully(stand: Stand) -> float:
    for name in ("worker-1", "gateway", "history", "feed", "worker-2"):
        code = await stand[name].stop()
        if code != 0:
            raise RuntimeError(f"{name} ended with {code} when it was told to stop: {stand[name].said}")
        stand.start(name)
        await stand[name].listens()
    return time.monotonic()


async def _kill_broker(stand: Stand) -> float:
    stand.cluster.kill(2)
    await asyncio.sleep(8)
    await asyncio.to_thread(stand.cluster.start, 2)
    return time.monotonic()


async def _stop_only_broker(stand: Stand) -> float:
    await asyncio.to_thread(stand.cluster.stop, 1)
    await asyncio.sleep(30)
    await asyncio.to_thread(stand.cluster.start, 1)
    return time.monotonic()


async def _make_zombie(stand: Stand) -> float:
    worker = stand["worker-1"]
    worker.send(signal.SIGSTOP)
    await asyncio.sleep(SESSION_SECONDS + 5)
    worker.send(signal.SIGCONT)
    return time.monotonic()


async def _poison(stand: Stand) -> float:
    for topic, key in ((CALLBACKS, b"CApoison"), (CALLS, b"+12025550199"), (CAMPAIGNS, b"spring-sale")):
        for partition in range(stand.settings.partitions):
            await stand.log.append([NewRecord(topic.name, key, b'{"version": "poison', partition=partition)])
    return time.monotonic()


FAULTS: Final = (
    Fault("worker killed", "Workers are killed with SIGKILL under load, three times.", _kill_workers),
    Fault("worker joins and leaves", "A third worker joins under load, and leaves.", _join_and_leave),
    Fault("graceful stop", "Each process is stopped with SIGTERM under load, one after the other.", _stop_gracefully),
    Fault("broker killed", "One broker of three is killed with SIGKILL, and started 8 s later.", _kill_broker),
    Fault("zombie", "A worker is stopped with SIGSTOP past its session, and continued.", _make_zombie),
    Fault("poison", "Records that can't be read lie in callbacks, calls and campaigns.", _poison),
    Fault("only broker away", "The only broker is stopped for 30 s.", _stop_only_broker, brokers=1),
)
