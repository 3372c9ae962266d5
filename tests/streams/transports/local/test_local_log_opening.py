from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from schemas.log import LogUnavailableError, NewRecord
from schemas.topics import Cleanup
from streams.transports.local.errors import LogDamagedError, LogInUseError, NewerLogError
from streams.transports.local.log import LocalLog

_ROOT = Path(__file__).parents[4]
_OPEN_IN_CHILD = """
import sys
from pathlib import Path
from streams.transports.local.log import LocalLog
try:
    LocalLog.open(Path(sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""


def _filled(path: Path) -> None:
    log = LocalLog.open(path)
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    asyncio.run(log.append([NewRecord("calls", b"key", b"value" * 200) for _ in range(500)]))
    log.close()


def test_second_process_is_refused(log: LocalLog, log_path: Path) -> None:
    """Another process that opens the same log is told which process has it, and the log goes on."""
    log.create_topic("calls", 1, Cleanup.DELETE, None)
    child = subprocess.run(
        [sys.executable, "-c", _OPEN_IN_CHILD, str(log_path)], capture_output=True, text=True, cwd=_ROOT, check=True
    )
    assert child.stdout.startswith("LogInUseError")
    assert f"in use by process {os.getpid()}" in child.stdout
    assert asyncio.run(log.append([NewRecord("calls", b"", b"")])) == [(0, 0)]


def test_second_instance_is_refused_by_any_name(log: LocalLog, log_path: Path, tmp_path: Path) -> None:
    """The same file under another name is the same log; after closing it can be opened again."""
    other = tmp_path / "other.db"
    other.symlink_to(log_path)
    with pytest.raises(LogInUseError):
        LocalLog.open(other)
    log.close()
    LocalLog.open(other).close()


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(path.stat().st_size - 4_096))


def _other_program(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def _without_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE committed")


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("this is no log\n" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:50]),
        _cut,
        _overwrite,
        _other_program,
        _without_table,
    ],
)
def test_damaged_file_is_left_alone(log_path: Path, damage: object) -> None:
    """A file that is no whole log is refused with what to do, and not one of its bytes changes."""
    _filled(log_path)
    assert callable(damage)
    damage(log_path)
    before = log_path.read_bytes()
    with pytest.raises(LogDamagedError, match=r"restore it .* or move both away"):
        LocalLog.open(log_path)
    assert log_path.read_bytes() == before


def test_newer_file_is_left_alone(log_path: Path) -> None:
    """A file of a later layout is refused, and not one of its bytes changes."""
    _filled(log_path)
    with closing(sqlite3.connect(log_path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = log_path.read_bytes()
    with pytest.raises(NewerLogError, match="newer ringwatch"):
        LocalLog.open(log_path)
    assert log_path.read_bytes() == before


def test_interrupted_making_is_made_good(log_path: Path) -> None:
    """A file whose making was interrupted before its first commit is made anew."""
    log_path.parent.mkdir()
    with closing(sqlite3.connect(log_path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    _filled(log_path)


def test_flipped_bits_are_found_when_read(log_path: Path) -> None:
    """Bytes that changed on disk inside a value are refused by their checksum instead of handed out."""
    _filled(log_path)
    content = log_path.read_bytes()
    log_path.write_bytes(content.replace(b"valuevaluevalue", b"valuevalueValue"))
    log = LocalLog.open(log_path)
    try:
        with pytest.raises(LogUnavailableError, match="not those that were written"):
            log.read("calls", 0, 0, 1_000)
    finally:
        log.close()
