from __future__ import annotations

import pytest

from schemas.times import DAY, HOUR
from streams.ingest.simulator import SCENARIOS, Line, Scenario, Simulation, Truth
from streams.ingest.simulator.scenario import Campaign, OptOut, Signal, Transport


@pytest.fixture(scope="session")
def small() -> Scenario:
    """A day of two numbers with one opt-out of each kind."""
    return Scenario(
        name="small",
        description="A day.",
        campaigns=(Campaign(name="spring-sale", numbers=2, calls_per_day=60.0, answer_rate=0.4),),
        past=0,
        stretch=DAY,
        opt_outs=tuple(
            OptOut(campaign=0, number=0, starts=(20 - 2 * place) * HOUR, signal=signal)
            for place, signal in enumerate(Signal)
        ),
    )


@pytest.fixture(scope="session")
def faultless() -> Scenario:
    """Five days of six numbers over a transport that neither loses nor repeats."""
    return Scenario(
        name="faultless",
        description="Five days.",
        campaigns=(Campaign(name="renewals", numbers=6, calls_per_day=150.0, answer_rate=0.4, completed_only=2),),
        past=0,
        stretch=5 * DAY,
        transport=Transport(loss_share=0.0, duplicate_share=0.0),
    )


@pytest.fixture(scope="session")
def clean() -> tuple[list[Line], Truth]:
    """The lines and the truth of the scenario without incidents."""
    return run(SCENARIOS["clean"], 1)


@pytest.fixture(scope="session")
def faultless_run(faultless: Scenario) -> tuple[list[Line], Truth]:
    """The lines and the truth of the faultless scenario."""
    return run(faultless, 3)


def run(scenario: Scenario, seed: int) -> tuple[list[Line], Truth]:
    """Run a simulation to its end."""
    simulation = Simulation(scenario, seed)
    return list(simulation.lines()), simulation.truth()
