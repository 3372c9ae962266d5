from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.transports.alignment import Alignment


def test_own_partitions_go_no_further_than_what_another_may_still_have() -> None:
    """What is newer than the last record fetched of a partition with more in the log has to wait."""
    alignment = Alignment(ahead=10)
    alignment.stands(0, 100, 0.0, own=True)
    alignment.stands(1, 300, 0.0, own=True)
    assert alignment.limit(0.0) == 100
    alignment.stands(0, None, 0.0, own=True)
    assert alignment.limit(0.0) == 300
    alignment.stands(1, None, 0.0, own=True)
    assert alignment.limit(0.0) is None


def test_another_workers_partition_may_be_somewhat_behind() -> None:
    """Where another worker stands is known by its word, and that much ahead of it is allowed."""
    alignment = Alignment(ahead=10)
    alignment.stands(0, 100, 0.0, own=False)
    assert alignment.limit(0.0) == 110


def test_nobody_waits_for_a_partition_that_stands_still_for_long() -> None:
    """After the patience is over, a partition that has not moved is waited for no more, until it moves again."""
    alignment = Alignment(ahead=10, patience=15.0)
    alignment.stands(0, 100, 0.0, own=False)
    alignment.stands(0, 100, 14.0, own=False)
    assert alignment.limit(15.0) == 110
    assert alignment.limit(15.1) is None
    alignment.stands(0, 120, 16.0, own=False)
    assert alignment.limit(17.0) == 130


def test_word_of_an_unknown_partition_is_waited_for_a_moment() -> None:
    """A worker that knows nothing of another's partition holds back for the given seconds, unless it hears of it."""
    alignment = Alignment(ahead=10, patience=15.0)
    alignment.expect(0, 100.0, 3.0)
    assert alignment.limit(102.9) == 10
    assert alignment.limit(103.1) is None
    alignment.expect(1, 100.0, 3.0)
    alignment.stands(1, None, 101.0, own=False)
    assert alignment.limit(101.0) == 10
    alignment.forget(0)
    assert alignment.limit(101.0) is None


_PLACES = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 1_000)), st.booleans()), max_size=20
)


@settings(deadline=None)
@given(places=_PLACES)
def test_the_one_furthest_behind_always_goes(places: Sequence[tuple[int, int | None, bool]]) -> None:
    """The limit is never below the place of the partition that is furthest behind, so that something always moves."""
    alignment = Alignment(ahead=10)
    last: dict[int, int | None] = {}
    for partition, at, own in places:
        alignment.stands(partition, at, 0.0, own=own)
        last[partition] = at
    waiting = [at for at in last.values() if at is not None]
    limit = alignment.limit(0.0)
    if waiting:
        assert limit is not None
        assert min(waiting) <= limit <= min(waiting) + 10
    else:
        assert limit is None
