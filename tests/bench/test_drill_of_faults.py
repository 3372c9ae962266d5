from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.apache_kafka import Cluster
from bench.drill.faults import FAULTS
from bench.drill.run import drill
from bench.drill.table import Row
from bench.drill.traffic import simulate_traffic

# On one stand, as starting it takes longer than a fault; `make drill` has the others.
_DRILLED = ("worker killed", "broker killed", "zombie")
# Of this shape, a replay says the same whatever the order of calls that are minutes apart.
_MINUTES = 30
_CALLS_PER_DAY = 600.0
_PAST_DAYS = 2
_LINES_A_SECOND = 60.0


@pytest.mark.kafka
@pytest.mark.timeout(400)
def test_faults_lose_nothing_and_count_nothing_twice(kafka_cluster: Callable[..., Cluster], tmp_path: Path) -> None:
    """After each fault all that was accepted is there once, and windows and alerts are those of an undisturbed run."""
    faults = [fault for fault in FAULTS if fault.name in _DRILLED]
    traffic = simulate_traffic(len(faults), _MINUTES, _CALLS_PER_DAY, _PAST_DAYS)
    folder = tmp_path / "stand"
    folder.mkdir()
    told: list[Row] = []
    cluster = kafka_cluster()
    rows = asyncio.run(drill(cluster, folder, faults, traffic, _LINES_A_SECOND, told.append))
    assert told == rows
    assert [row.fault for row in rows] == list(_DRILLED)
    for row, lines in zip(rows, traffic.stretches, strict=True):
        assert row.differences == [], row
        assert row.seconds is not None, row
        assert row.accepted == len(lines)
    # Each stretch brings a spike, a collapse or opt-outs, or there would be nothing to miss.
    assert [row.alerts for row in rows] == sorted({row.alerts for row in rows})
