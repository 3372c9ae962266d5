"""A real `ringwatch up` as a child process, and small simulated traffic to play to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest

from ringwatch.topics import create_topics
from schemas.log import NewRecord, Record
from schemas.register import Register
from schemas.settings import Settings, load_settings
from schemas.times import DAY, MINUTE, from_iso
from sinks.history.ask import RUNNING_FILE, Running
from streams.agents.app import APP_ID, changelog_of, create_app
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import Incident, Line, Simulation
from streams.ingest.simulator.scenario import Campaign, Collapse, OptOut, Scenario, Signal, Spike
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record
from streams.transports.local.driver import release_log, share_log
from streams.transports.local.log import LocalLog

PUBLIC_URL = "https://hooks.example.com"
AUTH_TOKEN = "the auth token of the tests"
API_TOKEN = "the API token of the tests"

# What a start or a stop may take on a machine that has much else to do.
_PATIENCE_SECONDS = 60.0

# Simulated time is fixed, so that a seed gives the same calls and alerts on any day; it lies long before the receipt.
# Verdicts carry no time but that of their receipt, so calls that never end must not be closed by time here: they would
# be closed in a replay, and not where the same lines are played months later.
_ENDS_AT = from_iso("2026-01-15T23:00:00Z")
_CONFIG = """
lateness_seconds = 1800
[assembly]
past_tolerance_hours = 1_000_000
call_timeout_hours = 1_000_000
[history]
flush_seconds = 0.2
[rules.volume_spike]
number_limit = 20
# The days are turned, so that the end is a working day: by the clock, people are called at night.
[rules.calling_hours]
enabled = false
# Of a number that falls, a streak or the collapse is told first, by the order of its calls.
[rules.no_answer_streak]
enabled = false
"""

_SCENARIO = Scenario(
    name="small",
    description="Four days to learn from, then six hours with a collapse, a spike and three opt-outs.",
    campaigns=(
        Campaign(name="spring-sale", numbers=3, calls_per_day=200.0, answer_rate=0.36),
        Campaign(name="renewals", numbers=3, calls_per_day=200.0, answer_rate=0.40),
    ),
    past=4 * DAY,
    stretch=360 * MINUTE,
    end_of_week_hour=3 * 24 + 23,
    collapses=(Collapse(campaign=0, number=2, starts=330 * MINUTE, odds=0.05),),
    spikes=(Spike(campaign=1, number=1, starts=180 * MINUTE, ends=160 * MINUTE, factor=25.0),),
    opt_outs=(
        OptOut(campaign=0, number=0, starts=240 * MINUTE, signal=Signal.STOP_WORD),
        OptOut(campaign=1, number=1, starts=120 * MINUTE, signal=Signal.DTMF),
        OptOut(campaign=0, number=1, starts=40 * MINUTE, signal=Signal.SPEECH),
    ),
)


class Traffic(msgspec.Struct, frozen=True):
    """Simulated lines: a past to learn from, a stretch in which something happens, and what happens there."""

    account_sid: str
    past: Sequence[Line]
    stretch: Sequence[Line]
    incidents: Sequence[Incident]

    @property
    def lines(self) -> list[Line]:
        """All lines in order of receipt."""
        return [*self.past, *self.stretch]


@pytest.fixture(scope="session")
def traffic() -> Traffic:
    """Some 13,000 lines, of which 2,400 are the stretch."""
    simulation = Simulation(_SCENARIO, 1, _ENDS_AT)
    lines = list(simulation.lines())
    cut = next(place for place, line in enumerate(lines) if line.received_at >= simulation.stretch_from)
    return Traffic(_SCENARIO.account_sid, lines[:cut], lines[cut:], simulation.truth().incidents)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in a folder of its own and without the settings of whoever runs it."""
    for variable in os.environ:
        if variable.startswith(("RINGWATCH_", "DEMO_SECONDS")):
            monkeypatch.delenv(variable)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration file under which old simulated timestamps are usable."""
    path = tmp_path / "traffic.toml"
    path.write_text(_CONFIG)
    return path


@pytest.fixture
def authorised() -> dict[str, str]:
    """The headers of whoever may ask the API."""
    return {"Authorization": f"Bearer {API_TOKEN}"}


@pytest.fixture
def settings(config: Path, tmp_path: Path, traffic: Traffic) -> Settings:
    """The settings that a child started with `config` and `accounts` has, on the data folder `data`."""
    return load_settings(
        config,
        data=tmp_path / "data",
        http="127.0.0.1:0",
        public_url=PUBLIC_URL,
        accounts={traffic.account_sid: AUTH_TOKEN},
        api_token=API_TOKEN,
    )


AsRecords = Callable[[Iterable[Line], Settings], Iterator[NewRecord]]


@pytest.fixture
def as_records() -> AsRecords:
    """Give a function that reads lines as the gateway would have."""

    def read(lines: Iterable[Line], settings: Settings) -> Iterator[NewRecord]:
        terms = Terms.of(settings, Register())
        return (new_record(understood) for line in lines for understood in read_line(line.encode(), terms))

    return read


def wait_until(condition: Callable[[], bool], what: str, seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait for a condition; fail the test if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.01)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until


class Child:
    """A `ringwatch` command as a process of its own; what it says goes into a file."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], output: Path) -> None:
        self._output = output
        self._file: IO[bytes] = output.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ringwatch", *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    @property
    def said(self) -> str:
        """All it has written so far."""
        return self._output.read_text(errors="replace")

    def address(self, data: Path) -> str | None:
        """The base URL it listens on; None while it is starting.

        Raises:
            AssertionError: it has ended.
        """
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said}"
        try:
            running = msgspec.json.decode((data / RUNNING_FILE).read_bytes(), type=Running)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return running.http if running.pid == self.process.pid else None

    def wait_for_address(self, data: Path) -> str:
        """The base URL, once it listens."""
        wait_until(lambda: self.address(data) is not None, "the program to listen")
        address = self.address(data)
        assert address is not None
        return address

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self._file.close()

    def stop(self) -> int:
        """Ask it to end; give its exit code."""
        self.process.terminate()
        code = self.process.wait(_PATIENCE_SECONDS)
        self._file.close()
        return code


StartChild = Callable[..., Child]


@pytest.fixture
def start_child(tmp_path: Path) -> Iterator[StartChild]:
    """Give a function that starts `ringwatch` with arguments and environment; what still runs in the end is killed."""
    children: list[Child] = []

    def start(*arguments: str, **environment: str) -> Child:
        children.append(Child(arguments, environment, tmp_path / f"child-{len(children)}.txt"))
        return children[-1]

    yield start
    for child in children:
        child.kill()


@pytest.fixture
def start_up(start_child: StartChild, config: Path, settings: Settings, traffic: Traffic) -> Callable[[], Child]:
    """Give a function that starts `ringwatch up` on the data folder of `settings`, signatures checked."""
    accounts = msgspec.json.encode({traffic.account_sid: AUTH_TOKEN}).decode()

    def start() -> Child:
        arguments = ("up", "--data", str(settings.data), "--http", "127.0.0.1:0", "--config", str(config))
        return start_child(
            *arguments,
            RINGWATCH_ACCOUNTS=accounts,
            RINGWATCH_PUBLIC_URL=PUBLIC_URL,
            RINGWATCH_API_TOKEN=API_TOKEN,
        )

    return start


class Agents:
    """The Faust app at work on a log, in this process."""

    def __init__(self, log: LocalLog, app: Any) -> None:
        self.log = log
        self.app = app

    def table(self, stage: str) -> dict[bytes, bytes]:
        """What a stage's table holds."""
        table: Any = self.app.tables[stage]
        return {
            key: packed
            for partition in range(self.log.topics()[changelog_of(stage)])
            for key, packed in table.states.of(partition).items()
        }

    def lag(self) -> int:
        """Records that are not applied yet."""
        committed = self.log.committed(APP_ID)
        sources = {topic for agent in self.app.agents.values() for topic in agent.channel.topics}
        return sum(
            self.log.end(topic, partition) - committed.get((topic, partition), 0)
            for topic in sources
            for partition in range(self.log.topics()[topic])
        )

    async def idle(self) -> None:
        """Wait until all is applied."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while self.lag() > 0:  # noqa: ASYNC110 - a number that falls, not an event
                await asyncio.sleep(0.005)


@asynccontextmanager
async def _agents_on(settings: Settings) -> AsyncIterator[Agents]:
    log = share_log(settings.log_path)
    try:
        create_topics(log, settings.partitions)
        app = create_app(settings, f"local://{settings.log_path}", log)
        transport: Any = app.transport
        tables: Any = app.tables
        try:
            await app.start()
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await tables.recovery.completed.wait()
            yield Agents(log, app)
        finally:
            await app.stop()
            transport.release()
    finally:
        release_log(settings.log_path)


@pytest.fixture
def agents_on() -> Callable[[Settings], AbstractAsyncContextManager[Agents]]:
    """Give a function that runs the agents on the log of settings, its topics made and its tables restored."""
    return _agents_on


def all_records(log: LocalLog, topic: str, partition: int = 0) -> Iterator[Record]:
    """Read a partition from its beginning to its end."""
    offset = log.start(topic, partition)
    while records := log.read(topic, partition, offset, 5_000):
        yield from records
        offset = records[-1].offset + 1


@pytest.fixture(name="all_records")
def _all_records() -> Callable[..., Iterator[Record]]:
    return all_records
