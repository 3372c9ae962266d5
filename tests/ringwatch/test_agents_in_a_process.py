from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client import CollectorRegistry, generate_latest

from ringwatch.agents import Agents, LagCollector, agents_at_work
from ringwatch.cli import cli
from ringwatch.opening import open_log
from ringwatch.parts import Parts, running_parts
from schemas.settings import Settings, load_settings
from schemas.topics import CALLBACKS


class Held(Agents):
    """Agents whose partitions a test moves."""

    def __init__(self) -> None:
        self.now: dict[tuple[str, int], int] = {}

    def lags(self) -> dict[tuple[str, int], int]:
        """The lag of the partitions held now."""
        return self.now


def test_the_lag_of_partitions_that_moved_away_vanishes() -> None:
    """The lag is told of each partition held now, and of no other."""
    agents, registry = Held(), CollectorRegistry()
    registry.register(LagCollector(agents))

    def told() -> list[str]:
        return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]

    agents.now = {("callbacks", 1): 5, ("calls", 0): 0}
    assert told() == [
        'ringwatch_agents_lag_records{partition="1",topic="callbacks"} 5.0',
        'ringwatch_agents_lag_records{partition="0",topic="calls"} 0.0',
    ]
    agents.now = {("calls", 0): 2}
    assert told() == ['ringwatch_agents_lag_records{partition="0",topic="calls"} 2.0']


@asynccontextmanager
async def _at_work(settings: Settings) -> AsyncIterator[tuple[Agents, Parts]]:
    async with (
        open_log(settings) as log,
        running_parts() as parts,
        agents_at_work(settings, log, CollectorRegistry(), parts) as agents,
    ):
        yield agents, parts


def test_agents_of_the_embedded_log_hold_every_partition(tmp_path: Path) -> None:
    """One process holds all partitions, knows their lag from the start, and is ready once states are read."""
    settings = load_settings(data=tmp_path, partitions=3)

    async def run() -> None:
        async with _at_work(settings) as (agents, _):
            assert agents.callbacks_held() == {0, 1, 2}
            assert {lag for (topic, _), lag in agents.lags().items() if topic == CALLBACKS.name} == {0}
            assert agents.backlog() == 0
            async with asyncio.timeout(30):
                while agents.readiness() is not True:  # noqa: ASYNC110 - nothing tells of it
                    await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_broker_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a broker that does not answer ends with 2 and says what to look at."""
    monkeypatch.setenv("RINGWATCH_BROKER", "kafka://127.0.0.1:1")
    said = CliRunner().invoke(cli, ["worker", "--partitions-report"])
    assert said.exit_code == 2
    assert "127.0.0.1:1" in said.stderr


def test_json_is_for_the_report_alone(tmp_path: Path) -> None:
    """A worker that runs prints nothing as JSON, so the option without the report is refused."""
    said = CliRunner().invoke(cli, ["worker", "--json", "--data", str(tmp_path)])
    assert said.exit_code == 2
    assert "--partitions-report" in said.stderr
