"""A log in a temporary folder, and a clock that stands until it is moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.transports.local.log import LocalLog


class StandingClock:
    """Gives the same time until `now` is set; ms since the epoch."""

    def __init__(self) -> None:
        self.now = 1_795_442_400_000

    def __call__(self) -> int:
        """Give the time."""
        return self.now


@pytest.fixture
def clock() -> StandingClock:
    """Give a clock for the log."""
    return StandingClock()


@pytest.fixture
def log_path(tmp_path: Path) -> Path:
    """Name a file that is not there yet, in a folder that is not there yet."""
    return tmp_path / "data" / "log.db"


@pytest.fixture
def log(log_path: Path, clock: StandingClock) -> Iterator[LocalLog]:
    """Give an open log."""
    opened = LocalLog.open(log_path, clock=clock)
    yield opened
    opened.close()
