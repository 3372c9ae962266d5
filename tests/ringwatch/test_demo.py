from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., Any]


@pytest.mark.timeout(300)
def test_the_demo_finds_every_incident_and_ends_by_itself(start_child: Start, tmp_path: Path) -> None:
    """With DEMO_SECONDS the demo ends, exits 0 since every incident was found, and says where API and DuckDB are."""
    data = tmp_path / "demo"
    child = start_child("demo", "--data", str(data), "--http", "127.0.0.1:0", DEMO_SECONDS="30", COLUMNS="200")
    assert child.process.wait(240) == 0, child.said
    assert "every incident was found" in child.said
    assert "/docs" in child.said
    assert str(data / "history.duckdb") in child.said
    assert "0 refused, 0 failed" in child.said


@pytest.mark.timeout(300)
def test_without_a_bound_the_demo_keeps_running(start_child: Start, tmp_path: Path, wait_until: Any) -> None:
    """Without DEMO_SECONDS everything keeps running until it is interrupted; a second demo is refused its folder."""
    data = tmp_path / "demo"
    data.mkdir()
    (data / ".ringwatch-demo").touch()
    (data / "left-over").touch()
    child = start_child("demo", "--data", str(data), "--http", "127.0.0.1:0", COLUMNS="200")
    address = child.wait_for_address(data)
    assert not (data / "left-over").exists()
    wait_until(lambda: _ready(address), "the demo to be ready")
    second = start_child("demo", "--data", str(data), "--http", "127.0.0.1:0")
    assert second.process.wait(60) == 2
    assert f"in use by the demo of process {child.process.pid}" in second.said
    assert (data / "log").exists()
    child.process.send_signal(2)
    assert child.process.wait(60) != 0


def _ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            return json.load(answer)["status"] == "ready"
    except OSError:
        return False


@pytest.mark.parametrize("seconds", ["abc", "0", "-3"])
def test_a_bound_that_is_none_is_refused(start_child: Start, tmp_path: Path, seconds: str) -> None:
    """DEMO_SECONDS must be a number of seconds."""
    child = start_child("demo", "--data", str(tmp_path / "demo"), DEMO_SECONDS=seconds)
    assert child.process.wait(60) == 2
    assert "write e.g. DEMO_SECONDS=60" in child.said


def test_a_folder_with_other_data_is_refused(start_child: Start, tmp_path: Path) -> None:
    """The demo never removes what is not a demo's."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters.txt").write_text("dear")
    child = start_child("demo", "--data", str(tmp_path / "mine"))
    assert child.process.wait(60) == 2
    assert "name an empty folder" in child.said
    assert (tmp_path / "mine" / "letters.txt").read_text() == "dear"
