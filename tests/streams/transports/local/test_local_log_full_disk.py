from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from schemas.log import LogUnavailableError, NewRecord
from schemas.topics import Cleanup
from streams.transports.local.log import LocalLog

_ROOT = Path(__file__).parents[4]
_VALUE = os.urandom(20_000)
# A limit on file size makes every write past it fail, as a quota does; it can only be set for a whole process.
_LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from schemas.log import LogUnavailableError, NewRecord
from schemas.topics import Cleanup
from streams.transports.local.log import LocalLog

async def run():
    log = LocalLog.open(Path(sys.argv[1]))
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    accepted = refused = 0
    while refused < 5:
        try:
            await log.append([NewRecord("calls", None, b"%06d" % accepted + bytes(20_000))])
            accepted += 1
        except LogUnavailableError:
            refused += 1
    assert log.end("calls", 0) == accepted
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await log.append([NewRecord("calls", None, b"%06d" % accepted)])
    values = [int(record.value[:6]) for record in log.read("calls", 0, 0, 1_000)]
    assert values == list(range(accepted + 1)), values
    log.close()
    print(accepted)

asyncio.run(run())
"""


def _check_whole(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def _fill(log: LocalLog, accepted: list[bytes]) -> None:
    """Append until three appends in a row are refused."""
    refused = 0
    while refused < 3:
        value = b"%06d" % len(accepted) + _VALUE
        try:
            placed = await log.append([NewRecord("calls", None, value)])
        except LogUnavailableError as error:
            assert "free space" in str(error)  # noqa: PT017 - the loop ends by it
            refused += 1
        else:
            assert placed == [(0, len(accepted))]
            accepted.append(value)
            refused = 0


def _check_content(log: LocalLog, accepted: list[bytes]) -> None:
    assert [record.value for record in log.read("calls", 0, 0, 100_000)] == accepted
    assert log.end("calls", 0) == len(accepted)


def test_full_file_refuses_and_recovers(log: LocalLog, log_path: Path) -> None:
    """When SQLite says the disk is full appends fail, what was accepted stays, and space makes it work again."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    connection = log._storage._connection
    connection.execute("PRAGMA max_page_count = 200")
    accepted: list[bytes] = []
    asyncio.run(_fill(log, accepted))
    assert accepted
    _check_content(log, accepted)
    connection.execute("PRAGMA max_page_count = 1000000")
    asyncio.run(log.append([NewRecord("calls", None, b"after")]))
    _check_content(log, [*accepted, b"after"])
    log.close()
    _check_whole(log_path)
    again = LocalLog.open(log_path)
    _check_content(again, [*accepted, b"after"])
    again.close()


def test_failing_writes_are_refused_and_recovered_from(tmp_path: Path) -> None:
    """When the system refuses to write, appends fail, and succeed again by themselves when it no longer does."""
    path = tmp_path / "log.db"
    child = subprocess.run(
        [sys.executable, "-c", _LIMITED, str(path)], capture_output=True, text=True, cwd=_ROOT, check=False
    )
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) > 0
    _check_whole(path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB, or the reason why there is none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here; the other two tests fill up without one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_refuses_and_recovers(small_disk: Path) -> None:
    """On a disk that is full appends fail, and succeed again when something else on it is deleted."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1_500_000))
    path = small_disk / "log.db"
    log = LocalLog.open(path)
    try:
        log.create_topic("calls", 1, Cleanup.DELETE, None)
        accepted: list[bytes] = []
        asyncio.run(_fill(log, accepted))
        assert accepted
        _check_content(log, accepted)
        ballast.unlink()
        asyncio.run(log.append([NewRecord("calls", None, b"after")]))
        _check_content(log, [*accepted, b"after"])
    finally:
        log.close()
    _check_whole(path)
