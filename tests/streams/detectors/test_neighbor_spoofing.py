from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.rule_settings.numbers import NeighborSpoofing as Settings
from schemas.times import MINUTE
from streams.detectors.finding import Finding
from streams.detectors.neighbor_spoofing import NeighborSpoofing
from streams.detectors.prefix_matches import matches_of
from tests.streams import facts

CAMPAIGN = Subject(SubjectKind.CAMPAIGN, "spring-sale")
START = 1_795_442_400_000

# Three area codes with twenty exchanges each, of a hundred lines.
AREAS = (202, 305, 415)
EXCHANGES = [area * 1_000 + 550 + place for area in AREAS for place in range(20)]


def placed(at: int, contact: str, number: str) -> CallFact:
    """One placed call of the campaign."""
    return facts.placed(at, number=number, contact=contact, campaign=CAMPAIGN.value)


def run(rule: NeighborSpoofing, calls: list[tuple[str, str]], start: int = START) -> list[Alert]:
    """Show calls, each a contact and a number, a minute apart; all findings are alerts."""
    found: list[Alert] = []
    for index, (contact, number) in enumerate(calls):
        for finding in rule.update(placed(start + index * MINUTE, contact, number)):
            assert isinstance(finding, Alert)
            found.append(finding)
    return found


def people(seed: int, amount: int) -> list[str]:
    """So many different people of all exchanges."""
    draw = random.Random(seed)
    everybody = [f"+1{exchange}{line:04d}" for exchange in EXCHANGES for line in range(100, 200)]
    return draw.sample(everybody, amount)


def by_exchange(contact: str) -> str:
    """The number that a dialer with one in every exchange chooses to look like a neighbour."""
    return f"{contact[:8]}0001"


def by_area(contact: str) -> str:
    """The number that a dialer with one in every area code chooses."""
    return f"{contact[:5]}5550001"


def test_numbers_chosen_by_exchange_fire_once_and_resolve() -> None:
    """The alert comes with the first full block, tells counts and numbers, and ends with the first calm block."""
    rule = NeighborSpoofing(Settings(), CAMPAIGN)
    chosen = [(contact, by_exchange(contact)) for contact in people(1, 900)]
    (fired,) = run(rule, chosen)
    assert (fired.state, fired.at, fired.since) == (AlertState.FIRING, START + 299 * MINUTE, START)
    assert (fired.evidence["contacts"], fired.evidence["exchange_matches"]) == (300, 300)
    expected = matches_of((int(contact[2:]), int(number[2:])) for contact, number in chosen[:300]).expected
    assert fired.evidence["expected"] == round(expected, 2)
    assert expected < 30
    numbers = fired.evidence["numbers"]
    assert isinstance(numbers, dict)
    assert len(numbers) == 10
    assert set(numbers) <= {number for _, number in chosen}
    assert rule.describe(fired.at)["state"] == "firing"
    (resolved,) = run(rule, [(contact, by_area(contact)) for contact in people(2, 300)])
    assert (resolved.state, resolved.alert_id) == (AlertState.RESOLVED, fired.alert_id)
    assert rule.describe(resolved.at)["state"] == "ok"


def test_numbers_chosen_by_area_code_are_told_but_do_not_fire() -> None:
    """Local presence by area code matches some exchanges by chance, and no more than chance."""
    rule = NeighborSpoofing(Settings(least_matches=1), CAMPAIGN)
    assert run(rule, [(contact, by_area(contact)) for contact in people(3, 6_000)]) == []
    described = rule.describe(START)
    assert described["area_matches"] == described["contacts"] == 300
    matches = described["exchange_matches"]
    assert isinstance(matches, int)
    assert matches > 0


@pytest.mark.parametrize("numbers", [1, 3])
def test_a_local_campaign_that_calls_its_own_town_does_not_fire(numbers: int) -> None:
    """All calls stay in the town's one exchange and come from its own numbers: nothing was chosen."""
    rule = NeighborSpoofing(Settings(least_matches=1), CAMPAIGN)
    town = [(f"+1202555{line:04d}", f"+1202555{line % numbers:04d}") for line in range(1_000, 4_000)]
    assert run(rule, town) == []
    assert rule.describe(START)["exchange_matches"] == 300


def test_numbers_dealt_out_at_random_do_not_fire() -> None:
    """A number in each exchange, drawn anew for each call, matches as often as chance has it."""
    draw = random.Random(4)
    rule = NeighborSpoofing(Settings(least_matches=1), CAMPAIGN)
    calls = [(contact, f"+1{draw.choice(EXCHANGES)}0001") for contact in people(4, 6_000)]
    assert run(rule, calls) == []


def test_calls_to_the_same_person_count_once_a_block() -> None:
    """Retries from the number a person was first called from are no further evidence."""
    rule = NeighborSpoofing(Settings(block_contacts=50), CAMPAIGN)
    few = [(contact, by_exchange(contact)) for contact in people(5, 49)]
    assert run(rule, few * 20) == []
    assert rule.describe(START)["state"] == "learning"
    assert rule.describe(START)["block_contacts"] == 49


def test_the_first_number_a_person_is_called_from_counts() -> None:
    """A person called again from another number stays with the first one."""
    rule = NeighborSpoofing(Settings(block_contacts=50), CAMPAIGN)
    *others, last = people(8, 50)
    calls = [(contact, "+18005550001") for contact in others] + [(contact, by_exchange(contact)) for contact in others]
    assert run(rule, [*calls, (last, "+18005550001")]) == []
    assert rule.describe(START)["exchange_matches"] == 0


def block_of(matches: int) -> list[tuple[str, str]]:
    """Fifty people of ten exchanges and as many numbers of each: 5 matches are expected, so many there are."""
    contacts = [f"+1202{550 + exchange}{line:04d}" for line in range(5) for exchange in range(10)]
    matched, others = contacts[:matches], sorted(contacts[matches:])
    # At most five of an exchange stand side by side, so that nobody matches the number of the fifth one on.
    away = others[5:] + others[:5]
    return [(contact, by_exchange(contact)) for contact in matched] + [
        (contact, by_exchange(other)) for contact, other in zip(others, away, strict=True)
    ]


def test_an_alert_holds_until_a_block_is_calm() -> None:
    """Between the firing level and one in a hundred nothing changes, so that an alert does not come and go."""
    rule = NeighborSpoofing(Settings(block_contacts=50, tail_probability=1e-3, least_matches=1), CAMPAIGN)
    # By chance 12 matches come with 0.0055, 14 with 0.0007, and 10 with 0.032.
    said = [[alert.state for alert in run(rule, block_of(matches))] for matches in (12, 14, 12, 14, 10, 12)]
    assert said == [[], [AlertState.FIRING], [], [], [AlertState.RESOLVED], []]


def test_fewer_matches_than_the_least_do_not_fire() -> None:
    """However unlikely, a handful of neighbours in a block is not what people see on their phones."""
    contacts = people(6, 300)
    calls = [
        (contact, by_exchange(contact) if place < 14 else "+18005550001") for place, contact in enumerate(contacts)
    ]
    assert run(NeighborSpoofing(Settings(), CAMPAIGN), calls) == []
    assert len(run(NeighborSpoofing(Settings(least_matches=14), CAMPAIGN), calls)) == 1


def test_numbers_outside_the_plan_are_no_evidence() -> None:
    """Calls to or from other countries, or from a SIP address, leave the rule where it was."""
    rule = NeighborSpoofing(Settings(), CAMPAIGN)
    calls = [
        ("+442071838750", "+442071838751"),
        ("+12025550100", "sip:desk@example.com"),
        ("client:ann", "+12025550100"),
    ]
    assert run(rule, calls * 400) == []
    assert rule.describe(START)["state"] == "no_data"


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, the rule keeps nothing and says so."""
    rule = NeighborSpoofing(Settings(enabled=False), CAMPAIGN)
    assert run(rule, [(contact, by_exchange(contact)) for contact in people(7, 400)]) == []
    assert rule.describe(START)["state"] == "off"


def test_more_matches_than_a_block_holds_are_refused() -> None:
    """Settings by which the rule could never fire are refused with what to do."""
    with pytest.raises(ValidationError, match="set it to block_contacts or less"):
        Settings(block_contacts=50, least_matches=51)


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32), st.integers(1, 12), st.lists(st.floats(0, 1), min_size=1, max_size=4), st.integers(0, 400)
)
def test_it_says_what_a_look_at_each_block_says(seed: int, least: int, shares: list[float], cut: int) -> None:
    """Against blocks cut from all calls so far: the same transitions at the same calls, through bytes in mid-stream."""
    draw = random.Random(seed)
    rules = Settings(block_contacts=50, tail_probability=1e-3, least_matches=least)
    contacts = people(seed, 30 * len(shares))
    calls = [
        (contact, by_exchange(contact) if draw.random() < share else f"+1{draw.choice(EXCHANGES)}0002")
        for share in shares
        for contact in draw.choices(contacts, k=100)
    ]
    rule = NeighborSpoofing(rules, CAMPAIGN)
    found: list[tuple[int, Finding]] = []
    said: list[tuple[int, AlertState]] = []
    block: dict[str, str] = {}
    for place, (contact, number) in enumerate(calls):
        if place == cut:
            stored = rule.to_bytes()
            rule = NeighborSpoofing.from_bytes(stored, rules, CAMPAIGN)
            assert rule.to_bytes() == stored
        found += [(place, finding) for finding in rule.update(placed(START + place, contact, number))]
        block.setdefault(contact, number)
        if len(block) == 50:
            seen = matches_of((int(contact[2:]), int(number[2:])) for contact, number in block.items())
            block = {}
            firing = bool(said) and said[-1][1] is AlertState.FIRING
            if firing and seen.chance >= 1e-2:
                said.append((place, AlertState.RESOLVED))
            elif not firing and seen.exchange_matches >= least and seen.chance < 1e-3:
                said.append((place, AlertState.FIRING))
    assert [(place, alert.state) for place, alert in found if isinstance(alert, Alert)] == said
