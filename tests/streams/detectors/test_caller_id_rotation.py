from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.rule_settings.contacts import CallerIdRotation as Settings
from schemas.times import DAY, HOUR, MINUTE, from_iso
from streams.detectors.caller_id_rotation import CallerIdRotation
from tests.streams import facts

CONTACT = "+12125550123"
START = from_iso("2026-11-02T15:00:00Z")


def placed(at: int, number: int) -> CallFact:
    """A call from one of the company's numbers, as it is placed."""
    return facts.placed(at, number=f"+120255501{number:02}", contact=CONTACT)


def watch(**given_settings: Any) -> CallerIdRotation:
    """The rule on the contact."""
    return CallerIdRotation(Settings(**given_settings), Subject(SubjectKind.CONTACT, CONTACT))


def test_the_third_number_of_a_week_fires() -> None:
    """Calls from two numbers say nothing; the third within 7 days fires once and names them."""
    rotation = watch()
    assert [rotation.update(placed(START + place * DAY, place % 2)) for place in range(4)] == [[]] * 4
    [alert] = rotation.update(placed(START + 4 * DAY, 2))
    assert isinstance(alert, Alert)
    assert alert.evidence["numbers"] == ["+12025550100", "+12025550101", "+12025550102"]
    assert alert.since == START + 2 * DAY
    assert rotation.update(placed(START + 5 * DAY, 3)) == []
    assert rotation.describe(START + 5 * DAY)["state"] == "firing"


def test_it_resolves_once_fewer_numbers_call() -> None:
    """When numbers have been silent for the days of the setting, the next call resolves it."""
    rotation = watch()
    for place in range(3):
        rotation.update(placed(START + place * HOUR, place))
    assert rotation.update(placed(START + 6 * DAY, 0)) == []
    [resolved] = rotation.update(placed(START + 8 * DAY, 0))
    assert isinstance(resolved, Alert)
    assert (resolved.state, resolved.message) == (
        AlertState.RESOLVED,
        "+12125550123 was called from only 1 number within 7 days.",
    )
    assert rotation.describe(START + 8 * DAY)["numbers"] == ["+12025550100"]


def test_off_and_without_data() -> None:
    """Off, it says so and counts nothing."""
    off = watch(enabled=False)
    assert [off.update(placed(START + place, place)) for place in range(5)] == [[]] * 5
    assert (off.describe(START)["state"], watch().describe(START)["state"]) == ("off", "no_data")


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 40 * 24), st.integers(0, 5)), max_size=40),
    st.lists(st.integers(-2, 0), min_size=40, max_size=40),
    st.integers(2, 5),
    st.integers(1, 30),
    st.integers(0, 40),
)
def test_it_counts_as_one_would_by_hand(
    calls: list[tuple[int, int]], lags: list[int], numbers: int, days: int, cut: int
) -> None:
    """Against the list of all calls so far: it fires while as many numbers called within the days before the latest."""
    rotation = watch(numbers=numbers, days=days)
    told: list[tuple[int, int]] = []
    for place, (hour, number) in enumerate(sorted(calls)):
        if place == cut:
            rotation = CallerIdRotation.from_bytes(rotation.to_bytes(), rotation.settings, rotation.subject)
        at = START + hour * HOUR + lags[place] * MINUTE
        told.append((at, number))
        newest = max(before for before, _ in told)
        expected = len({other for before, other in told if before > newest - days * DAY}) >= numbers
        before = rotation.state.episode.is_firing
        found = rotation.update(placed(at, number))
        assert rotation.state.episode.is_firing is expected
        assert len(found) == (before is not expected)


def test_what_is_kept_is_bounded() -> None:
    """However many numbers call, only so many are kept, and the largest count is still reached."""
    rotation = watch(numbers=16)
    found = [rotation.update(placed(START + place * MINUTE, place)) for place in range(60)]
    assert [place for place, findings in enumerate(found) if findings] == [15]
    assert len(rotation.state.numbers) == 16
    assert len(rotation.to_bytes()) < 500
