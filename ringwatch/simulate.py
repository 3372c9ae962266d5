"""The command `simulate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from schemas.settings import ConfigurationError
from schemas.times import from_iso
from streams.ingest.simulator import SCENARIOS, Simulation, default_end


def list_scenarios(*, describe: bool) -> None:
    """Name the scenarios, one a line."""
    width = max(map(len, SCENARIOS))
    for name, scenario in SCENARIOS.items():
        click.echo(f"{name:{width}}  {scenario.description}" if describe else name)


def run_simulate(
    scenario: str,
    seed: int,
    out: Path | None,
    truth: Path | None,
    ending_at: str | None,
    register: Path | None = None,
) -> None:
    """Write a scenario's lines, what it injected, and the register that its company would keep.

    Raises:
        ConfigurationError: no such scenario, a time that is none, or a file that can't be written.
    """
    found = SCENARIOS.get(scenario)
    if found is None:
        raise ConfigurationError(f"--scenario: no {scenario!r}; name one of {', '.join(SCENARIOS)}")
    try:
        end = default_end(found) if ending_at is None else from_iso(ending_at)
    except ValueError as error:
        raise ConfigurationError(f"--ending-at: {error}; write e.g. 2026-11-23T14:00:00Z") from error
    simulation = Simulation(found, seed, end)
    try:
        if out is None:
            _write(simulation, sys.stdout.buffer)
        else:
            with out.open("wb") as file:
                _write(simulation, file)
        if truth is not None:
            truth.write_bytes(simulation.truth().encode())
        if register is not None:
            register.write_bytes(simulation.register())
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: {error.strerror}; name a file that can be written") from error


def _write(simulation: Simulation, file: BinaryIO) -> None:
    file.writelines(line.encode() + b"\n" for line in simulation.lines())
