from __future__ import annotations

import hashlib
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ringwatch.topics import create_topics
from sinks.history.store import History
from streams.transports.local.log import LocalLog

Start = Callable[..., Any]


def refusal(start: Start, *arguments: object, **environment: str) -> str:
    """What `ringwatch up` says as it refuses to start."""
    child = start("up", *map(str, arguments), **environment)
    assert child.process.wait(60) == 2, child.said
    lines = [line for line in child.said.splitlines() if line]
    assert all(line.startswith("ringwatch: ") for line in lines), child.said
    return "\n".join(lines)


def digest(path: Path) -> str:
    """The file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def make_log(data: Path, partitions: int = 1) -> LocalLog:
    """A log with all its topics."""
    log = LocalLog.open(data / "log")
    create_topics(log, partitions)
    return log


def test_a_second_program_on_the_same_folder(start_child: Start, tmp_path: Path) -> None:
    """A second `up` is refused and told which process has the folder; the first goes on."""
    data = tmp_path / "data"
    first = start_child("up", "--data", str(data), "--http", "127.0.0.1:0", "--insecure")
    first.wait_for_address(data)
    said = refusal(start_child, "--data", data, "--http", "127.0.0.1:0")
    assert str(first.process.pid) in said
    assert first.stop() == 0


def test_a_damaged_log(start_child: Start, tmp_path: Path) -> None:
    """A file that is no log is refused and not touched."""
    (tmp_path / "log").write_bytes(b"this is no log" * 999)
    before = digest(tmp_path / "log")
    assert str(tmp_path / "log") in refusal(start_child, "--data", tmp_path)
    assert digest(tmp_path / "log") == before


def test_a_log_of_a_newer_program(start_child: Start, tmp_path: Path) -> None:
    """A log of a newer version is refused, with the advice to upgrade, and not touched."""
    make_log(tmp_path).close()
    with sqlite3.connect(tmp_path / "log") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    before = digest(tmp_path / "log")
    assert "newer" in refusal(start_child, "--data", tmp_path)
    assert digest(tmp_path / "log") == before


def test_a_damaged_history(start_child: Start, tmp_path: Path) -> None:
    """A file that is no DuckDB file is refused and not touched."""
    path = tmp_path / "history.duckdb"
    path.write_bytes(b"this is no history" * 999)
    before = digest(path)
    assert str(path) in refusal(start_child, "--data", tmp_path)
    assert digest(path) == before


def test_a_history_of_a_newer_program(start_child: Start, tmp_path: Path) -> None:
    """A history of a newer version is refused and not touched."""
    path = tmp_path / "history.duckdb"
    History.open(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("update schema_version set version = 99")
    before = digest(path)
    assert "newer" in refusal(start_child, "--data", tmp_path)
    assert digest(path) == before


def test_a_history_that_has_read_further_than_the_log_reaches(start_child: Start, tmp_path: Path) -> None:
    """A history beside a log it does not belong to would take new records for old ones, so it is refused."""
    path = tmp_path / "history.duckdb"
    History.open(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into source_offsets values ('callbacks', 0, 1000)")
    assert "it belongs to another log" in refusal(start_child, "--data", tmp_path)


def test_another_number_of_partitions(start_child: Start, tmp_path: Path) -> None:
    """A log keeps its number of partitions; the error names the setting and the number to set again."""
    make_log(tmp_path, 1).close()
    said = refusal(start_child, "--data", tmp_path, RINGWATCH_PARTITIONS="3")
    assert "partitions: " in said
    assert "set 1 again" in said


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_insecure_where_others_could_reach_it(start_child: Start, tmp_path: Path, address: str) -> None:
    """Unsigned callbacks are taken on loopback only."""
    said = refusal(start_child, "--data", tmp_path, "--http", address, "--insecure")
    assert "--insecure is refused; listen on 127.0.0.1" in said


def test_an_address_that_is_taken(start_child: Start, tmp_path: Path) -> None:
    """A port that somebody else has is named, with the option that names another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refusal(start_child, "--data", tmp_path, "--http", address)
    assert address in said
    assert "--http" in said


def test_a_setting_nobody_knows(start_child: Start, tmp_path: Path, elsewhere: Path) -> None:
    """A misspelt key of the file that lies in the working folder is named."""
    (elsewhere / "ringwatch.toml").write_text("lateness_secs = 3\n")
    assert "lateness_secs: no such setting" in refusal(start_child, "--data", tmp_path)


def test_a_variable_nobody_knows(start_child: Start, tmp_path: Path) -> None:
    """A misspelt variable is named."""
    said = refusal(start_child, "--data", tmp_path, RINGWATCH_LATENESS_SECS="3")
    assert "RINGWATCH_LATENESS_SECS: no such setting" in said


def test_a_register_line_that_can_not_be_used(start_child: Start, tmp_path: Path) -> None:
    """A bad line of the register is named by file, line and column, with what to write."""
    register = tmp_path / "numbers.csv"
    register.write_text("number,campaign,time_zone\n+12025550100,renewals,\n+12025550101,renewals,Mars/Base\n")
    said = refusal(start_child, "--data", tmp_path / "data", RINGWATCH_REGISTER_FILE=str(register))
    assert f"{register}" in said
    assert "3" in said
    assert "time_zone" in said
    assert not (tmp_path / "data").exists()


def test_a_configuration_file_that_is_not_there(start_child: Start, tmp_path: Path) -> None:
    """--config must name a file."""
    said = refusal(start_child, "--data", tmp_path, "--config", tmp_path / "none.toml")
    assert "name an existing file with --config" in said
