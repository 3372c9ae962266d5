"""The DuckDB file as it is opened: made, migrated, read, refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.history.errors import (
    HistoryDamagedError,
    HistoryError,
    HistoryInUseError,
    HistoryMissingError,
    NewerHistoryError,
)
from sinks.history.migrations import CURRENT, MIGRATIONS, migrate
from sinks.history.store import History


def test_positions_outlive_the_program(path: Path, make: Any) -> None:
    """A file opened again says where to read on, and knows the facts it has."""
    first = History.open(path)
    first.write(make.records("calls", [make.fact(1, 0, 0).encode()], partition=1))
    first.close()
    assert not path.with_name(path.name + ".wal").exists()
    second = History.open(path)
    try:
        assert second.positions({"calls": 2, "alerts": 1}) == {("calls", 0): 0, ("calls", 1): 1, ("alerts", 0): 0}
        second.write(make.records("calls", [make.fact(1, 0, 0).encode()], first=1, partition=1))
        assert second.query("from call_facts").num_rows == 1
    finally:
        second.close()


def test_a_reader_can_not_write(path: Path, make: Any) -> None:
    """A history open for reading answers, and refuses to write."""
    History.open(path).close()
    history = History.open(path, read_only=True)
    try:
        assert history.query("from calls").num_rows == 0
        with pytest.raises(HistoryError, match="reading only"):
            history.write(make.records("callbacks", [b""]))
    finally:
        history.close()


def test_a_missing_file_is_not_made_for_a_reader(path: Path) -> None:
    """A reader of no file is told to start ringwatch, and none is made."""
    with pytest.raises(HistoryMissingError, match="ringwatch up"):
        History.open(path, read_only=True)
    assert not path.exists()


# What the first released program made; never edited.
VERSION_1 = MIGRATIONS[:1]


def test_an_older_file_is_migrated_whole_or_not_at_all(path: Path) -> None:
    """A file of version 1 gets the later steps in one transaction: a failing step leaves version 1 and its rows."""
    path.parent.mkdir()
    connection = duckdb.connect(path)
    try:
        migrate(connection, VERSION_1)
        connection.execute("INSERT INTO source_offsets VALUES ('callbacks', 0, 17)")
        later = (*VERSION_1, ("ALTER TABLE callbacks ADD COLUMN later VARCHAR",), ("CREATE TABLE broken (",))
        with pytest.raises(duckdb.Error):
            migrate(connection, later)
        assert "later" not in [name for name, *_ in connection.execute("DESCRIBE callbacks").fetchall()]
        assert connection.execute("SELECT max(version) FROM schema_version").fetchall() == [(1,)]
        migrate(connection, later[:2])
        migrate(connection, later[:2])
        assert "later" in [name for name, *_ in connection.execute("DESCRIBE callbacks").fetchall()]
        assert connection.execute("SELECT version FROM schema_version ORDER BY 1").fetchall() == [(1,), (2,)]
        assert connection.execute("SELECT next_offset FROM source_offsets").fetchall() == [(17,)]
    finally:
        connection.close()


def test_an_empty_database_is_filled(path: Path) -> None:
    """A DuckDB file without tables becomes a history."""
    path.parent.mkdir()
    duckdb.connect(path).close()
    history = History.open(path)
    assert history.query("select max(version) as v from schema_version").to_pylist() == [{"v": CURRENT}]
    history.close()


def refused(path: Path, kind: type[Exception], match: str) -> None:
    """Check that the file is refused, for reading and for writing, and stays byte for byte."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for read_only in (True, False):
        with pytest.raises(kind, match=match):
            History.open(path, read_only=read_only)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


NEWER_PROGRAM = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute('INSERT INTO schema_version VALUES (99, now())')
os._exit(9)
"""


def test_a_newer_schema_is_refused_and_untouched(path: Path) -> None:
    """A file of a newer program is refused, and not one byte of it changes, not even its write-ahead log."""
    History.open(path).close()
    # A crash leaves a write-ahead log, which opening for writing would fold into the file.
    subprocess.run(
        [
            sys.executable,
            "-c",
            NEWER_PROGRAM,
            str(path),
        ],
        check=False,
    )
    assert path.with_name(path.name + ".wal").exists()
    refused(path, NewerHistoryError, "upgrade ringwatch")


@pytest.mark.parametrize("content", [b"", b"junk" * 5_000, b"SQLite format 3\0" + b"\0" * 8_000])
def test_what_is_no_duckdb_file_is_refused_and_untouched(path: Path, content: bytes) -> None:
    """A file of another kind is refused as damaged, and stays as it is."""
    path.parent.mkdir()
    path.write_bytes(content)
    refused(path, HistoryDamagedError, "damaged or no DuckDB file")


def test_a_damaged_file_is_refused_and_untouched(path: Path, make: Any) -> None:
    """A file whose catalogue was overwritten is refused as damaged, and stays as it is."""
    history = History.open(path)
    history.write(make.records("callbacks", [make.callback(n).encode() for n in range(100)]))
    history.close()
    content = bytearray(path.read_bytes())
    content[12_288:] = b"\x5a" * (len(content) - 12_288)
    path.write_bytes(content)
    refused(path, HistoryDamagedError, "damaged")


def test_somebody_elses_tables_are_refused_and_untouched(path: Path) -> None:
    """A DuckDB file with other tables is not written into."""
    path.parent.mkdir()
    connection = duckdb.connect(path)
    connection.execute("CREATE TABLE mine (a INTEGER)")
    connection.close()
    refused(path, HistoryDamagedError, "not ringwatch's")


def test_a_file_in_use_is_refused(path: Path) -> None:
    """While another process has the file open, it is refused as in use."""
    History.open(path).close()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        for read_only in (True, False):
            with pytest.raises(HistoryInUseError, match="in use by another process"):
                History.open(path, read_only=read_only)
    finally:
        holder.communicate()


def test_a_file_that_may_not_be_made_says_why(tmp_path: Path) -> None:
    """Where the folder can't be made, the error names the path and the system's reason."""
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(HistoryError, match="can't be made"):
        History.open(tmp_path / "data" / "history.duckdb")
