from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import islice, pairwise, takewhile
from pathlib import Path

import msgspec
import pytest

from schemas.times import DAY, HOUR, from_iso, to_iso
from streams.ingest.simulator import DEFAULT_END, SCENARIOS, Line, Scenario, Simulation, Truth, simulate, truth
from streams.ingest.simulator.draws import stream

ROOT = Path(__file__).parents[4]

# Of the small scenario with seed 7: it changes only when the model is changed on purpose, never with Python's version.
GOLDEN = "3f76c3bb3f5633e02a7a32ab024db7aa751211f306c6ac906050225e2fd391dc"


def digest(scenario: Scenario, seed: int) -> str:
    """Hash the lines of a simulation."""
    return hashlib.sha256(b"\n".join(line.encode() for line in simulate(scenario, seed))).hexdigest()


def test_same_seed_same_bytes(small: Scenario) -> None:
    """A scenario and a seed give the bytes they always gave."""
    assert digest(small, 7) == digest(small, 7) == GOLDEN


def test_other_seed_other_bytes(small: Scenario) -> None:
    """Another seed gives other traffic."""
    assert digest(small, 7) != digest(small, 8)


def test_hash_seed_does_not_matter() -> None:
    """Two processes with different hash seeds write the same bytes."""
    program = (
        "import hashlib; from streams.ingest.simulator import *; "
        "print(hashlib.sha256(b''.join(l.encode() for l in simulate(SCENARIOS['opt-out'], 2))).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            check=True,
            capture_output=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(printed) == 1


def test_draws_use_the_promised_sequence() -> None:
    """A stream is Python's Mersenne Twister, whose sequence is the same in every version."""
    draw = stream(1, "calls", "+12025550100")
    assert [draw() for _ in range(3)] == [0.8302348896797997, 0.2302139868850499, 0.34212882792919397]


def test_lines_are_sorted(clean: tuple[list[Line], Truth]) -> None:
    """Lines come in the order they are received."""
    assert all(one.received_at <= two.received_at for one, two in pairwise(clean[0]))


def test_lines_lie_within_the_simulation(clean: tuple[list[Line], Truth]) -> None:
    """No line is received before the start, or at the end or later."""
    lines, told = clean
    assert told.starts_at <= lines[0].received_at
    assert lines[-1].received_at < told.ends_at == DEFAULT_END


def test_every_line_reads_back(clean: tuple[list[Line], Truth]) -> None:
    """Every line is a JSON object of a time, a path and parameters that are strings."""
    decoder = msgspec.json.Decoder(dict[str, object])
    for line in clean[0]:
        read = decoder.decode(line.encode())
        assert list(read) == ["received_at", "path", "params"]
        assert read["received_at"] == to_iso(line.received_at)
        assert read["path"] == line.path
        assert read["params"] == line.params
        assert all(isinstance(value, str) for value in line.params.values())


def test_lines_are_made_as_they_are_asked_for(small: Scenario) -> None:
    """The first lines of a year come without the rest being made."""
    year = msgspec.structs.replace(small, past=365 * DAY)
    simulation = Simulation(year, 1)
    assert len(list(islice(simulation.lines(), 5))) == 5
    assert simulation._requests.calls < 100


def test_the_end_can_be_chosen(small: Scenario) -> None:
    """Traffic, incidents and truth move with the end that is asked for."""
    ending_at = from_iso("2027-03-04T22:17:31.500Z")
    lines = list(simulate(small, 1, ending_at))
    told = truth(small, 1, ending_at)
    assert ending_at - DAY - HOUR < told.starts_at <= ending_at - DAY
    assert told.starts_at <= lines[0].received_at <= lines[-1].received_at < ending_at
    assert told.ends_at == ending_at
    assert len(told.incidents) == 4


def test_before_an_incident_all_is_as_without_it() -> None:
    """Until its onset an incident changes no byte."""
    ordinary, collapse = (msgspec.structs.replace(SCENARIOS[name], past=DAY) for name in ("clean", "collapse"))
    (incident,) = truth(collapse, 5).incidents

    def before(scenario: Scenario) -> list[bytes]:
        lines = takewhile(lambda line: line.received_at < incident.onset, simulate(scenario, 5))
        return [line.encode() for line in lines]

    assert len(before(ordinary)) > 1_000
    assert before(ordinary) == before(collapse)


def test_too_large_a_fleet_is_refused(small: Scenario) -> None:
    """A fleet beyond the numbers kept free of people is refused at once."""
    with pytest.raises(ValueError, match="make the fleet or its contacts smaller"):
        Simulation(msgspec.structs.replace(small, contacts_per_number=10_000_000), 1)
