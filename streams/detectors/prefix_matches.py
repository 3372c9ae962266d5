"""How often people are called from their own exchange, and how often chance alone would have it so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import exp, lgamma, log

import msgspec

# Plus sign, country code 1, and the ten digits of the North American Numbering Plan.
_LENGTH = 12
_LINE = 10_000
_EXCHANGE = 1_000

# Terms this far below the sum no longer change it in the digits that matter.
_NEGLIGIBLE = 1e-12


class Matches(msgspec.Struct, frozen=True, array_like=True):
    """What a block of people called shows.

    Attributes:
        contacts: people in it.
        exchange_matches: those called from their own exchange: the same NPA-NXX, the first six digits.
        expected: how many that would be by chance, given which numbers call into each area code and whom.
        area_matches: those called from their own area code (NPA), exchange or not.
        chance: the chance of so many exchange matches, or more, where the numbers are not chosen by exchange.
    """

    contacts: int
    exchange_matches: int
    expected: float
    area_matches: int
    chance: float


def ten_digits(number: str) -> int | None:
    """The ten digits of a number of the North American Numbering Plan; None for any other.

    >>> ten_digits("+12025550100"), ten_digits("+442071838750"), ten_digits("sip:desk@example.com")
    (2025550100, None, None)
    """
    if len(number) != _LENGTH or not number.startswith("+1"):
        return None
    digits = number[2:]
    return int(digits) if digits.isascii() and digits.isdigit() else None


def is_same_exchange(one: int, other: int) -> bool:
    """Whether two numbers of ten digits share area code and exchange, NPA-NXX.

    >>> is_same_exchange(2025550100, 2025550199), is_same_exchange(2025550100, 2025560100)
    (True, False)
    """
    return one // _LINE == other // _LINE


def matches_of(pairs: Iterable[tuple[int, int]]) -> Matches:
    """Count matches, and those to expect if numbers were dealt out anew within each area code called.

    Within the people of one area code, keep who was called and which numbers called, and deal these out at random. The
    expected matches of one exchange are then the calls into the area code from its numbers, times the share of the area
    code's people who live in it. So neither a campaign that calls one town from one number of the town nor one that
    picks its number by area code is expected to match less than it does. The count's variance is at most
    mean * n / (n - 1), so a Poisson count of the same mean, which gives the chance, varies no less.

    Args:
        pairs: for each person called, the person's ten digits and those of the number that called.

    References:
        Barbour, A. D., Holst, L., Janson, S. (1992), Poisson Approximation, Clarendon Press, Oxford.

    >>> town = [(2025550100 + person, 2025550100 + person % 2 * 10_000) for person in range(90)]
    >>> matches_of(town).exchange_matches, matches_of(town).expected
    (45, 45.0)
    >>> chosen = [(2025550100 + person % 3 * 10_000, 2025550199 + person % 3 * 10_000) for person in range(90)]
    >>> matches_of(chosen).exchange_matches, matches_of(chosen).expected
    (90, 30.0)
    """
    people: Counter[int] = Counter()
    called: Counter[int] = Counter()
    calling: Counter[int] = Counter()
    contacts = exchange_matches = area_matches = 0
    for contact, own in pairs:
        contacts += 1
        exchange, own_exchange = contact // _LINE, own // _LINE
        area = exchange // _EXCHANGE
        people[area] += 1
        called[exchange] += 1
        if area == own_exchange // _EXCHANGE:
            area_matches += 1
            calling[own_exchange] += 1
            exchange_matches += exchange == own_exchange
    # From a float on: a sum of nothing would be an integer, and be written with other bytes than it is read from.
    expected = sum(
        (
            calls * called[exchange] / people[exchange // _EXCHANGE]
            for exchange, calls in calling.items()
            if exchange in called
        ),
        0.0,
    )
    return Matches(contacts, exchange_matches, expected, area_matches, poisson_tail(exchange_matches, expected))


def poisson_tail(count: int, mean: float) -> float:
    """The chance that a Poisson count of this mean is at least so high.

    Summed from the count upward, so nothing cancels; below the mean, where it decides nothing, it is given as 1.

    >>> f"{poisson_tail(20, 5.0):.4g}", poisson_tail(3, 5.0), poisson_tail(0, 0.0)
    ('3.452e-07', 1.0, 1.0)
    """
    if count <= mean:
        return 1.0
    if mean == 0:
        return 0.0
    term = exp(count * log(mean) - mean - lgamma(count + 1))
    chance = term
    while term > chance * _NEGLIGIBLE:
        count += 1
        term *= mean / count
        chance += term
    return chance
