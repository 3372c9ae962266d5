from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.log import NewRecord
from schemas.topics import Cleanup
from streams.agents.epochs import CLAIM_KEY, FOUNDING_KEY
from streams.agents.owned_states import ChangelogLostError, LostClaimError, OwnedStates
from streams.agents.stage import StateChange
from streams.transports.local.log import LocalLog

_CHANGELOG = "numbers-changelog"


class _Worker:
    """One who owns partitions, applies changes to what it holds and keeps them."""

    def __init__(self, log: LocalLog) -> None:
        self.states = OwnedStates(_CHANGELOG, log, log.append)

    async def put(self, key: bytes, value: bytes | None, partition: int = 0) -> None:
        data = self.states.of(partition)
        if value is None:
            data.pop(key, None)
        else:
            data[key] = value
        await self.states.keep({partition: [StateChange(partition, key, value)]})


def _run(folder: Path, story: Callable[[LocalLog], Awaitable[None]], partitions: int = 1) -> None:
    log = LocalLog.open(folder / "log")
    try:
        log.create_topic(_CHANGELOG, partitions, Cleanup.COMPACT, None)
        asyncio.run(_tell(log, story))
    finally:
        log.close()


async def _tell(log: LocalLog, story: Callable[[LocalLog], Awaitable[None]]) -> None:
    await story(log)


def test_a_new_owner_has_what_the_last_one_kept(tmp_path: Path) -> None:
    """Whoever takes a partition over holds its states as they were kept, without those that were removed."""

    async def story(log: LocalLog) -> None:
        first, second = _Worker(log), _Worker(log)
        assert await first.states.own({0}) == {0}
        await first.put(b"a", b"1")
        await first.put(b"b", b"1")
        await first.put(b"a", b"2")
        await first.put(b"b", None)
        assert await second.states.own({0}) == {0}
        assert second.states.of(0) == {b"a": b"2"}

    _run(tmp_path, story)


def test_who_was_taken_for_dead_changes_nothing(tmp_path: Path) -> None:
    """A worker that goes on after another took over learns of it at its first write, which nobody ever reads."""

    async def story(log: LocalLog) -> None:
        zombie, owner, next_owner = _Worker(log), _Worker(log), _Worker(log)
        await zombie.states.own({0})
        await zombie.put(b"a", b"old")
        await zombie.put(b"gone", b"old")
        await owner.states.own({0})
        await owner.put(b"a", b"new")
        await owner.put(b"gone", None)
        with pytest.raises(LostClaimError, match="taken over"):
            await zombie.put(b"a", b"stale")
        with pytest.raises(LostClaimError):
            await zombie.put(b"gone", b"stale")
        await next_owner.states.own({0})
        assert next_owner.states.of(0) == {b"a": b"new"}

    _run(tmp_path, story)


def test_an_owner_writes_over_what_is_stale(tmp_path: Path) -> None:
    """The owner's next write puts its own states over stale ones, so that they are also last in the changelog."""

    async def story(log: LocalLog) -> None:
        zombie, owner = _Worker(log), _Worker(log)
        await zombie.states.own({0})
        await owner.states.own({0})
        await owner.put(b"a", b"new")
        with pytest.raises(LostClaimError):
            await zombie.put(b"a", b"stale")
        await owner.put(b"other", b"1")
        last = {record.key: record.value for record in log.read(_CHANGELOG, 0, 0, 100)}
        assert last == {CLAIM_KEY: b"claim", b"a": b"new", b"other": b"1"}

    _run(tmp_path, story)


def test_a_new_owner_writes_over_what_is_stale(tmp_path: Path) -> None:
    """Who takes over after a stale write that no owner noticed puts the true states over it."""

    async def story(log: LocalLog) -> None:
        zombie, owner, next_owner = _Worker(log), _Worker(log), _Worker(log)
        await zombie.states.own({0})
        await owner.states.own({0})
        await owner.put(b"a", b"new")
        with pytest.raises(LostClaimError):
            await zombie.put(b"a", b"stale")
        with pytest.raises(LostClaimError):
            await zombie.put(b"never kept", b"stale")
        await next_owner.states.own({0})
        last = {record.key: record.value for record in log.read(_CHANGELOG, 0, 0, 100)}
        assert last == {CLAIM_KEY: b"claim", b"a": b"new", b"never kept": None}

    _run(tmp_path, story)


def test_partitions_that_stay_are_not_read_again(tmp_path: Path) -> None:
    """A rebalance that leaves a partition where it is leaves its states alone, unless somebody wrote to it."""

    async def story(log: LocalLog) -> None:
        worker, other = _Worker(log), _Worker(log)
        assert await worker.states.own({0, 1}) == {0, 1}
        await worker.put(b"a", b"1", partition=0)
        held = worker.states.of(0)
        assert await worker.states.own({0, 2}) == {2}
        assert worker.states.of(0) is held
        with pytest.raises(LostClaimError, match="not owned"):
            worker.states.of(1)
        await other.states.own({0})
        await other.put(b"a", b"2", partition=0)
        assert await worker.states.own({0, 2}) == {0}
        assert worker.states.of(0) == {b"a": b"2"}

    _run(tmp_path, story, partitions=3)


def test_states_without_an_epoch_are_read(tmp_path: Path) -> None:
    """Changelogs of a version that wrote no claims are read as they are."""

    async def story(log: LocalLog) -> None:
        await log.append([NewRecord(_CHANGELOG, b"a", b"1"), NewRecord(_CHANGELOG, b"b", b"1")])
        worker = _Worker(log)
        await worker.states.own({0})
        assert worker.states.of(0) == {b"a": b"1", b"b": b"1"}

    _run(tmp_path, story)


def test_a_write_that_was_answered_with_trouble_is_written_again(tmp_path: Path) -> None:
    """An owner whose write came through although it was told otherwise may write it again and stays the owner."""

    async def story(log: LocalLog) -> None:
        lost = iter([False, True, False, False])

        async def publish(records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
            places = await log.append(records)
            if next(lost):
                raise TimeoutError
            return places

        states = OwnedStates(_CHANGELOG, log, publish)
        await states.own({0})
        states.of(0)[b"a"] = b"1"
        change = {0: [StateChange(0, b"a", b"1")]}
        with pytest.raises(TimeoutError):
            await states.keep(change)
        await states.keep(change)
        await states.keep(change)

    _run(tmp_path, story)


def _asking(log: LocalLog, asked: list[set[int]], *, refusing: bool = False) -> OwnedStates:
    async def on_empty(partitions: Collection[int]) -> None:
        asked.append(set(partitions))
        if refusing:
            raise LookupError

    return OwnedStates(_CHANGELOG, log, log.append, on_empty)


def test_an_empty_changelog_is_asked_about_once(tmp_path: Path) -> None:
    """The first owner of a partition asks whether there should be states; the next ones need not."""

    async def story(log: LocalLog) -> None:
        asked: list[set[int]] = []
        assert await _asking(log, asked).own({0, 1}) == {0, 1}
        assert await _asking(log, asked).own({0, 1, 2}) == {0, 1, 2}
        assert asked == [{0, 1}, {2}]
        await log.append([NewRecord(_CHANGELOG, b"a", b"1", partition=3)])
        await _asking(log, asked).own({3})
        assert asked == [{0, 1}, {2}]

    _run(tmp_path, story, partitions=4)


def test_who_dies_of_an_empty_changelog_leaves_the_question_open(tmp_path: Path) -> None:
    """Where an owner ended before the sources were set back, the next owner asks again."""

    async def story(log: LocalLog) -> None:
        asked: list[set[int]] = []
        with pytest.raises(LookupError):
            await _asking(log, asked, refusing=True).own({0})
        await _asking(log, asked).own({0})
        assert asked == [{0}, {0}]

    _run(tmp_path, story)


def test_a_changelog_made_anew_ends_its_owner_and_is_empty(tmp_path: Path) -> None:
    """An owner sees that its changelog was made anew; what it then wrote is nobody's state, and is written over."""

    async def story(log: LocalLog) -> None:
        old = LocalLog.open(tmp_path / "old")
        try:
            old.create_topic(_CHANGELOG, 1, Cleanup.COMPACT, None)
            written_to = old

            async def publish(records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
                return await written_to.append(records)

            owner = OwnedStates(_CHANGELOG, old, publish)
            await owner.own({0})
            await owner.keep({0: [StateChange(0, b"a", b"1")]})
            written_to = log
            with pytest.raises(ChangelogLostError, match="made anew"):
                await owner.keep({0: [StateChange(0, b"a", b"2"), StateChange(0, b"b", b"2")]})
        finally:
            old.close()
        asked: list[set[int]] = []
        next_owner = _asking(log, asked)
        await next_owner.own({0})
        assert asked == [{0}]
        assert next_owner.of(0) == {}
        last = {record.key: record.value for record in log.read(_CHANGELOG, 0, 0, 100)}
        assert last == {b"a": None, b"b": None, CLAIM_KEY: b"claim", FOUNDING_KEY: b"founded"}

    _run(tmp_path, story)


_KEYS = st.sampled_from([b"a", b"b", b"c"])
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("own"), st.integers(0, 2)),
        st.tuples(st.just("put"), st.integers(0, 2), _KEYS, st.one_of(st.none(), st.binary(min_size=1, max_size=2))),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(steps=_STEPS)
def test_only_the_owner_is_believed(
    steps: Sequence[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever workers do that were once owners, whoever takes over holds just what the owners kept in their time."""

    async def story(log: LocalLog) -> None:
        workers = [_Worker(log) for _ in range(3)]
        owner: int | None = None
        expected: dict[bytes, bytes] = {}
        for what, who, *rest in steps:
            assert isinstance(who, int)
            if what == "own":
                await workers[who].states.own({0})
                owner = who
                assert workers[who].states.of(0) == expected
                continue
            key, value = rest
            assert isinstance(key, bytes)
            assert value is None or isinstance(value, bytes)
            if who == owner:
                await workers[who].put(key, value)
                expected.pop(key, None) if value is None else expected.update({key: value})
            else:
                with pytest.raises(LostClaimError):
                    await workers[who].put(key, value)
        last = _Worker(log)
        await last.states.own({0})
        assert last.states.of(0) == expected

    _run(tmp_path_factory.mktemp("log"), story)
