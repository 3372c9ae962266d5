"""The command `demo`: the main job on simulated traffic, from signed callbacks to alerts and SQL."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ringwatch.running import new_token
from ringwatch.up import Up, running
from schemas.alert import Alert, AlertState, Severity
from schemas.log import Positions
from schemas.register import Register
from schemas.settings import ConfigurationError, Settings, load_settings
from schemas.times import to_iso
from schemas.topics import ALERTS
from sinks.history.ask import find_running
from streams.detectors.opt_out import RULE as OPT_OUT
from streams.ingest.replay_lines import append_lines
from streams.ingest.simulator import SCENARIOS, Incident, Line, Simulation
from streams.ingest.simulator.play import Delivered, play
from streams.ingest.terms import Terms

_FOLDER = Path("data/demo")
# A folder with this file in it is a demo's and may be removed by the next one.
_MARK = ".ringwatch-demo"

_DEFAULT_PLAY_SECONDS = 45.0
# Under a bound on the whole demo: what is kept back for the end, and the least that playing gets.
_END_SECONDS = 4.0
_LEAST_PLAY_SECONDS = 8.0
# How long the agents and the history may take for what is left once the last callback was sent.
_SETTLE_SECONDS = 60.0

_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def run_demo(config: Path | None, *, data: Path | None, http: str | None, seed: int) -> int:
    """Run the demo.

    Returns:
        0 if every injected incident was found, else 1.

    Raises:
        ConfigurationError: the folder is somebody's data or in use, or DEMO_SECONDS is no number.
    """
    bound = _bound()
    folder = _fresh_folder(data)
    account = SCENARIOS["demo"].account_sid
    token = new_token()
    settings = load_settings(config, data=folder, http=http or "127.0.0.1:8080", accounts={account: token}, broker="")
    return uvloop.run(_show(settings, seed, token, bound, any_port=http is None))


def _bound() -> float | None:
    text = os.environ.get("DEMO_SECONDS", "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise ConfigurationError(f"DEMO_SECONDS: {text!r} is no number of seconds; write e.g. DEMO_SECONDS=60")
    return seconds


def _fresh_folder(data: Path | None) -> Path:
    folder = data or _FOLDER
    if folder.exists() and any(folder.iterdir()):
        running = find_running(folder)
        if running is not None:
            raise ConfigurationError(
                f"--data: {folder} is in use by the demo of process {running.pid}; end it, or name an empty folder"
            )
        if not (folder / _MARK).exists():
            raise ConfigurationError(f"--data: {folder} holds something else than a demo; name an empty folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _MARK).touch()
    return folder


class _Stage:
    """What the demo shows: a console with progress bars, and the alerts that came.

    Args:
        up: the running program, whose alerts are followed.
    """

    def __init__(self, up: Up, progress: Progress) -> None:
        self.up = up
        self.progress = progress
        self.console = progress.console
        self.alerts: list[Alert] = []
        self.shown_from = 0

    async def follow(self) -> None:
        """Collect alerts for ever; show those of the played stretch as they come."""
        partitions = await self.up.log.partitions(ALERTS.name)
        positions: Positions = {(ALERTS.name, partition): 0 for partition in range(partitions)}
        reader = await self.up.log.reader(positions)
        try:
            while True:
                for record in await reader.fetch(100, 1.0):
                    alert = Alert.decode(record.value or b"")
                    self.alerts.append(alert)
                    if self.shown_from and alert.at >= self.shown_from:
                        self.show(alert)
        finally:
            await reader.close()

    def show(self, alert: Alert) -> None:
        """Print one transition."""
        colour = "green" if alert.state is AlertState.RESOLVED else _COLOURS[alert.severity]
        self.console.print(
            f"{to_iso(alert.at)[:19]}Z  [{colour}]{alert.state.value:9} {alert.rule}[/]  ", alert.message, sep=""
        )


async def _show(settings: Settings, seed: int, token: str, bound: float | None, *, any_port: bool) -> int:
    started = time.monotonic()
    console = Console()
    simulation = Simulation(SCENARIOS["demo"], seed, time.time_ns() // 1_000_000)
    console.print("[bold]ringwatch demo[/]: a simulated week to learn from, then six hours played through the gateway")
    async with _running(settings, any_port=any_port) as up:
        console.print(f"API {up.address}/docs   history {settings.history_path}   log {settings.log_path}")
        progress = Progress(
            TextColumn("{task.description:34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        with progress:
            stage = _Stage(up, progress)
            following = asyncio.create_task(stage.follow())
            try:
                stretch = await _learn(stage, simulation, settings)
                left = _DEFAULT_PLAY_SECONDS
                if bound is not None:
                    left = max(bound - (time.monotonic() - started) - _END_SECONDS, _LEAST_PLAY_SECONDS)
                await _play(stage, stretch, simulation.stretch_from, token, left)
                await _settle(stage)
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        found = _judge(console, simulation.truth().incidents, stage.alerts)
        _say_what_next(console, up, settings)
        if bound is None:
            console.print("Everything keeps running; Ctrl-C ends it.")
            await asyncio.Event().wait()
    return 0 if found else 1


@asynccontextmanager
async def _running(settings: Settings, *, any_port: bool) -> AsyncIterator[Up]:
    """Run on the usual port, or on any where nobody asked for that one and it is taken."""
    if any_port and await _is_taken(settings):
        settings = settings.model_copy(update={"http": f"{settings.host}:0"})
    # Nobody is to be woken by what is simulated.
    settings = settings.model_copy(update={"alerts": settings.alerts.model_copy(update={"enabled": False})})
    # The demo shows a working day at any hour, so by the clock its people are called at night.
    hours = settings.rules.calling_hours.model_copy(update={"enabled": False})
    rules = settings.rules.model_copy(update={"calling_hours": hours})
    settings = settings.model_copy(update={"rules": rules})
    # Simulated time runs faster than the clock on the wall, which therefore must not act.
    async with running(settings, ticks=False) as up:
        yield up


async def _is_taken(settings: Settings) -> bool:
    try:
        server = await asyncio.start_server(lambda _reader, _writer: None, settings.host, settings.port)
    except OSError:
        return True
    server.close()
    await server.wait_closed()
    return False


async def _learn(stage: _Stage, simulation: Simulation, settings: Settings) -> Sequence[Line]:
    """Lay the past into the log as a replay does, and wait for the agents; give the lines to be played."""
    past: list[Line] = []
    stretch: list[Line] = []
    for line in simulation.lines():
        (past if line.received_at < simulation.stretch_from else stretch).append(line)
    progress = stage.progress
    written = progress.add_task("A simulated week into the log", total=len(past))

    def counted() -> Iterator[bytes]:
        for line in past:
            progress.advance(written)
            yield line.encode()

    await append_lines(counted(), stage.up.log, Terms.of(settings, Register()), source="simulated past")
    total = stage.up.backlog()
    learned = progress.add_task("Agents learn from it", total=total)
    while (backlog := stage.up.backlog()) > 0:
        total = max(total, backlog)
        progress.update(learned, completed=total - backlog, total=total)
        await asyncio.sleep(0.2)
    progress.update(learned, completed=total)
    return stretch


async def _play(stage: _Stage, stretch: Sequence[Line], played_from: int, token: str, seconds: float) -> None:
    stage.shown_from = played_from
    played = stage.progress.add_task("Six hours through the gateway", total=len(stretch))

    def count(_delivered: Delivered) -> None:
        stage.progress.advance(played)

    address = stage.up.address
    result = await play(stretch, address, address, token, seconds=seconds, on_progress=count)
    stage.console.print(
        f"{result.lines} signed callbacks in {result.seconds:.0f} s: {result.accepted} accepted, "
        f"{result.refused} refused, {result.failed + result.unanswered} failed"
    )


async def _settle(stage: _Stage) -> None:
    async with asyncio.timeout(_SETTLE_SECONDS):
        while stage.up.backlog() > 0:  # noqa: ASYNC110 - a backlog is a number that falls, not an event
            await asyncio.sleep(0.05)
        await stage.up.history.caught_up()
    # The follower is woken by the same commit that emptied the backlog; one turn of its loop is enough.
    await asyncio.sleep(0.2)


def _judge(console: Console, incidents: Sequence[Incident], alerts: Sequence[Alert]) -> bool:
    """Say of each injected incident whether and when it was found."""
    table = Table(title="What was injected, and what was found")
    for heading in ("injected", "on", "onset", "found"):
        table.add_column(heading, overflow="fold")
    all_found = True
    for incident in incidents:
        hits = [
            alert
            for alert in alerts
            if alert.state is AlertState.FIRING
            and (alert.rule, alert.subject) == (incident.rule, incident.subject)
            and alert.at >= incident.onset
        ]
        all_found = all_found and bool(hits)
        first = min(hits, key=lambda alert: alert.at, default=None)
        table.add_row(
            incident.rule,
            f"{incident.subject.kind.value} {incident.subject.value}",
            to_iso(incident.onset)[11:19],
            _found(incident, first),
        )
    console.print(table)
    console.print("[bold green]every incident was found[/]" if all_found else "[bold red]an incident was missed[/]")
    return all_found


def _found(incident: Incident, alert: Alert | None) -> str:
    if alert is None:
        return "[bold red]no[/]"
    if incident.rule == OPT_OUT:
        # An opt-out has no time of Twilio's: it counts from its receipt, which the demo plays in its own time.
        return "at once"
    return to_iso(alert.at)[11:19]


def _say_what_next(console: Console, up: Up, settings: Settings) -> None:
    console.print(f"\nAlerts:   curl -s '{up.address}/v1/alerts?state=firing'")
    console.print(f"Live:     curl -sN {up.address}/v1/stream")
    console.print(f"Numbers:  curl -s {up.address}/v1/numbers")
    query = "select number, count(*) from calls group by 1"
    console.print(f'SQL:      .venv/bin/ringwatch sql --data {settings.data} "{query}"', highlight=False)
    console.print(f"DuckDB:   {settings.history_path}")
