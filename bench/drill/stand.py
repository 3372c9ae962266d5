"""The stand of a drill: brokers, and ringwatch's processes under their supervisors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from bench.apache_kafka import Cluster
from bench.drill.callers import Callers
from bench.drill.reading import FactsSeen, TopicReader
from bench.drill.supervised import Supervised
from bench.drill.traffic import Traffic
from ringwatch.partitions import find_partitions
from schemas.log import LogUnavailableError
from schemas.register import Register
from schemas.settings import Settings, load_settings
from schemas.times import HOUR
from streams.agents.app import CHANGELOGS
from streams.ingest.replay_lines import append_lines
from streams.ingest.terms import Terms
from streams.transports.kafka.connection import connect
from streams.transports.kafka.log import KafkaLog
from streams.transports.kafka.topics import create_topics

PARTITIONS: Final = 4
SESSION_SECONDS: Final = 6
"""Silence after which a worker is taken for dead: as short as may be set, so that a drill is short."""

_PUBLIC_URL: Final = "https://hooks.example.com"
_TOKEN: Final = "the token of the drill"
_SETTLE_SECONDS: Final = 90.0
_GLANCE_SECONDS: Final = 0.1
_LAG: Final = re.compile(r'^ringwatch_agents_lag_records\{partition="(\d+)",topic="(\w+)"\} (\S+)$', re.MULTILINE)
# Simulated calls lie long before they are played, and are played quicker than they were made: no call may be closed,
# and none forgotten, by time that passes here. Two workers tell of calls a second apart in another order, which is
# minutes of simulated time: what is near a limit would be told or not by chance, so limits are far from all but
# incidents.
_CONFIG: Final = """
lateness_seconds = 1800
[assembly]
past_tolerance_hours = {past_tolerance_hours}
call_timeout_hours = 1_000_000
remember_minutes = 1_000_000
[history]
flush_seconds = 0.2
[rules.volume_spike]
number_limit = 30
[rules.answer_rate_collapse]
false_alarms_per_day = 0.03
# Of a number that falls, a streak or the collapse is told first, by the order of its calls.
[rules.no_answer_streak]
enabled = false
# The simulated days are turned: by the clock, people are called at night.
[rules.calling_hours]
enabled = false
"""


class Stand:
    """Brokers and processes that run, and how to ask them.

    Attributes:
        cluster: the brokers.
        settings: of every process.
        log: the same log, from outside.
        reader: reads its topics.
        processes: by name: gateway, worker-1, worker-2, history, feed.
        callers: send lines to the gateway.
        facts: tells what became visible.
        folder: of all that the processes write.
        wrong_clocks: times that callers were made to send and that can't be.
    """

    def __init__(self, cluster: Cluster, settings: Settings, log: KafkaLog, folder: Path, rate: float) -> None:
        self.cluster = cluster
        self.settings = settings
        self.log = log
        self.reader = TopicReader(log)
        self.facts = FactsSeen(log)
        self.processes: dict[str, Supervised] = {}
        self.wrong_clocks: set[str] = set()
        self.folder = folder
        self._partitions: set[tuple[str, str]] = set()
        self._supervisors: list[asyncio.Task[None]] = []
        self._client = httpx.AsyncClient(headers={"Authorization": f"Bearer {_TOKEN}"}, timeout=10.0, trust_env=False)
        self.callers = Callers(lambda: self.processes["gateway"].address, _TOKEN, _PUBLIC_URL, rate)

    def __getitem__(self, name: str) -> Supervised:
        return self.processes[name]

    def start(self, command: str, name: str = "") -> Supervised:
        """Start a command of ringwatch as a process under a supervisor."""
        name = name or command
        process = self.processes.get(name)
        if process is None:
            environment = {
                "RINGWATCH_BROKER": self.settings.broker,
                "RINGWATCH_PARTITIONS": str(self.settings.partitions),
                "RINGWATCH_ACCOUNTS": json.dumps(dict.fromkeys(self.settings.accounts, _TOKEN)),
                "RINGWATCH_PUBLIC_URL": _PUBLIC_URL,
                "RINGWATCH_API_TOKEN": _TOKEN,
                "RINGWATCH_KAFKA__SESSION_SECONDS": str(SESSION_SECONDS),
                "RINGWATCH_KAFKA__WORKER": name,
            }
            config = str(self.folder / "ringwatch.toml")
            options = ["--data", str(self.folder / name), "--http", "127.0.0.1:0", "--config", config]
            process = self.processes[name] = Supervised(name, [command, *options], environment, self.folder)
            self._supervisors.append(asyncio.create_task(process.supervise()))
        process.start()
        return process

    def workers(self) -> list[Supervised]:
        """The workers that shall run."""
        return [process for name, process in self.processes.items() if name.startswith("worker") and process.wanted]

    async def ask(self, name: str, path: str, **parameters: Any) -> Any:
        """GET from a process's API; give the JSON."""
        address = await self[name].listens()
        return (await self._client.get(f"{address}{path}", params=parameters)).raise_for_status().json()

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """Ask the history."""
        address = await self["history"].listens()
        answer = await self._client.post(f"{address}/v1/sql", json={"sql": query}, timeout=60.0)
        if answer.is_error:
            raise RuntimeError(f"{query}: {answer.text}")
        rows: list[dict[str, Any]] = answer.json()
        return rows

    async def lag(self) -> int | None:
        """Records that the workers are behind, as they say; None while a partition is nobody's."""
        found: dict[tuple[str, str], int] = {}
        for worker in self.workers():
            address = worker.address
            if address is None:
                continue
            with contextlib.suppress(httpx.HTTPError):
                text = (await self._client.get(f"{address}/metrics", timeout=0.5)).text
                found.update({(topic, part): int(float(lag)) for part, topic, lag in _LAG.findall(text)})
        # Of a partition that never had a record nothing is told.
        self._partitions |= found.keys()
        return sum(found.values()) if self._partitions == found.keys() else None

    async def settle(self) -> None:
        """Wait until workers and history have taken all there is.

        Raises:
            TimeoutError: they have not; the text says what is left.
        """
        until = time.monotonic() + _SETTLE_SECONDS
        calm = 0
        left = "nothing is known"
        while calm < 3:
            if time.monotonic() > until:
                raise TimeoutError(f"not settled after {_SETTLE_SECONDS:.0f} s: {left}")
            await asyncio.sleep(_GLANCE_SECONDS)
            behind = await self._behind()
            left = ", ".join(f"{name} {lag}" for name, lag in behind.items() if lag)
            calm = 0 if left else calm + 1

    async def _behind(self) -> dict[str, int | float]:
        try:
            report = await asyncio.to_thread(find_partitions, self.settings)
        except LogUnavailableError as error:
            return {str(error): 1}
        behind: dict[str, int | float] = {
            f"{found.topic}[{found.partition}] of {found.worker} at {found.applied}": found.lag
            for found in report.partitions
        }
        try:
            address = await self["history"].listens()
            text = (await self._client.get(f"{address}/metrics")).text
        except (httpx.HTTPError, TimeoutError) as error:
            return {**behind, f"history ({error})": 1}
        found = re.search(r"^ringwatch_history_lag_records (\S+)$", text, re.MULTILINE)
        behind["history"] = 1.0 if found is None else float(found[1])
        return behind

    def delete_topic(self, topic: str) -> None:
        """Delete a topic, and wait until it is gone."""
        admin, _ = connect(self.settings)
        try:
            admin.delete_topics([topic])
            while topic in admin.list_topics():
                time.sleep(_GLANCE_SECONDS)
        finally:
            admin.close()

    async def close(self) -> None:
        """End every process."""
        for task in self._supervisors:
            task.cancel()
        for process in self.processes.values():
            process.end()
        await self._client.aclose()


@asynccontextmanager
async def standing(cluster: Cluster, folder: Path, traffic: Traffic, rate: float) -> AsyncIterator[Stand]:
    """Make topics, start processes, lay the past in and wait until it is worked off.

    Args:
        cluster: runs, and has nothing of ringwatch's.
        folder: for all that is written; it is there.
        traffic: its past is laid in.
        rate: lines a second that callers will send.
    """
    async with AsyncExitStack() as stack:
        settings = _settings(folder, cluster, traffic)
        await asyncio.to_thread(create_topics, settings, CHANGELOGS)
        log = await asyncio.to_thread(KafkaLog.open, settings)
        stack.push_async_callback(log.close)
        await append_lines((line.encode() for line in traffic.past), log, Terms.of(settings, Register()))
        stand = Stand(cluster, settings, log, folder, rate)
        stack.push_async_callback(stand.close)
        # Alone, a worker need not wait for others while it works off days in seconds.
        for command, name in (("worker", "worker-1"), ("gateway", ""), ("history", ""), ("feed", "")):
            stand.start(command, name)
        for process in stand.processes.values():
            await process.listens()
        await stand.settle()
        await stand.start("worker", "worker-2").listens()
        await _both_have_some(stand)
        await stand.lag()
        following = asyncio.create_task(stand.facts.follow())
        try:
            yield stand
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _both_have_some(stand: Stand) -> None:
    until = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < until:
        report = await asyncio.to_thread(find_partitions, stand.settings)
        if len(report.workers) > 1 and all(worker.partitions for worker in report.workers):
            return
        await asyncio.sleep(_GLANCE_SECONDS)
    raise TimeoutError("the second worker got no partition")


def _settings(folder: Path, cluster: Cluster, traffic: Traffic) -> Settings:
    # A clock that jumps back by some hours is beyond what is tolerated; the simulated past as such is not.
    age = time.time_ns() // 1_000_000 - traffic.begins_at
    config = folder / "ringwatch.toml"
    config.write_text(_CONFIG.format(past_tolerance_hours=age // HOUR + 1))
    return load_settings(
        config,
        data=folder / "data",
        broker=f"kafka://{cluster.bootstrap}",
        partitions=PARTITIONS,
        public_url=_PUBLIC_URL,
        accounts={traffic.account_sid: _TOKEN},
        api_token=_TOKEN,
    )
