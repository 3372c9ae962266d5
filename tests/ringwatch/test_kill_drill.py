from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from ringwatch.topics import create_topics
from schemas.alert import Alert, Subject, SubjectKind
from schemas.call import CallFact
from schemas.log import NewRecord
from schemas.register import Register
from schemas.settings import Settings
from schemas.times import SECOND
from schemas.topics import ALERTS, CALLBACKS, CALLS
from sinks.history.store import History
from streams.agents.app import changelog_of
from streams.agents.epochs import Epochs
from streams.agents.replay import Replay
from streams.agents.subject import SubjectState
from streams.ingest.replay_lines import append_lines
from streams.ingest.simulator import Line
from streams.ingest.simulator.signing import signer
from streams.ingest.terms import Terms
from streams.transports.local.log import LocalLog

_KILLS = 10
# Of those, how many are followed by one more while the program is still starting on what the first left behind.
_KILLS_WHILE_STARTING = 2
# Twilio's requests come from many machines; each waits a little, so that every life of the program sees some load.
_CALLERS = 12
_PAUSE_SECONDS = 0.03
_RETRY_SECONDS = 0.05
_SETTLE_SECONDS = 60.0

_CALL_COLUMNS = "call_sid, status, sip_code, placed_at, answered_at, ended_at, ring_seconds, talk_seconds"


class _Drill:
    """Callers that try again until they have a 2xx, and somebody who kills the program again and again."""

    def __init__(self, start: Callable[[], Any], data: Path, token: str, public_url: str, seed: int) -> None:
        self._start = start
        self._data = data
        self._sign = signer(token, public_url)
        self._random = random.Random(seed)
        self._pauses = random.Random(seed + 1)
        self._address: str | None = None
        self._child: Any = None
        self.accepted: Counter[str] = Counter()
        self.unanswered: Counter[str] = Counter()
        self.kills_under_load = 0
        self.kills_while_starting = 0

    async def run(self, lines: Sequence[Line]) -> Any:
        """Play the lines; give the child that lives in the end."""
        await self._restart()
        upcoming = iter(lines)
        marks = sorted(self._random.sample(range(20, len(lines) - 20), _KILLS))
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session, asyncio.TaskGroup() as group:
            for _ in range(_CALLERS):
                group.create_task(self._call(session, upcoming))
            group.create_task(self._kill_at(marks))
        return self._child

    async def _call(self, session: aiohttp.ClientSession, upcoming: Iterator[Line]) -> None:
        for line in upcoming:
            while not await self._is_accepted(session, line):  # noqa: ASYNC110 - a caller that tries again
                await asyncio.sleep(_RETRY_SECONDS)
            await asyncio.sleep(_PAUSE_SECONDS * self._pauses.random())

    async def _is_accepted(self, session: aiohttp.ClientSession, line: Line) -> bool:
        if self._address is None:
            return False
        request = self._sign(line)
        url = URL(self._address + request.path, encoded=True)
        try:
            async with session.post(url, data=request.body, headers=request.headers) as answer:
                await answer.read()
        except aiohttp.ClientConnectorError:
            return False
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            # The program may have taken it and died before it could say so.
            self.unanswered[identity(line.params)] += 1
            return False
        assert answer.status in {200, 204, 503}, answer.status
        if answer.status == 503:
            return False
        self.accepted[identity(line.params)] += 1
        return True

    async def _kill_at(self, marks: Sequence[int]) -> None:
        also_while_starting = set(self._random.sample(range(_KILLS), _KILLS_WHILE_STARTING))
        for number, mark in enumerate(marks):
            while self.accepted.total() < mark:  # noqa: ASYNC110 - a count that grows, not an event
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02 * self._random.random())
            self._kill()
            self.kills_under_load += 1
            if number in also_while_starting:
                self._child = self._start()
                await asyncio.sleep(3.0 * self._random.random())
                self._kill()
                self.kills_while_starting += 1
            await self._restart()

    def _kill(self) -> None:
        self._address = None
        self._child.kill()

    async def _restart(self) -> None:
        self._child = self._start()
        async with asyncio.timeout(_SETTLE_SECONDS):
            while (address := self._child.address(self._data)) is None:  # noqa: ASYNC110 - a file that another writes
                await asyncio.sleep(0.01)
        self._address = address


def _spoken_of(alerts: Iterable[Alert]) -> set[tuple[str, str, str]]:
    """Rule and subject of alerts."""
    return {(alert.rule, alert.subject.kind.value, alert.subject.value) for alert in alerts}


def identity(params: dict[str, Any]) -> str:
    """A request's parameters as one text."""
    return json.dumps(params, sort_keys=True)


def _learn(settings: Settings, past: Sequence[Line]) -> None:
    """Lay the past into a fresh log, as a backfill would."""
    log = LocalLog.open(settings.log_path)
    try:
        create_topics(log, settings.partitions)
        counts = asyncio.run(append_lines((line.encode() for line in past), log, Terms.of(settings, Register())))
    finally:
        log.close()
    assert counts.unreadable == 0


def _changelog(log: LocalLog, table: str) -> dict[bytes, bytes]:
    epochs = Epochs()
    states = (record for record in _all(log, changelog_of(table)) if epochs.holds(record))
    last = {record.key or b"": record.value for record in states}
    return {key: value for key, value in last.items() if value is not None}


def _all(log: LocalLog, topic: str) -> Iterator[Any]:
    offset = 0
    while records := log.read(topic, 0, offset, 5_000):
        yield from records
        offset = records[-1].offset + 1


def _windows(settings: Settings, table: dict[bytes, bytes]) -> dict[str, bytes]:
    """The packed counts by number."""
    lateness = round(settings.lateness_seconds * SECOND)
    rule = settings.rules.volume_spike
    return {
        key.decode(): SubjectState.from_bytes(
            packed, Subject(SubjectKind.NUMBER, key.decode()), lateness, rule
        ).counts.ring.to_bytes()
        for key, packed in table.items()
    }


def _undisturbed(
    settings: Settings, records: Iterable[NewRecord]
) -> tuple[list[Alert], dict[str, CallFact], dict[str, bytes]]:
    replay = Replay(settings)
    emitted = list(replay.run(records))
    calls: dict[str, CallFact] = {}
    for record in emitted:
        if record.topic == CALLS.name:
            fact = CallFact.decode(record.value or b"")
            calls[fact.call_sid] = fact
    alerts = [Alert.decode(record.value or b"") for record in emitted if record.topic == ALERTS.name]
    return alerts, calls, _windows(settings, dict(replay.tables["numbers"]))


async def _settled(child: Any, data: Path, headers: dict[str, str]) -> None:
    """Wait until agents and history have taken all there is."""
    address = child.address(data)
    async with asyncio.timeout(_SETTLE_SECONDS), aiohttp.ClientSession(headers=headers) as session:
        calm = 0
        while calm < 3:
            async with session.get(f"{address}/metrics") as answer:
                text = await answer.text()
            told = [line.split() for line in text.splitlines() if "_lag_records" in line and line[0] != "#"]
            lags = {name: float(value) for name, value in told}
            # The history's, and one of each topic that agents read.
            assert len(lags) > 1, text
            calm = calm + 1 if not any(lags.values()) else 0
            await asyncio.sleep(0.3)


def test_ten_kills_lose_nothing_and_count_nothing_twice(
    settings: Settings,
    traffic: Any,
    start_up: Callable[[], Any],
    as_records: Callable[..., Iterator[NewRecord]],
    authorised: dict[str, str],
) -> None:
    """After ten kills under load each accepted callback and call is in the history once, and the alerts are equal."""
    _learn(settings, traffic.past)
    token = settings.accounts[traffic.account_sid].get_secret_value()
    drill = _Drill(start_up, settings.data, token, settings.public_url or "", seed=20)
    child = asyncio.run(drill.run(traffic.stretch))
    assert drill.kills_under_load == _KILLS
    assert drill.kills_while_starting == _KILLS_WHILE_STARTING
    assert drill.accepted.total() == len(traffic.stretch)
    asyncio.run(_settled(child, settings.data, authorised))
    assert child.stop() == 0, child.said

    alerts, calls, windows = _undisturbed(settings, as_records(traffic.lines, settings))
    injected = {(i.rule, i.subject.kind.value, i.subject.value) for i in traffic.incidents}
    assert injected <= _spoken_of(alerts)

    log = LocalLog.open(settings.log_path)
    history = History.open(settings.history_path, read_only=True)
    try:
        _check_callbacks(log, history, drill, traffic.past)
        _check_calls(history, calls)
        said = history.query("SELECT rule, subject_kind, subject_value FROM alerts").to_pylist()
        assert {tuple(row.values()) for row in said} == _spoken_of(alerts)
        assert _windows(settings, _changelog(log, "numbers")) == windows
    finally:
        history.close()
        log.close()


def _check_callbacks(log: LocalLog, history: History, drill: _Drill, past: Sequence[Line]) -> None:
    """The history has each record of the log once; the log has each accepted request, and nothing nobody sent."""
    rows = history.query("SELECT log_offset, params::VARCHAR AS params FROM callbacks").to_pylist()
    assert sorted(row["log_offset"] for row in rows) == list(range(log.end(CALLBACKS.name, 0)))
    written = Counter(identity(json.loads(row["params"])) for row in rows)
    messages = history.query("SELECT sid FROM opt_outs WHERE endpoint = '/twilio/messaging'").to_pylist()
    assert messages
    for line in past:
        written[identity(line.params)] -= 1
    for request, accepted in drill.accepted.items():
        if "MessageSid" in request:
            assert json.loads(request)["MessageSid"] in {row["sid"] for row in messages}
        else:
            most = accepted + drill.unanswered[request]
            assert accepted <= written[request] <= most, request
    assert set(+written) <= set(drill.accepted)
    assert min(written.values()) >= 0


def _check_calls(history: History, calls: dict[str, CallFact]) -> None:
    rows = history.query(f"SELECT {_CALL_COLUMNS} FROM calls").to_pylist()
    assert len(rows) == len(calls)
    found = {row["call_sid"]: row for row in rows}
    assert set(found) == set(calls)
    for call_sid, fact in calls.items():
        row = found[call_sid]
        assert row["status"] == (None if fact.status is None else fact.status.value), call_sid
        assert (row["sip_code"], row["ring_seconds"], row["talk_seconds"]) == (
            fact.sip_code,
            fact.ring_seconds,
            fact.talk_seconds,
        ), call_sid
        for column in ("placed_at", "answered_at", "ended_at"):
            moment = row[column]
            told = None if moment is None else round(moment.timestamp() * 1_000)
            assert told == getattr(fact, column), (call_sid, column)
