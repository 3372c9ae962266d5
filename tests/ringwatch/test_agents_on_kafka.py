from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.log import Log, NewRecord, Record
from schemas.settings import Settings
from schemas.times import SECOND
from schemas.topics import ALERTS, CAMPAIGNS
from streams.agents.app import CHANGELOGS, STAGES, create_app
from streams.agents.replay import Replay
from streams.agents.stage import process_all
from streams.agents.subject import SubjectState
from streams.transports.kafka.log import KafkaLog
from streams.transports.kafka.topics import create_topics

pytestmark = pytest.mark.kafka

_PARTITIONS = 4
# Agents settle in seconds; a machine that has much else to do takes longer.
_PATIENCE_SECONDS = 120.0
# Of the stages, in the order of the flow.
_SOURCES = ("callbacks", "optouts", "calls", "contacts", "campaigns", "accounts")

AsRecords = Callable[..., Iterator[NewRecord]]


def _on_kafka(settings: Settings, kafka: str, worker: str) -> Settings:
    update = {
        "broker": f"kafka://{kafka}",
        "partitions": _PARTITIONS,
        "kafka": settings.kafka.model_copy(update={"worker": worker, "session_seconds": 6.0}),
    }
    return settings.model_copy(update=update)


@asynccontextmanager
async def _worker(settings: Settings, log: Log) -> AsyncIterator[Any]:
    app: Any = create_app(settings, settings.broker, log)
    try:
        await app.start()
        yield app
    finally:
        await app.stop()


async def _until_applied(log: KafkaLog, apps: Sequence[Any]) -> None:
    """Wait until each partition is somebody's and worked off, stage by stage."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        for topic in _SOURCES:
            ends = {(topic, partition): end for partition, end in (await log.ends(topic)).items()}
            while not _has_applied(apps, ends):  # noqa: ASYNC110 - numbers that grow, not an event
                await asyncio.sleep(0.05)


def _has_applied(apps: Sequence[Any], ends: Mapping[tuple[str, int], int]) -> bool:
    applied: dict[Any, int] = {}
    for app in apps:
        consumer = app.consumer
        for place in consumer.owned():
            # What was worked off before the partition came here is committed.
            applied[place] = consumer._applied.get(place) or consumer._committed_offset.get(place) or 0
    return all(applied.get(place, 0) >= end for place, end in ends.items())


async def _all_of(log: Log, topic: str) -> list[Record]:
    ends = await log.ends(topic)
    reader = await log.reader({(topic, partition): 0 for partition in ends})
    records: list[Record] = []
    try:
        while len(records) < sum(ends.values()):
            records.extend(await reader.fetch(5_000, 1.0))
    finally:
        await reader.close()
    return records


def _rings(settings: Settings, table: Mapping[bytes, bytes]) -> dict[str, bytes]:
    lateness = round(settings.lateness_seconds * SECOND)
    rule = settings.rules.volume_spike
    return {
        key.decode(): SubjectState.from_bytes(
            packed, Subject(SubjectKind.NUMBER, key.decode()), lateness, rule
        ).counts.ring.to_bytes()
        for key, packed in table.items()
    }


def _subjects(
    alerts: Sequence[Record] | Sequence[NewRecord], *, only_firing: bool = False
) -> set[tuple[str, str, Subject]]:
    found = [Alert.decode(record.value or b"") for record in alerts]
    return {
        (alert.rule, alert.state.value, alert.subject)
        for alert in found
        if not only_firing or alert.state is AlertState.FIRING
    }


def _alerts_of(logs: Mapping[str, Sequence[Record]], settings: Settings) -> list[NewRecord]:
    """What the stages say of each partition of their logs."""
    found = []
    for partition in range(settings.partitions):
        for _, stage_of in STAGES:
            stage = stage_of(settings, {})
            for source in stage.sources:
                own = sorted(
                    (record for record in logs[source.name] if record.partition == partition),
                    key=lambda record: record.offset,
                )
                found += process_all(stage, own).emissions
    return [record for record in found if record.topic == ALERTS.name]


def _calls_in_order(facts: Sequence[Record] | Sequence[NewRecord]) -> dict[bytes, list[tuple[str, int]]]:
    order: dict[bytes, list[tuple[str, int]]] = {}
    for record in facts:
        fact = CallFact.decode(record.value or b"")
        order.setdefault(record.key or b"", []).append((fact.call_sid, fact.revision))
    return order


def _share(first: Any, second: Any) -> bool:
    mine, others = first.consumer.owned(), second.consumer.owned()
    return bool(mine) and bool(others) and not mine & others


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_on_kafka_say_what_a_replay_says(
    workers: int, settings: Settings, traffic: Any, as_records: AsRecords, fresh_kafka: str
) -> None:
    """However many workers take the partitions of a backlog, windows, rules and subjects are those of a replay.

    Between two workers calls come apart, by more the busier the machine is; what is on the brink in one order may fire
    or resolve in another. Theirs are held to what the stages make of the logs as they came to be.
    """
    records = list(as_records(traffic.lines, settings))
    named = [_on_kafka(settings, fresh_kafka, f"worker-{number}") for number in range(workers)]
    create_topics(named[0], CHANGELOGS)
    tables: dict[bytes, bytes] = {}

    async def run() -> dict[str, list[Record]]:
        log = KafkaLog.open(named[0])
        try:
            for start in range(0, len(records), 500):
                await log.append(records[start : start + 500])
            async with AsyncExitStack() as stack:
                apps = [await stack.enter_async_context(_worker(one, log)) for one in named]
                await _until_applied(log, apps)
                if workers > 1:
                    assert all(app.consumer.owned() for app in apps)
                for app in apps:
                    states = app.tables["numbers"].states
                    for _, partition in {place for place in app.consumer.owned() if place[0] == "calls"}:
                        tables.update(states.of(partition))
            return {topic: await _all_of(log, topic) for topic in (ALERTS.name, *_SOURCES)}
        finally:
            await log.close()

    logs = asyncio.run(run())
    alerts = logs[ALERTS.name]
    replay = Replay(settings)
    emitted = list(replay.run(records))
    expected = [record for record in emitted if record.topic == ALERTS.name]
    assert {rule for rule, _, _ in _subjects(expected)} >= {"answer_rate_collapse", "volume_spike", "opt_out"}
    if workers == 1:
        assert _subjects(alerts) == _subjects(expected)
    else:
        assert _subjects(alerts) == _subjects(_alerts_of(logs, named[0]))
        assert _subjects(alerts, only_firing=True) >= _subjects(expected, only_firing=True)
    assert _rings(settings, tables) == _rings(settings, replay.tables["numbers"])
    if workers == 1:
        told = [record for record in emitted if record.topic == CAMPAIGNS.name]
        assert _calls_in_order(logs[CAMPAIGNS.name]) == _calls_in_order(told)


def test_states_move_with_their_partitions(
    settings: Settings, traffic: Any, as_records: AsRecords, fresh_kafka: str
) -> None:
    """A worker that joins takes states over as they are, and one that leaves gives them back; no fact is lost."""
    records = list(as_records(traffic.stretch[:1_200], settings))
    first, second = (_on_kafka(settings, fresh_kafka, name) for name in ("first", "second"))
    create_topics(first, CHANGELOGS)

    async def run() -> dict[str, dict[bytes, bytes]]:
        log = KafkaLog.open(first)
        try:
            async with _worker(first, log) as app:
                await log.append(records[:400])
                await _until_applied(log, [app])
                async with _worker(second, log) as other:
                    async with asyncio.timeout(_PATIENCE_SECONDS):
                        while not _share(app, other):  # noqa: ASYNC110 - as above
                            await asyncio.sleep(0.05)
                    await log.append(records[400:800])
                    await _until_applied(log, [app, other])
                await log.append(records[800:])
                # A worker with a name keeps its partitions until its session is over.
                await _until_applied(log, [app])
                return {
                    name: {
                        key: packed
                        for partition in range(_PARTITIONS)
                        for key, packed in app.tables[name].states.of(partition).items()
                    }
                    for name, _ in STAGES
                }
        finally:
            await log.close()

    tables = asyncio.run(run())
    replay = Replay(settings)
    list(replay.run(records))
    assert _rings(settings, tables["numbers"]) == _rings(settings, replay.tables["numbers"])
    for name, table in replay.tables.items():
        apart = {key for key in tables[name] if key[:1] == b"p"} if name == "calls-in-progress" else set()
        assert tables[name].keys() - apart == {key for key in table if key[:1] != b"p" or not apart}, name
