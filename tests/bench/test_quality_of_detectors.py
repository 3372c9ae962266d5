"""What the detectors are compared with works as it says, and so does the comparison."""

from __future__ import annotations

import doctest
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.quality import bocpd, figures, markov_chain, page, svg, traffic, volume_limits, windows
from bench.quality.spikes import Spike, delay_over, events, runs_over
from bench.quality.traffic import NUMBERS, RATE, WARM_UP_DAYS, a_day
from bench.quality.trials import Judged, Streams, judge, make_streams
from bench.quality.volume_limits import poisson_limit
from bench.quality.windows import Window, naive, wilson
from streams.detectors.wilson import wilson_interval

FIVE_MINUTES = 300_000


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8), st.integers(0, 5))
def test_window_alarms_as_counted_by_hand(outcomes: list[bool], calls: int, most: int) -> None:
    """A window alarms when its last calls hold at most so many answers, and then begins anew."""
    window = Window(calls, most)
    since: list[bool] = []
    for answered in outcomes:
        since.append(answered)
        expected = len(since) >= calls and sum(since[-calls:]) <= most
        assert window.update(answered) is expected
        if expected:
            since = []


def test_counts_of_the_windows_are_the_highest_that_alarm() -> None:
    """The naive count is under its share of the usual rate, and Wilson's end is under the rate; one more is not."""
    below, above = wilson_interval(7, 50, 3.09), wilson_interval(8, 50, 3.09)
    assert below is not None
    assert above is not None
    assert below[1] < RATE <= above[1]
    for quiet, alarmed, calls, most in (
        (wilson(50, 3.09), wilson(50, 3.09), 50, 7),
        (naive(30, 0.5), naive(30, 0.5), 30, 5),
    ):
        assert not any(quiet.update(index <= most) for index in range(calls))
        assert [alarmed.update(index < most) for index in range(calls)][-1]


@given(st.lists(st.booleans(), min_size=1, max_size=25))
def test_changepoints_are_those_of_the_paper(outcomes: list[bool]) -> None:
    """The masses of all runs are those of Adams and MacKay's recursion, written out with a list."""
    state = bocpd.begin(np.array([2.0]))
    none, runs = 1.0, [0.0]
    counts = [(0, 0)]
    answers, calls = bocpd.PRIOR * RATE, bocpd.PRIOR
    for answered in outcomes:
        bocpd.update(state, np.array([answered]))
        none *= answers / calls if answered else 1 - answers / calls
        answers, calls = answers + answered, calls + 1
        for index, (hits, seen) in enumerate(counts):
            chance = (hits + 1) / (seen + 2)
            runs[index] *= chance if answered else 1 - chance
        whole = none + sum(runs)
        none *= (1 - bocpd.HAZARD) / whole
        runs = [bocpd.HAZARD, *(run * (1 - bocpd.HAZARD) / whole for run in runs)]
        counts = [(0, 0), *((hits + answered, seen + 1) for hits, seen in counts)]
    assert state.none[0] == pytest.approx(none)
    assert state.mass[0, : len(runs)] == pytest.approx(runs)


def test_falls_do_not_touch_what_is_counted_without_them() -> None:
    """A detector gives the same false alarms whether or not copies of it see falls on the way."""
    with_falls = make_streams(0.25, days=WARM_UP_DAYS + 4, trials=4)
    without = Streams(with_falls.outcomes, with_falls.warm, [[] for _ in range(NUMBERS)])
    one, other = judge(lambda: naive(30, 0.5), with_falls), judge(lambda: naive(30, 0.5), without)
    assert one.false_alarms == other.false_alarms > 0
    assert len(one.delays) == 4
    assert other.delays == []


def test_share_that_was_not_found_has_no_delay() -> None:
    """A median exists while half of the falls are found; the 95 % quantile of the same falls does not."""
    judged = Judged(10_000, 1, [10, 20, 30, None], 1.0)
    assert (judged.delay(0.5), judged.delay(0.95), judged.found, judged.rate) == (20.0, None, 0.75, 1.0)


def test_a_fall_changes_nobody_but_its_number() -> None:
    """The same day with one number's odds fallen has the same calls, and only that number loses answers."""
    usual, fallen = a_day(5, 3), a_day(5, 3, {7: 0.2})
    assert (usual.at == fallen.at).all()
    differs = usual.answered != fallen.answered
    assert differs.any()
    assert set(usual.number[differs].tolist()) == {7}
    assert not fallen.answered[differs].any()


def test_poisson_limit_is_the_first_beyond_the_tail() -> None:
    """The Poisson limit of a mean of 10 at one in a thousand is the 0.999 quantile, 21."""
    assert poisson_limit([8, 12], 1e-3) == 21


def test_limit_is_passed_within_the_bucket() -> None:
    """A spike that doubles 100 calls passes a limit of 150 after three quarters of its first five minutes."""
    spike = Spike(0, FIVE_MINUTES, 2 * FIVE_MINUTES, 2.0)
    day = {0: 100, FIVE_MINUTES: 100}
    limits = {0: 150, FIVE_MINUTES: 150}
    assert delay_over(spike, day, limits) == pytest.approx(3.75)
    assert list(events(0, 4)) == [0, 75_000, 150_000, 225_000]
    assert runs_over(spike.of(day), limits, 3) == 1


@pytest.mark.parametrize("module", [figures, markov_chain, page, svg, traffic, volume_limits, windows])
def test_examples_in_the_measurements_hold(module: ModuleType) -> None:
    """Every example in a docstring of the measurements gives what it says."""
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
