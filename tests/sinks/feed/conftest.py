"""A log in memory, an API over it, and a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import BaseRoute

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind, alert_id
from schemas.alerting import Alerting
from schemas.log import LogUnavailableError, NewRecord, Positions, Record
from schemas.settings import Settings
from schemas.suppression import Suppression, suppression_key
from sinks.alerts.notifier import Notifier
from sinks.feed.api import Check, create_api
from sinks.feed.board import Board
from sinks.feed.overrides import end_allowances
from sinks.feed.rolling import RollingView

NOW = 1_795_442_401_250
PARTITIONS = 2


class MemoryLog:
    """The log's protocol, kept in lists; `away` makes it unavailable, `reads` counts readers."""

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self.count = partitions
        self.away = False
        self.reads = 0
        self.kept: dict[tuple[str, int], list[Record]] = {}
        self.offsets: dict[tuple[str, int], int] = {}
        self.condition = asyncio.Condition()

    def check(self) -> None:
        """Refuse while away."""
        if self.away:
            raise LogUnavailableError("the disk is full")

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Append; a key without a partition goes where its bytes say."""
        self.check()
        places = []
        async with self.condition:
            for record in records:
                partition = record.partition
                if partition is None:
                    partition = sum(record.key or b"") % self.count
                offset = self.offsets.get((record.topic, partition), 0)
                self.offsets[record.topic, partition] = offset + 1
                kept = Record(
                    record.topic, partition, offset, record.timestamp or NOW, record.key, record.value, record.headers
                )
                self.kept.setdefault((record.topic, partition), []).append(kept)
                places.append((partition, offset))
            self.condition.notify_all()
        return places

    def compact(self, topic: str, partition: int, offsets: set[int]) -> None:
        """Take records away, as compaction and retention do; ends stay."""
        kept = self.kept[topic, partition]
        kept[:] = [record for record in kept if record.offset not in offsets]

    async def partitions(self, topic: str) -> int:
        """The same for every topic."""
        self.check()
        if topic not in {"alerts", "suppressions", "optouts", "silences"}:
            raise KeyError(topic)
        return self.count

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offsets."""
        self.check()
        return {partition: self.offsets.get((topic, partition), 0) for partition in range(self.count)}

    async def reader(self, positions: Positions) -> MemoryReader:
        """A reader from these positions on."""
        self.check()
        self.reads += 1
        return MemoryReader(self, dict(positions))


class MemoryReader:
    """Reads a `MemoryLog` on from positions."""

    def __init__(self, log: MemoryLog, positions: Positions) -> None:
        self.log = log
        self.positions = positions

    def take(self, limit: int) -> list[Record]:
        """What is there now."""
        self.log.check()
        found: list[Record] = []
        for place, position in self.positions.items():
            records = [one for one in self.log.kept.get(place, []) if one.offset >= position]
            records = records[: limit - len(found)]
            if records:
                self.positions[place] = records[-1].offset + 1
                found += records
        return found

    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:
        """What is there, or what comes first."""
        async with self.log.condition:
            found = self.take(limit)
            if found:
                return found
            try:
                async with asyncio.timeout(wait):
                    await self.log.condition.wait()
            except TimeoutError:
                return []
            return self.take(limit)

    async def close(self) -> None:
        """Nothing is held."""


def make_alert(
    value: str = "+12025550100",
    *,
    rule: str = "volume_spike",
    run: int = 1,
    sequence: int = 1,
    kind: SubjectKind = SubjectKind.NUMBER,
    state: AlertState = AlertState.FIRING,
    at: int = NOW,
    campaign: str | None = "spring-sale",
) -> Alert:
    """One transition as a detector would write it."""
    subject = Subject(kind, value)
    return Alert(
        alert_id=alert_id(rule, subject, run),
        sequence=sequence,
        rule=rule,
        subject=subject,
        state=state,
        severity=Severity.WARNING,
        at=at,
        since=at - 300_000,
        evidence={"calls": 130, "expected": 21.5, "campaign": campaign, "limits": {"upper": 44}},
        message=f"{value} placed 130 calls in 5 minutes, 21.5 were expected",
    )


def make_suppression(
    value: str = "+12025550123",
    *,
    kind: SubjectKind = SubjectKind.CONTACT,
    rule: str = "opt_out",
    at: int = NOW,
    until: int | None = None,
    scope: str = "",
) -> Suppression:
    """One verdict as the agents would write it."""
    return Suppression(
        subject=Subject(kind, value),
        rule=rule,
        alert_id="22a04f3a03d04bae",
        at=at,
        until=until,
        reason="said STOP, in these words: “stop”",
        evidence={"said": "STOP"},
        scope=scope,
    )


def alert_record(alert: Alert, partition: int | None = None) -> NewRecord:
    """The record of an alert."""
    return NewRecord("alerts", alert.alert_id.encode(), alert.encode(), partition)


def suppression_record(suppression: Suppression, partition: int | None = None) -> NewRecord:
    """The record of a suppression."""
    key = suppression_key(suppression.subject, suppression.rule, suppression.scope)
    return NewRecord("suppressions", key, suppression.encode(), partition)


def tombstone(
    value: str,
    kind: SubjectKind = SubjectKind.CONTACT,
    partition: int | None = None,
    *,
    rule: str = "opt_out",
    scope: str = "",
) -> NewRecord:
    """The record that lifts a suppression."""
    return NewRecord("suppressions", suppression_key(Subject(kind, value), rule, scope), None, partition)


@dataclass
class Service:
    """A board that runs, and the API over it."""

    log: MemoryLog
    board: Board
    api: FastAPI
    stop: asyncio.Event
    clock: list[int] = field(default_factory=lambda: [NOW])
    url: str = ""
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def streams_open(self) -> float | None:
        """How many streams the metrics say are open."""
        return self.registry.get_sample_value("ringwatch_feed_streams")

    async def settled(self) -> None:
        """Wait until the board has read all that the log holds."""
        await soon(lambda: all(self.board.positions.get(place, 0) >= end for place, end in self.ends().items()))

    def ends(self) -> Positions:
        """Where the topics of the feed end."""
        return {place: end for place, end in self.log.offsets.items() if place[0] not in {"optouts", "silences"}}

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A client on this machine, without a network."""
        transport = httpx.ASGITransport(self.api, raise_app_exceptions=False, client=("127.0.0.1", 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://localhost:8080", headers=headers)


@asynccontextmanager
async def running(
    log: MemoryLog,
    *,
    board: Board | None = None,
    rolling: RollingView | None = None,
    readiness: Mapping[str, Check] | None = None,
    extra_routes: Sequence[BaseRoute] = (),
    run_token: str | None = None,
    settings: Settings | None = None,
    wait: bool = True,
    telling: Path | None = None,
) -> AsyncIterator[Service]:
    """Run a board and make an API over it; with a folder for `telling`, silences and the ends of overrides as well."""
    board = board if board is not None else Board(log)
    stop = asyncio.Event()
    clock = [NOW]
    registry = CollectorRegistry()
    notifier = None
    if telling is not None:
        notifier = Notifier(
            log, Alerting(), folder=telling, external_url="http://x", registry=registry, clock=lambda: clock[0]
        )
    api = create_api(
        settings=settings if settings is not None else Settings(),
        board=board,
        rolling=rolling,
        log=log,
        registry=registry,
        readiness={"feed": board.readiness} if readiness is None else readiness,
        extra_routes=extra_routes,
        run_token=run_token,
        clock=lambda: clock[0],
        silences=None if notifier is None else notifier.silences,
    )
    tasks = [asyncio.create_task(board.run(stop))]
    if notifier is not None:
        tasks.append(asyncio.create_task(notifier.run(stop)))
        tasks.append(asyncio.create_task(end_allowances(board, log, stop, lambda: clock[0])))
    try:
        if wait:
            await asyncio.wait_for(board.caught_up.wait(), 10)
            if notifier is not None:
                await asyncio.wait_for(notifier.caught_up.wait(), 10)
        yield Service(log, board, api, stop, clock, registry=registry)
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[str]:
    """Serve an API on a loopback port that the system chooses, and give its URL."""
    config = uvicorn.Config(
        service.api, host="127.0.0.1", port=0, log_level="critical", lifespan="off", proxy_headers=False, ws="none"
    )
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign, assignment]  # the test owns the signals
    task = asyncio.create_task(server.serve())
    try:
        await soon(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        service.url = f"http://127.0.0.1:{port}"
        yield service.url
    finally:
        service.stop.set()
        server.should_exit = True
        await asyncio.wait_for(task, 10)


class _NoSignals:
    def __enter__(self) -> None:
        """Leave the process's signals alone."""

    def __exit__(self, *_: object) -> None:
        """Leave the process's signals alone."""


def _no_signals() -> _NoSignals:
    return _NoSignals()


@dataclass(frozen=True)
class SeenEvent:
    """One event as a client of the stream got it."""

    name: str
    data: str
    id: str


class EventReader:
    """A client of the stream that keeps the last id, as a browser does."""

    def __init__(self, response: httpx.Response) -> None:
        self.lines = response.aiter_lines()
        self.last_id = ""

    async def next(self, wait: float = 5.0) -> SeenEvent:
        """The next event."""
        async with asyncio.timeout(wait):
            name = data = ""
            async for line in self.lines:
                key, _, value = line.partition(": ")
                if key == "id":
                    self.last_id = value
                elif key == "event":
                    name = value
                elif key == "data":
                    data = value
                elif not line and data:
                    return SeenEvent(name, data, self.last_id)
        raise EOFError("the stream has ended")

    async def connected(self) -> str:
        """Wait for the first id, which comes before any event."""
        async with asyncio.timeout(5):
            async for line in self.lines:
                if line.startswith("id: "):
                    self.last_id = line[4:]
                elif not line and self.last_id:
                    return self.last_id
        raise EOFError("the stream has ended")


@asynccontextmanager
async def following(service: Service, query: str = "", last_id: str | None = None) -> AsyncIterator[EventReader]:
    """Follow the stream of a served API."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    async with (
        httpx.AsyncClient(base_url=service.url, timeout=20, trust_env=False) as client,
        client.stream("GET", f"/v1/stream{query}", headers=headers) as response,
    ):
        response.raise_for_status()
        yield EventReader(response)


async def soon(condition: Callable[[], bool], wait: float = 10) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(wait):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


def values(events: list) -> list[str]:
    """The values of the subjects that events are about."""
    return [json.loads(event.data)["value"] for event in events]


def person(number: int) -> str:
    """One of ten thousand people."""
    return f"+1202555{number:04d}"


@pytest.fixture
def feed() -> SimpleNamespace:
    """What the feed's tests are made of."""
    return SimpleNamespace(
        NOW=NOW,
        MemoryLog=MemoryLog,
        alert=make_alert,
        suppression=make_suppression,
        alert_record=alert_record,
        suppression_record=suppression_record,
        tombstone=tombstone,
        running=running,
        served=served,
        following=following,
        soon=soon,
        values=values,
        person=person,
    )
