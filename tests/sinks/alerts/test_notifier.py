"""Telling people from a real log, to a real web server."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from ringwatch.topics import create_topics
from schemas.alert import Alert, AlertState
from schemas.alerting import Alerting
from schemas.log import NewRecord
from schemas.silence import Silence
from schemas.topics import ALERTS, SILENCES
from sinks.alerts.keeping import STATE_FILE
from sinks.alerts.notifier import Notifier
from streams.transports.local.log import LocalLog

_PATIENCE_SECONDS = 20.0


class Receiver(ThreadingHTTPServer):
    """A web server that keeps what it gets, and answers what it is told to: 200 once `answers` is used up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answers: list[int] = []
        self.before_answer: Callable[[], object] = lambda: None
        self.url = f"http://127.0.0.1:{self.server_address[1]}/secret-path"

    def taken(self) -> list[dict[str, Any]]:
        """What was answered 200."""
        return [body for headers, body in self.got if headers["x-answered"] == "200"]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        """Keep a request and answer it."""
        server = self.server
        assert isinstance(server, Receiver)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = server.answers.pop(0) if server.answers else 200
        headers = {name.lower(): value for name, value in self.headers.items()} | {"x-answered": str(status)}
        server.before_answer()
        server.got.append((headers, body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Start web servers."""
    started: list[tuple[Receiver, threading.Thread]] = []

    def start() -> Receiver:
        receiver = Receiver()
        thread = threading.Thread(target=receiver.serve_forever, args=(0.02,))
        thread.start()
        started.append((receiver, thread))
        return receiver

    yield start
    for receiver, thread in started:
        receiver.shutdown()
        thread.join()
        receiver.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach this machine directly, whatever the environment says."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LocalLog]:
    """A log with ringwatch's topics, and a data folder beside it."""
    opened = LocalLog.open(tmp_path / "log")
    create_topics(opened, 1)
    yield opened
    opened.close()


class Running(SimpleNamespace):
    """A notifier that runs, and its clock, which the test moves."""

    notifier: Notifier
    clock: list[int]
    registry: CollectorRegistry

    def outcome(self, name: str) -> float:
        """How many notifications had an outcome."""
        return self.registry.get_sample_value("ringwatch_notifications_total", {"outcome": name}) or 0.0


@asynccontextmanager
async def running(log: LocalLog, folder: Path, now: int, *receivers: Receiver, **more: Any) -> AsyncIterator[Running]:
    """Run a notifier; the clock stands still until the test moves it."""
    settings = Alerting(webhooks=[receiver.url for receiver in receivers], **more)  # type: ignore[arg-type]  # checked
    clock = [now]
    registry = CollectorRegistry()
    notifier = Notifier(
        log,
        settings,
        folder=folder,
        external_url="http://ringwatch.test",
        registry=registry,
        clock=lambda: clock[0],
        first_pause=0.05,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(notifier.run(stop))
    try:
        await asyncio.wait_for(notifier.caught_up.wait(), _PATIENCE_SECONDS)
        yield Running(notifier=notifier, clock=clock, registry=registry)
    finally:
        stop.set()
        await asyncio.wait_for(task, _PATIENCE_SECONDS)


async def soon(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def say(log: LocalLog, *alerts: Alert | Silence) -> None:
    """Append alerts and silences."""
    records = []
    for one in alerts:
        if isinstance(one, Alert):
            records.append(NewRecord(ALERTS.name, one.alert_id.encode(), one.encode()))
        else:
            records.append(NewRecord(SILENCES.name, one.silence_id.encode(), one.encode()))
    await log.append(records)


async def taken_in(log: LocalLog, run: Running) -> None:
    """Wait until the notifier has read all."""
    await soon(
        lambda: all(
            run.notifier.positions.get((topic, 0), 0) >= log.end(topic, 0) for topic in (ALERTS.name, SILENCES.name)
        )
    )


def test_a_webhook_gets_alertmanagers_json(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """A group of two is one POST of version 4, its end another with the same key; each has an id of its own."""
    receiver = receivers()

    async def scenario() -> None:
        async with running(log, tmp_path, make.NOW, receiver) as run:
            await say(log, make.alert("+1"), make.alert("+2"))
            await taken_in(log, run)
            run.clock[0] += 30_000
            await soon(receiver.taken)
            await say(log, make.alert("+1", state=AlertState.RESOLVED, sequence=2, at=make.NOW + 60_000))
            await taken_in(log, run)
            run.clock[0] += 300_000
            await soon(lambda: len(receiver.taken()) == 2)
            # The receiver has it a moment before its answer is counted.
            await soon(lambda: (run.outcome("delivered"), run.outcome("logged")) == (2, 2))

    asyncio.run(scenario())
    (first_headers, first), (second_headers, second) = receiver.got
    assert set(first) == {
        "version",
        "groupKey",
        "truncatedAlerts",
        "status",
        "receiver",
        "groupLabels",
        "commonLabels",
        "commonAnnotations",
        "externalURL",
        "alerts",
    }
    assert (first["version"], first["status"], first["truncatedAlerts"]) == ("4", "firing", 0)
    assert first["groupLabels"] == {"rule": "volume_spike", "campaign": "spring-sale"}
    assert first["commonLabels"] == {
        "alertname": "volume_spike",
        "rule": "volume_spike",
        "kind": "number",
        "severity": "warning",
        "campaign": "spring-sale",
    }
    assert first["commonAnnotations"] == {"what_to_do": "Rest the number.", "source": "ITU-T E.411"}
    alert = next(one for one in first["alerts"] if one["labels"]["value"] == "+1")
    assert alert == {
        "status": "firing",
        "labels": first["commonLabels"] | {"value": "+1"},
        "annotations": first["commonAnnotations"] | {"summary": "+1 is firing"},
        "startsAt": "2026-11-23T14:00:00.000Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": f"http://ringwatch.test/v1/alerts/{make.alert('+1').alert_id}",
        "fingerprint": make.alert("+1").alert_id,
    }
    assert "secret" not in first["receiver"]
    assert [(one["labels"]["value"], one["status"]) for one in second["alerts"]] == [
        ("+2", "firing"),
        ("+1", "resolved"),
    ]
    assert second["alerts"][1]["endsAt"] == "2026-11-23T14:01:00.000Z"
    assert first["groupKey"] == second["groupKey"]
    assert first_headers["idempotency-key"] != second_headers["idempotency-key"]


def test_a_receiver_that_fails_is_tried_again_and_holds_up_no_other(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """A 500 is tried again under the same id until it is taken; a 400 is not; the other receiver gets it at once."""
    failing, well, refusing = receivers(), receivers(), receivers()
    failing.answers = [500, 503, 429]
    refusing.answers = [400]

    async def scenario() -> None:
        async with running(log, tmp_path, make.NOW, failing, well, refusing) as run:
            await say(log, make.alert("+1"))
            await taken_in(log, run)
            run.clock[0] += 30_000
            await soon(lambda: failing.taken() and well.taken() and refusing.got)
            await soon(lambda: run.outcome("delivered") == 2)
            assert (run.outcome("failed"), run.outcome("refused")) == (3, 1)
            assert run.notifier.outbox.everything() == []

    asyncio.run(scenario())
    assert len({headers["idempotency-key"] for headers, _ in failing.got}) == 1
    assert (len(failing.got), len(well.got), len(refusing.got)) == (4, 1, 1)


def test_a_restart_neither_repeats_nor_loses(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """What was told before a restart is not told after it; what came meanwhile, and what no receiver took, is."""
    receiver = receivers()
    receiver.answers = [500] * 3

    async def scenario() -> None:
        async with running(log, tmp_path, make.NOW, receiver) as run:
            await say(log, make.alert("+1"))
            await taken_in(log, run)
            run.clock[0] += 30_000
            await soon(lambda: receiver.got)
        first_id = receiver.got[0][0]["idempotency-key"]
        assert json.loads((tmp_path / STATE_FILE).read_bytes())["outbox"]
        assert (tmp_path / STATE_FILE).stat().st_mode & 0o077 == 0
        await say(log, make.alert("+2"), make.alert("+2", state=AlertState.RESOLVED, sequence=2), make.alert("+1"))
        async with running(log, tmp_path, make.NOW + 40_000, receiver) as run:
            await soon(receiver.taken)
            assert {headers["idempotency-key"] for headers, _ in receiver.got} == {first_id}
            await taken_in(log, run)
            run.clock[0] = make.NOW + 330_000
            # An answer that nobody has seen yet when it stops is asked for again.
            await soon(lambda: run.outcome("delivered") == 2)
        async with running(log, tmp_path, make.NOW + 340_000, receiver) as run:
            run.clock[0] += 3_600_000
            await asyncio.sleep(0.4)

    asyncio.run(scenario())
    first, second = receiver.taken()
    assert [one["labels"]["value"] for one in first["alerts"]] == ["+1"]
    assert [(one["labels"]["value"], one["status"]) for one in second["alerts"]] == [
        ("+1", "firing"),
        ("+2", "resolved"),
    ]


def test_a_crash_while_a_webhook_answers_repeats_it_under_the_same_id(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """What was on disk when the webhook was called leads to the same notification again, and to no other."""
    receiver = receivers()
    kept: list[bytes] = []
    receiver.before_answer = lambda: kept.append((tmp_path / STATE_FILE).read_bytes())

    async def scenario() -> None:
        async with running(log, tmp_path, make.NOW, receiver) as run:
            await say(log, make.alert("+1"))
            await taken_in(log, run)
            run.clock[0] += 30_000
            await soon(receiver.taken)
        (tmp_path / STATE_FILE).write_bytes(kept[0])
        async with running(log, tmp_path, make.NOW + 400_000, receiver) as run:
            await soon(lambda: len(receiver.taken()) == 2)
            await soon(lambda: not run.notifier.outbox.everything())
            run.clock[0] += 400_000
            await asyncio.sleep(0.4)

    asyncio.run(scenario())
    (first_headers, first), (second_headers, second) = receiver.got
    assert first_headers["idempotency-key"] == second_headers["idempotency-key"]
    assert first == second


def test_a_first_start_on_an_old_log_tells_what_fires(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """Without a state, a log of old alerts gives one notification of what still fires and is not silenced."""
    receiver = receivers()

    async def scenario() -> None:
        for number in range(40):
            await say(log, make.alert(f"+{number}"))
            if number > 2:
                await say(log, make.alert(f"+{number}", state=AlertState.RESOLVED, sequence=2))
        await say(log, make.silence(kind="number", value="+1"))
        async with running(log, tmp_path, make.NOW, receiver) as run:
            run.clock[0] += 30_000
            await soon(receiver.taken)
            assert run.registry.get_sample_value("ringwatch_silences") == 1
            run.clock[0] += 3_000_000
            await asyncio.sleep(0.4)

    asyncio.run(scenario())
    assert [sorted(one["labels"]["value"] for one in body["alerts"]) for body in receiver.taken()] == [["+0", "+2"]]


def test_every_notification_is_a_line_of_the_log(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a webhook, people are told by the program's log; the overflow is told there and counted."""
    caplog.set_level(logging.INFO, logger="ringwatch.alerts")

    async def scenario() -> None:
        async with running(log, tmp_path, make.NOW, new_alerts_per_minute=2) as run:
            await say(log, *(make.alert(f"+{number}") for number in range(5)))
            await taken_in(log, run)
            run.clock[0] += 60_000
            await soon(lambda: run.outcome("logged") == 1)
            run.clock[0] += 60_000
            await soon(lambda: run.outcome("logged") == 2)
            assert run.registry.get_sample_value("ringwatch_alerts_overflow_total") == 3

    asyncio.run(scenario())
    group, overflow = [record.getMessage() for record in caplog.records if record.name == "ringwatch.alerts"]
    assert group.startswith("firing rule=volume_spike campaign=spring-sale: 2 firing, 2 new, 3 more")
    assert " | +" in group
    assert overflow.startswith("firing and 3 more: 3 volume_spike")


def test_one_process_tells_from_a_folder(
    log: LocalLog, tmp_path: Path, make: SimpleNamespace, receivers: Callable[[], Receiver]
) -> None:
    """A second process on the same folder, or one that is not enabled, knows the silences and tells nobody."""
    receiver, idle = receivers(), receivers()

    async def scenario() -> None:
        async with (
            running(log, tmp_path, make.NOW, receiver) as run,
            running(log, tmp_path, make.NOW, idle) as second,
            running(log, tmp_path / "none", make.NOW, idle, enabled=False) as third,
        ):
            await say(log, make.alert("+1"), make.silence(rule="other"))
            await taken_in(log, run)
            for one in (run, second, third):
                await soon(lambda one=one: one.notifier.silences())
                assert one.notifier.readiness() is True
                one.clock[0] += 30_000
            await soon(receiver.taken)
            await asyncio.sleep(0.3)

    asyncio.run(scenario())
    assert idle.got == []


@pytest.mark.parametrize("damage", [b"{", b'{"version": 99, "positions": [], "router": {}, "outbox": []}', b"\xff"])
def test_a_damaged_state_is_set_aside(log: LocalLog, tmp_path: Path, make: SimpleNamespace, damage: bytes) -> None:
    """A state that can't be read does not keep ringwatch from telling: it starts anew and keeps the file."""
    (tmp_path / STATE_FILE).write_bytes(damage)

    async def scenario() -> None:
        await say(log, make.alert("+1"))
        async with running(log, tmp_path, make.NOW) as run:
            run.clock[0] += 30_000
            await soon(lambda: run.outcome("logged") == 1)

    asyncio.run(scenario())
    assert (tmp_path / "notifications.damaged").read_bytes() == damage
    assert json.loads((tmp_path / STATE_FILE).read_bytes())["version"] == 1


def test_a_state_of_another_log_is_not_gone_on_from(tmp_path: Path, log: LocalLog, make: SimpleNamespace) -> None:
    """Beside a log that ends before what was read, everything is read anew: new alerts are not taken for old ones."""

    async def scenario() -> None:
        await say(log, *(make.alert(f"+{number}") for number in range(5)))
        async with running(log, tmp_path, make.NOW) as run:
            run.clock[0] += 30_000
            await soon(lambda: run.outcome("logged") == 1)
        other = LocalLog.open(tmp_path / "other")
        try:
            create_topics(other, 1)
            await say(other, make.alert("+9"))
            async with running(other, tmp_path, make.NOW + 60_000) as run:
                run.clock[0] += 30_000
                await soon(lambda: run.outcome("logged") == 1)
                assert [alert.labels["value"] for alert in run.notifier.router.state.alerts.values()] == ["+9"]
        finally:
            other.close()

    asyncio.run(scenario())
