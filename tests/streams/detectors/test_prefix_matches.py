from __future__ import annotations

import random
from itertools import permutations, product
from math import exp, factorial
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.detectors.prefix_matches import is_same_exchange, matches_of, poisson_tail, ten_digits

# Two area codes with two exchanges each.
EXCHANGES = (202_555, 202_556, 305_555, 305_556)


@pytest.mark.parametrize(
    "number",
    [
        "",
        "+1",
        "+1202555010",
        "+120255501000",
        "12025550100",
        "+442071838750",
        "+1202555O100",
        "+1202555²100",
        "client:ann",
    ],
)
def test_other_numbers_are_left_out(number: str) -> None:
    """Whatever is not a plus sign, a 1 and ten digits is no number of the plan, and raises nothing."""
    assert ten_digits(number) is None


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(EXCHANGES), st.sampled_from(EXCHANGES)), min_size=1, max_size=5))
def test_the_expected_matches_are_the_mean_over_all_ways_to_deal_the_numbers_out(pairs: list[tuple[int, int]]) -> None:
    """Against every deal of the calling numbers among the people of each area code: the same mean count of matches."""
    block = [(called * 10_000 + line, own * 10_000) for line, (called, own) in enumerate(pairs)]
    areas = [[pair for pair in block if pair[0] // 10_000_000 == area] for area in (202, 305)]
    deals = product(*(permutations([own for _, own in area]) for area in areas))
    means = fmean(
        sum(
            is_same_exchange(contact, own)
            for area, owns in zip(areas, deal, strict=True)
            for (contact, _), own in zip(area, owns, strict=True)
        )
        for deal in deals
    )
    found = matches_of(block)
    assert found.expected == pytest.approx(means)
    assert found.contacts == len(pairs)
    assert found.exchange_matches == sum(called == own for called, own in pairs)
    assert found.area_matches == sum(called // 1_000 == own // 1_000 for called, own in pairs)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 60), st.floats(0.01, 20))
def test_the_tail_is_one_minus_what_comes_before(count: int, mean: float) -> None:
    """Above the mean the tail is what the terms below the count leave of 1; at the mean and below it is given as 1."""
    if count <= mean:
        assert poisson_tail(count, mean) == 1.0
        return
    below = sum(exp(-mean) * mean**term / factorial(term) for term in range(count))
    # What is left of 1 by subtraction is exact to 1e-13 or so.
    assert poisson_tail(count, mean) == pytest.approx(1 - below, rel=1e-9, abs=1e-12)


def test_a_far_tail_keeps_its_digits() -> None:
    """Far out, where subtraction leaves nothing, the tail is the sum of its own terms."""
    direct = sum(exp(-2.0) * 2.0**term / factorial(term) for term in range(40, 80))
    assert poisson_tail(40, 2.0) == pytest.approx(direct, rel=1e-9)
    assert poisson_tail(1, 0.0) == 0.0


@pytest.mark.parametrize("exchanges", [2, 10, 60])
def test_by_chance_a_chance_is_seldom_small(exchanges: int) -> None:
    """Numbers dealt out at random within an area code give a chance below 0.02 in no more than 2 % of blocks."""
    draw = random.Random(20_261_123 + exchanges)
    prefixes = [2_025_550_000 + place * 10_000 for place in range(exchanges)]
    blocks = 800
    small = 0
    for _ in range(blocks):
        block = [(draw.choice(prefixes) + line % 10_000, draw.choice(prefixes)) for line in range(150)]
        small += matches_of(block).chance < 0.02
    assert small / blocks <= 0.02
