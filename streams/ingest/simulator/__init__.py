"""Traffic as Twilio would send it, from a seed, with what was injected told beside it."""

from __future__ import annotations

from streams.ingest.simulator.line import Line
from streams.ingest.simulator.scenario import Scenario
from streams.ingest.simulator.scenarios import SCENARIOS
from streams.ingest.simulator.simulation import DEFAULT_END, Simulation, default_end, simulate, truth
from streams.ingest.simulator.truth import Companion, Incident, Truth, read_truth

__all__ = [
    "DEFAULT_END",
    "SCENARIOS",
    "Companion",
    "Incident",
    "Line",
    "Scenario",
    "Simulation",
    "Truth",
    "default_end",
    "read_truth",
    "simulate",
    "truth",
]
