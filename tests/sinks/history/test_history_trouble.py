"""What the history has on disk after a failed write, a kill, a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sinks.history.store import History


def test_a_failed_write_leaves_nothing(history: History, rows: Any, make: Any) -> None:
    """When the transaction fails, neither rows nor offsets stay, and the same write succeeds afterwards."""
    records = make.records("callbacks", [make.callback(1).encode()])
    history.positions({})
    history._connection.execute("ALTER TABLE source_offsets RENAME TO hidden")
    with pytest.raises(duckdb.Error):
        history.write(records)
    history._connection.execute("ALTER TABLE hidden RENAME TO source_offsets")
    assert rows("from callbacks") == []
    assert history.positions({"callbacks": 1}) == {("callbacks", 0): 0}
    assert history.write(records).rows == {"callbacks": 1}


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import a_callback, a_fact, in_log
from sinks.history.store import History
history = History.open(Path(sys.argv[1]))
total = int(sys.argv[3])
print("open", flush=True)
while True:
    start = history.positions({"callbacks": 1})["callbacks", 0]
    if start >= total:
        break
    numbers = range(start, min(start + 50, total))
    facts = history.positions({"calls": 1})["calls", 0]
    assert facts == 2 * start, (facts, start)
    history.write(
        in_log("callbacks", [a_callback(n).encode() for n in numbers], first=start)
        + in_log("calls", [a_fact(n, r, 2 * n + r).encode() for n in numbers for r in (0, 1)], first=facts)
    )
history.close()
"""


def test_killed_at_any_instant_each_record_is_there_once(path: Path) -> None:
    """A writer killed with SIGKILL several times and started again leaves each record exactly once."""
    total = 3_000
    command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent), str(total)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for delay in (0.02, 0.11, 0.23):
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    history = History.open(path, read_only=True)
    try:
        count = "select count(*) as n, count(distinct {}) as d from {}"
        for table, identity, expected in (
            ("callbacks", "log_offset", total),
            ("call_facts", "log_offset", 2 * total),
            ("calls", "call_sid", total),
        ):
            assert history.query(count.format(identity, table)).to_pylist() == [{"n": expected, "d": expected}]
        assert history.query("from calls where revision <> 1").num_rows == 0
    finally:
        history.close()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import duckdb
from conftest import a_callback, in_log
from sinks.history.store import History
history = History.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
values = [a_callback(n, params={"Noise": f"{n * 7919:x}" * 40}).encode() for n in range(30_000)]
failed = 0
start = 0
while start < len(values):
    try:
        history.write(in_log("callbacks", values[start : start + 3_000], first=start))
        start += 3_000
    except duckdb.Error:
        failed += 1
        if failed == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert failed < 10
    start = history.positions({"callbacks": 1})["callbacks", 0]
history.close()
print(failed)
"""


def test_a_full_disk_is_outlived(path: Path) -> None:
    """Writes that fail for want of room fail whole; once there is room, the same history goes on, nothing doubled."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    history = History.open(path, read_only=True)
    try:
        found = history.query("select count(*) as n, count(distinct log_offset) as d from callbacks").to_pylist()
        assert found == [{"n": 30_000, "d": 30_000}]
    finally:
        history.close()


def test_a_database_that_gave_up_is_opened_again(path: Path, make: Any) -> None:
    """After DuckDB declared the database invalid, the next look at it opens the file anew and goes on."""
    history = History.open(path)
    history.write(make.records("callbacks", [make.callback(1).encode()]))
    history._connection.close()
    history._invalid, history._offsets = True, None
    assert history.positions({"callbacks": 1}) == {("callbacks", 0): 1}
    assert history.write(make.records("callbacks", [make.callback(2).encode()], first=1)).rows == {"callbacks": 1}
    history.close()
