from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from streams.transports.local.log import LocalLog

_ROOT = Path(__file__).parents[4]
_ROUNDS = 6
# Prints each acknowledged record on a pipe; topic "b" gets a record only after the one in "a" was submitted.
_APPENDING = """
import asyncio, os, sys
from pathlib import Path
from schemas.log import NewRecord
from schemas.topics import Cleanup
from streams.transports.local.log import LocalLog

async def submit_all(log, submitter):
    number = 0
    while True:
        name = b"%d-%d-%d" % (os.getpid(), submitter, number)
        records = [NewRecord("a", name, name), NewRecord("a", None, name + b"." * (number % 7 * 300))]
        first = log.submit(records)
        second = log.submit([NewRecord("b", name, name)])
        third = log.commit_offsets("group", {("a", submitter): number + 1})
        (one, two), (three,) = await first, await second
        await third
        lines = [b"a %d %d " % one + name, b"a %d %d " % two + name, b"b %d %d " % three + name]
        os.write(1, b"".join(line + b"\\n" for line in lines))
        number += 1

async def run():
    log = LocalLog.open(Path(sys.argv[1]))
    log.create_topic("a", 3, Cleanup.DELETE, None)
    log.create_topic("b", 2, Cleanup.DELETE, None)
    os.write(1, b"ready\\n")
    await asyncio.gather(*(submit_all(log, number) for number in range(3)))

asyncio.run(run())
"""


def _read_all(log: LocalLog, topic: str) -> dict[tuple[int, int], bytes]:
    found: dict[tuple[int, int], bytes] = {}
    for partition in range(log.topics()[topic]):
        records = log.read(topic, partition, 0, 10_000_000)
        assert [record.offset for record in records] == list(range(log.end(topic, partition)))
        found.update({(partition, record.offset): record.value or b"" for record in records})
    return found


def _kill_while_appending(path: Path, delay: float) -> list[bytes]:
    child = subprocess.Popen([sys.executable, "-c", _APPENDING, str(path)], stdout=subprocess.PIPE, cwd=_ROOT)
    assert child.stdout is not None
    with child, child.stdout as output:
        assert output.readline() == b"ready\n"
        time.sleep(delay)
        os.kill(child.pid, signal.SIGKILL)
        return [line for line in output.read().split(b"\n")[:-1] if line]


def test_nothing_acknowledged_is_lost_by_kill(tmp_path: Path) -> None:
    """Killed at random instants, the log has every acknowledged record where it was said to be, without gaps."""
    path = tmp_path / "log.db"
    chance = random.Random(11)
    acknowledged: dict[bytes, dict[tuple[int, int], bytes]] = {b"a": {}, b"b": {}}
    for _ in range(_ROUNDS):
        for line in _kill_while_appending(path, chance.uniform(0.01, 0.4)):
            topic, partition, offset, name = line.split(b" ")
            acknowledged[topic][int(partition), int(offset)] = name
        log = LocalLog.open(path)
        try:
            in_a, in_b = _read_all(log, "a"), _read_all(log, "b")
            committed = log.committed("group")
        finally:
            log.close()
        for topic, found in ((b"a", in_a), (b"b", in_b)):
            missing = {p: n for p, n in acknowledged[topic].items() if not found.get(p, b"").startswith(n)}
            assert not missing
        # A crash leaves a beginning of what was submitted: no record in "b" without those in "a" before it.
        names_in_a = {value.rstrip(b".") for value in in_a.values()}
        assert set(in_b.values()) <= names_in_a
        newest = max((int(value.split(b"-")[2]) for value in in_b.values()), default=-1)
        assert all(position <= newest + 1 for position in committed.values())
    assert len(acknowledged[b"a"]) > 100
