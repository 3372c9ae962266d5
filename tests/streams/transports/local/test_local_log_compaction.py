from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.log import NewRecord
from schemas.times import DAY, HOUR, MINUTE
from schemas.topics import Cleanup
from streams.transports.local import blocks, compaction, housekeeping, retention
from streams.transports.local.log import LocalLog

_START = 1_795_442_400_000


def _append(log: LocalLog, *pairs: tuple[bytes | None, bytes | None], topic: str = "optouts") -> None:
    asyncio.run(log.append([NewRecord(topic, key, value, partition=0) for key, value in pairs]))


def _left(log: LocalLog, topic: str = "optouts") -> list[tuple[int, bytes | None, bytes | None]]:
    return [(r.offset, r.key, r.value) for r in log.read(topic, 0, 0, 1_000_000)]


class _Clock:
    def __init__(self) -> None:
        self.now = _START

    def __call__(self) -> int:
        return self.now


def test_last_record_of_a_key_stays(log_path: Path) -> None:
    """Compaction keeps the last record of each key at its offset, and what is younger than a minute as it is."""
    clock = _Clock()
    log = LocalLog.open(log_path, clock=clock)
    log.create_topic("optouts", 1, Cleanup.COMPACT, None)
    _append(log, (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"c", b"1"))
    clock.now += 10 * MINUTE
    _append(log, (b"b", b"2"), (b"b", b"3"))
    log.compact("optouts")
    expected = [(1, b"b", b"1"), (2, b"a", b"2"), (3, b"c", b"1"), (4, b"b", b"2"), (5, b"b", b"3")]
    assert _left(log) == expected
    assert log.start("optouts", 0) == 1
    log.close()
    log = LocalLog.open(log_path, clock=clock)
    assert _left(log) == expected
    assert (log.start("optouts", 0), log.end("optouts", 0)) == (1, 6)
    clock.now += 10 * MINUTE
    log.compact("optouts")
    assert _left(log) == [(2, b"a", b"2"), (3, b"c", b"1"), (5, b"b", b"3")]
    assert log.read("optouts", 0, 4, 1)[0].offset == 5
    log.close()


def test_tombstones_outlive_their_grace(log_path: Path) -> None:
    """A tombstone stays for a day, so that late readers meet it; then it goes, unless it is the partition's last."""
    clock = _Clock()
    log = LocalLog.open(log_path, clock=clock)
    log.create_topic("optouts", 1, Cleanup.COMPACT, None)
    _append(log, (b"a", b"1"), (b"a", None), (b"b", None))
    clock.now += HOUR
    log.compact("optouts")
    assert _left(log) == [(1, b"a", None), (2, b"b", None)]
    clock.now += DAY
    log.compact("optouts")
    assert _left(log) == [(2, b"b", None)]
    assert asyncio.run(log.wait_for({("optouts", 0): 0}, 0))
    log.close()


def test_retention_drops_the_oldest_and_remembers_the_end(log_path: Path) -> None:
    """Records go once they were appended longer ago than the retention; the next offset is never given again."""
    clock = _Clock()
    log = LocalLog.open(log_path, clock=clock)
    log.create_topic("calls", 1, Cleanup.DELETE, HOUR)
    asyncio.run(log.append([NewRecord("calls", b"old", b"%d" % n, timestamp=n) for n in range(2_000)]))
    clock.now += HOUR
    _append(log, (b"new", b""), topic="calls")
    log.expire("calls", clock.now)
    assert log.start("calls", 0) == 0
    log.expire("calls", clock.now + 1)
    assert log.start("calls", 0) == 2_000
    assert _left(log, "calls") == [(2_000, b"new", b"")]
    log.expire("calls", clock.now + DAY)
    assert (log.start("calls", 0), log.end("calls", 0)) == (2_001, 2_001)
    assert _left(log, "calls") == []
    assert not asyncio.run(log.wait_for({("calls", 0): 0}, 0.01))
    log.close()
    log = LocalLog.open(log_path, clock=clock)
    assert log.end("calls", 0) == 2_001
    assert asyncio.run(log.append([NewRecord("calls", None, b"")])) == [(0, 2_001)]
    log.close()


def test_housekeeping_goes_on_by_itself(log_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Superseded and expired records go without being asked for while appends go on."""
    monkeypatch.setattr(housekeeping, "_NEW_RECORDS", 500)
    clock = _Clock()
    log = LocalLog.open(log_path, clock=clock)
    log.create_topic("optouts", 1, Cleanup.COMPACT, None)
    log.create_topic("calls", 1, Cleanup.DELETE, HOUR)

    async def run() -> None:
        await log.append([NewRecord("optouts", b"%d" % (n % 10), b"%d" % n) for n in range(1_000)])
        await log.append([NewRecord("calls", None, b"") for _ in range(100)])
        clock.now += 2 * HOUR
        for _ in range(1_000):
            await log.append([NewRecord("calls", None, b"")])
            if log.start("calls", 0) >= 100 and log.start("optouts", 0) == 990:
                return
            await asyncio.sleep(0.01)
        raise AssertionError((log.start("calls", 0), log.start("optouts", 0)))

    asyncio.run(run())
    assert len(_left(log)) == 10
    log.close()


def test_compaction_ends_where_nothing_is_left(log_path: Path) -> None:
    """A pass over offsets whose records are all gone comes to its end, and the next appends are compacted as ever."""
    clock = _Clock()
    log = LocalLog.open(log_path, clock=clock)
    log.create_topic("optouts", 1, Cleanup.COMPACT, 10 * DAY)
    _append(log, (b"a", b"1"), (b"b", None))
    clock.now += HOUR
    log.compact("optouts")
    _append(log, (b"a", b"2"))
    clock.now += 2 * DAY
    # The tombstone goes now, and leaves a gap just below what was compacted; the second pass begins there.
    log.compact("optouts")
    log.compact("optouts")
    assert _left(log) == [(2, b"a", b"2")]
    _append(log, (b"a", b"3"))
    log.expire("optouts", clock.now + 20 * DAY)
    clock.now += HOUR
    log.compact("optouts")
    assert _left(log) == []
    _append(log, (b"a", b"4"), (b"a", b"5"))
    clock.now += HOUR
    log.compact("optouts")
    assert _left(log) == [(5, b"a", b"5")]
    log.close()


class _Model(RuleBasedStateMachine):
    """The log beside lists of Python: everything it gives must be the same."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "log.db"
        self._clock = _Clock()
        # Small blocks and steps, so that a few records already make many of each.
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(blocks, "_BLOCK_BYTES", 200)
        self._patch.setattr(compaction, "_BLOCKS_PER_STEP", 2)
        self._patch.setattr(retention, "_BLOCKS_PER_STEP", 2)
        # What housekeeping does by itself would come at instants that the model can't know; it has a test of its own.
        self._patch.setattr(housekeeping.Housekeeping, "due", lambda *_: iter(()))
        self._log = LocalLog.open(self._path, clock=self._clock)
        self._kept: dict[int, list[tuple[int, int, bytes, bytes | None]]] = defaultdict(list)
        self._ends = [0, 0]

    @initialize()
    def create(self) -> None:
        self._log.create_topic("optouts", 2, Cleanup.COMPACT, 3 * DAY)

    @rule(
        records=st.lists(
            st.tuples(st.integers(0, 1), st.sampled_from([b"a", b"b", b"c"]), st.none() | st.binary(max_size=90)),
            min_size=1,
            max_size=12,
        )
    )
    def append(self, records: list[tuple[int, bytes, bytes | None]]) -> None:
        placed = asyncio.run(
            self._log.append([NewRecord("optouts", key, value, partition) for partition, key, value in records])
        )
        for (partition, key, value), place in zip(records, placed, strict=True):
            assert place == (partition, self._ends[partition])
            self._kept[partition].append((self._ends[partition], self._clock.now, key, value))
            self._ends[partition] += 1

    @rule(step=st.sampled_from([1, MINUTE, HOUR, DAY]))
    def let_time_pass(self, step: int) -> None:
        self._clock.now += step

    @rule()
    def compact(self) -> None:
        self._log.compact("optouts")
        now = self._clock.now
        for partition, records in self._kept.items():
            last = {key: offset for offset, appended, key, _ in records if appended <= now - MINUTE}
            self._kept[partition] = [
                (offset, appended, key, value)
                for offset, appended, key, value in records
                if offset == self._ends[partition] - 1
                or appended > now - MINUTE
                or (offset == last[key] and (value is not None or appended >= now - DAY))
            ]

    @rule(later=st.sampled_from([0, DAY]))
    def expire(self, later: int) -> None:
        oldest = self._clock.now + later - 3 * DAY
        self._log.expire("optouts", self._clock.now + later)
        for partition, records in self._kept.items():
            self._kept[partition] = [record for record in records if record[1] >= oldest]

    @rule()
    def open_again(self) -> None:
        self._log.close()
        self._log = LocalLog.open(self._path, clock=self._clock)

    @rule(partition=st.integers(0, 1), offset=st.integers(0, 60), limit=st.integers(1, 20))
    def read_some(self, partition: int, offset: int, limit: int) -> None:
        expected = [record[0] for record in self._kept[partition] if record[0] >= offset][:limit]
        assert [record.offset for record in self._log.read("optouts", partition, offset, limit)] == expected

    @invariant()
    def is_same(self) -> None:
        if not self._log.topics():
            return
        for partition in range(2):
            records = self._log.read("optouts", partition, 0, 1_000)
            expected = [(offset, key, value) for offset, _, key, value in self._kept[partition]]
            assert [(record.offset, record.key, record.value) for record in records] == expected
            assert self._log.end("optouts", partition) == self._ends[partition]
            start = expected[0][0] if expected else self._ends[partition]
            assert self._log.start("optouts", partition) == start

    def teardown(self) -> None:
        self._patch.undo()
        self._log.close()
        self._folder.cleanup()


TestModel = _Model.TestCase
TestModel.settings = settings(deadline=None, max_examples=25, stateful_step_count=25)
