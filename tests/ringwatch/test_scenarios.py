from __future__ import annotations

from pathlib import Path

import pytest

from ringwatch.register import read_register
from ringwatch.verdict import judge
from schemas.settings import Settings
from streams.agents.replay import Replay
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator import SCENARIOS, Simulation, default_end
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record

# A week of 200 numbers takes half a minute, and the demo has a test of its own.
LEFT_OUT = {"two-hundred", "demo"}
# A wrong scenario may raise thousands of alerts; these are enough to see why.
SHOWN = 30


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in LEFT_OUT])
def test_each_incident_is_found_once_and_nothing_else(name: str, tmp_path: Path) -> None:
    """A scenario's incidents are found once, by rule, subject and onset, and nothing else is raised."""
    simulation = Simulation(SCENARIOS[name], 1, default_end(SCENARIOS[name]))
    register = tmp_path / "register.toml"
    register.write_bytes(simulation.register())
    settings = Settings(register_file=register)
    terms = Terms.of(settings, read_register(settings))
    records = (new_record(understood) for line in simulation.lines() for understood in read_line(line.encode(), terms))
    # The truth runs what is left of the lines, so it comes last.
    alerts = Replay(settings).alerts(records)
    verdict = judge(simulation.truth(), alerts)
    assert verdict.is_right, "\n".join(list(verdict.told())[-SHOWN:])
