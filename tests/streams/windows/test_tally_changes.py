from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.call import ANSWERS, Contribution, Disposition
from streams.windows.tally import Cell, Tally, changes

contributions = st.builds(
    Contribution,
    attempted_at=st.integers(0, 5),
    ended_at=st.none() | st.integers(0, 5),
    disposition=st.none() | st.sampled_from(list(Disposition)),
    talk_seconds=st.integers(0, 20),
    ring_seconds=st.none() | st.integers(0, 3),
)


def net(moves: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int], int]:
    """Sum changes by time and cell, without zeros."""
    totals: dict[tuple[int, int], int] = {}
    for at, cell, amount in moves:
        totals[at, cell] = totals.get((at, cell), 0) + amount
    return {key: amount for key, amount in totals.items() if amount}


def test_every_disposition_has_a_cell_of_its_own() -> None:
    """Each disposition moves the cell of its name by one, and no other outcome."""
    for disposition in Disposition:
        moved = net(changes(Contribution(1), Contribution(1, 2, disposition, talk_seconds=30)))
        timed = {(2, Cell.TIMED): 1} if disposition in ANSWERS else {}
        assert moved == {(2, Cell[disposition.name]): 1, (2, Cell.TALK_SECONDS): 30} | timed


def test_ended_after_placed_moves_the_outcome_alone() -> None:
    """The attempt that `placed` counted is not touched again by `ended`."""
    ended = Contribution(1, 9, Disposition.HUMAN, 4, 0)
    assert net(changes(Contribution(1), ended)) == {
        (9, Cell.HUMAN): 1,
        (9, Cell.SHORT): 1,
        (9, Cell.TALK_SECONDS): 4,
        (9, Cell.RUNG): 1,
        (9, Cell.TIMED): 1,
    }


def test_an_unknown_talk_time_is_neither_short_nor_timed() -> None:
    """An answered call whose duration nobody told is an answer and nothing more; the ACD of such calls is unknown."""
    moved = net(changes(None, Contribution(1, 9, Disposition.HUMAN, None)))
    assert moved == {(1, Cell.ATTEMPTS): 1, (9, Cell.HUMAN): 1}
    assert Tally(human=1).acd is None


def test_a_later_verdict_moves_two_cells() -> None:
    """When a machine turns out to have answered, one answer changes its kind and nothing else moves."""
    before = Contribution(1, 9, Disposition.ANSWERED, 40, 7)
    after = Contribution(1, 9, Disposition.MACHINE, 40, 7)
    assert net(changes(before, after)) == {(9, Cell.ANSWERED): -1, (9, Cell.MACHINE): 1}


def test_short_is_an_answer_of_under_ten_seconds() -> None:
    """Nine seconds of talk are short, ten are not, and an unanswered call never is."""
    short = [
        (at, cell)
        for talk, disposition in ((9, Disposition.MACHINE), (10, Disposition.MACHINE), (0, Disposition.BUSY))
        for at, cell, _ in changes(None, Contribution(talk, talk, disposition, talk))
        if cell == Cell.SHORT
    ]
    assert short == [(9, Cell.SHORT)]


@settings(deadline=None, max_examples=300)
@given(st.lists(contributions, min_size=1, max_size=5))
def test_a_chain_of_changes_sums_to_the_last_word(chain: list[Contribution]) -> None:
    """Whatever was said before, the sum of all changes is what the last contribution alone would add."""
    moves = changes(None, chain[0])
    for before, after in pairwise(chain):
        step = changes(before, after)
        assert all(amount for _, _, amount in step)
        assert len(net(step)) == len(step)
        moves += step
    assert net(moves) == net(changes(None, chain[-1]))


def test_rates_are_unknown_without_a_denominator() -> None:
    """An empty window has counts of zero and rates of None."""
    public = Tally().as_public()
    assert (public["asr"], public["ner"], public["acd"], public["mean_ring"]) == (None, None, None, None)
    assert public["attempts"] == 0


def test_rates_follow_their_formulas() -> None:
    """ASR, NER, ACD and mean ring are the ratios their docstrings state; canceled calls are no seizures."""
    tally = Tally(
        attempts=20, human=3, machine=2, answered=1, busy=2, no_answer=4, failed=1, canceled=5, invalid=1, blocked=1,
        not_placed=2, talk_seconds=120, ring_seconds=90, rung=9, timed=4,
    )  # fmt: skip
    assert tally.seizures == 15
    assert tally.asr == 6 / 15
    assert tally.ner == 12 / 15
    assert tally.acd == 30
    assert tally.mean_ring == 10
