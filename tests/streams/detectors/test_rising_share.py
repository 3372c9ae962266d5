from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rule_settings.shares import BlockedCalls as Settings
from schemas.suppression import Suppression
from schemas.times import MINUTE, from_iso
from streams.detectors.blocked_calls import BlockedCalls
from streams.detectors.finding import Finding, Lifted
from streams.detectors.rising_share import ShareState, describe, step
from streams.windows.packing import pack

START = from_iso("2026-11-02T00:00:00Z")
CAMPAIGN = Subject(SubjectKind.CAMPAIGN, "spring")
USUAL = 0.03


class OpenCap:
    """A cap that lets so many numbers be suppressed, and remembers which are."""

    def __init__(self, allowed: int = 100) -> None:
        self.allowed = allowed
        self.held: dict[str, str] = {}

    def refusal(self, number: str, at: int) -> str | None:  # noqa: ARG002 - the real one looks at the time
        """Why not."""
        return None if number in self.held or len(self.held) < self.allowed else "enough"

    def hold(self, number: str, rule: str, until: int) -> None:  # noqa: ARG002 - the real one looks at the time
        """Remember."""
        self.held[number] = rule

    def release(self, number: str, rule: str) -> None:
        """Forget."""
        assert self.held.pop(number) == rule


class Fleet:
    """Numbers of one campaign that call in turn, a call a minute; some are blocked by a seeded coin."""

    def __init__(self, numbers: int = 5, seed: int = 1, allowed: int = 100, **chosen: object) -> None:
        self.settings = Settings.model_validate(chosen)
        self.random = Random(seed)
        self.campaign = ShareState()
        self.names = [f"+12025550{index:03d}" for index in range(numbers)]
        self.numbers = {name: ShareState() for name in self.names}
        self.cap = OpenCap(allowed)
        self.at = START
        self.said: list[Finding] = []

    def call(self, name: str, hit: bool) -> Sequence[Finding]:
        """One call of one number."""
        self.at += MINUTE
        own = Subject(SubjectKind.NUMBER, name), self.numbers[name]
        found = step(BlockedCalls, self.settings, (CAMPAIGN, self.campaign), own, self.at, hit, self.cap)
        self.said += found
        return found

    def play(self, rounds: int, bad: dict[str, float] | None = None) -> list[Finding]:
        """Every number calls so many times; what came to light."""
        before = len(self.said)
        for _ in range(rounds):
            for name in self.names:
                self.call(name, self.random.random() < (bad or {}).get(name, USUAL))
        return self.said[before:]


def alerts(found: Sequence[Finding], value: str) -> list[Alert]:
    """The alerts on one subject."""
    return [one for one in found if isinstance(one, Alert) and one.subject.value == value]


def taught(numbers: int = 5, allowed: int = 100) -> Fleet:
    """A fleet with a baseline."""
    fleet = Fleet(numbers, allowed=allowed)
    assert fleet.play(300) == []
    return fleet


def test_a_blocked_number_is_found_dated_and_suppressed() -> None:
    """A number whose share rises from 3 to 25 % fires within a hundred of its calls, by itself, and is suppressed."""
    fleet = taught()
    bad, began = fleet.names[2], fleet.at
    found: list[Finding] = []
    calls = 0
    while not found:
        calls += 1
        found = fleet.play(1, {bad: 0.25})
        assert calls < 100
    alert, suppression = found
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (alert.subject.value, alert.state, alert.rule) == (bad, AlertState.FIRING, "blocked_calls")
    assert abs(alert.since - began) < 200 * MINUTE
    assert suppression.until == alert.at + 24 * 60 * MINUTE
    assert fleet.cap.held == {bad: "blocked_calls"}
    evidence = alert.evidence
    assert isinstance(evidence["hits"], int)
    assert evidence["hits"] >= fleet.settings.least_hits
    assert evidence["band"] == "high"


def test_its_recovery_resolves_and_lifts() -> None:
    """Once the number's calls are as usual again, the alert resolves and the suppression is taken back."""
    fleet = taught()
    bad = fleet.names[0]
    fleet.play(100, {bad: 0.3})
    back = fleet.play(200)
    assert [alert.state for alert in alerts(back, bad)] == [AlertState.RESOLVED]
    assert Lifted(Subject(SubjectKind.NUMBER, bad), "blocked_calls", "spring") in back
    assert fleet.cap.held == {}


def test_a_bad_campaign_is_told_once() -> None:
    """Where all numbers are blocked, the campaign fires and its numbers are inhibited or silent."""
    fleet = taught(numbers=20)
    found = fleet.play(60, dict.fromkeys(fleet.names, 0.25))
    firing = [one for one in found if isinstance(one, Alert) and one.state is AlertState.FIRING]
    assert alerts(firing, "spring")
    assert len(firing) <= 2
    assert all("inhibited_by" in one.evidence for one in found if isinstance(one, Alert) and one not in firing)


def test_a_number_is_told_after_its_campaign_recovered() -> None:
    """A number that stays down when its campaign is back fires for itself, and is suppressed."""
    fleet = taught(numbers=20)
    bad = fleet.names[7]
    fleet.play(60, dict.fromkeys(fleet.names, 0.25))
    assert fleet.campaign.episode.is_firing
    fleet.play(120, {bad: 0.3})
    assert not fleet.campaign.episode.is_firing
    last = alerts(fleet.said, bad)[-1]
    assert last.state is AlertState.FIRING
    assert bad in fleet.cap.held


def test_the_cap_is_kept_and_said() -> None:
    """A number that the cap keeps from being suppressed says so in its alert."""
    fleet = taught(allowed=0)
    found = fleet.play(80, {fleet.names[0]: 0.4})
    assert not any(isinstance(one, Suppression) for one in found)
    assert alerts(found, fleet.names[0])[0].evidence["not_suppressed_because"] == "enough"


def test_a_usual_share_raises_nothing() -> None:
    """Over 60,000 calls at the usual share hardly anything fires."""
    fleet = Fleet(numbers=6, seed=3)
    fired = [one for one in fleet.play(10_000) if isinstance(one, Alert) and one.state is AlertState.FIRING]
    assert len(fired) <= 2


def test_nothing_fires_before_the_campaign_has_learned() -> None:
    """Calls before there is a baseline fire nothing, whatever they are."""
    fleet = Fleet(numbers=1)
    assert [fleet.call(fleet.names[0], True) for _ in range(fleet.settings.learning_trials)] == [
        []
    ] * fleet.settings.learning_trials


@pytest.mark.parametrize("least", [2, 5, 20])
def test_the_least_number_of_hits_is_kept(least: int) -> None:
    """No alert has fewer calls of the watched sort than the settings ask for."""
    fleet = Fleet(numbers=3, least_hits=least)
    fleet.play(300)
    for alert in alerts(fleet.play(200, {fleet.names[0]: 0.6}), fleet.names[0]):
        hits = alert.evidence["hits"]
        assert isinstance(hits, int)
        assert hits >= least


def test_a_baseline_that_was_too_low_is_put_right() -> None:
    """A campaign that learned from calls that went well by chance is not alarmed by its usual share for ever."""
    fleet = Fleet(numbers=4, seed=2)
    for place in range(4 * 70):
        fleet.call(fleet.names[place % 4], place % 70 == 0)
    assert fleet.campaign.hits == 4
    assert [one for one in fleet.play(1_500) if isinstance(one, Alert)] == []
    assert 0.02 < fleet.campaign.hits / fleet.campaign.trials < 0.04


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=400), st.integers(0, 400))
@settings(max_examples=40, deadline=None)
def test_bytes_in_between_change_nothing(calls: list[tuple[int, bool]], cut: int) -> None:
    """States that were packed and read in mid-stream say what untouched ones say, to the byte."""
    straight, packed = (Fleet(numbers=3, learning_trials=20, least_hits=1) for _ in range(2))
    for place, (number, hit) in enumerate(calls):
        if place == cut:
            packed.campaign = msgspec.msgpack.decode(msgspec.msgpack.encode(packed.campaign), type=ShareState)
            for name, state in packed.numbers.items():
                packed.numbers[name] = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ShareState)
        assert straight.call(straight.names[number], hit) == packed.call(packed.names[number], hit)
    assert pack(1, straight.numbers) == pack(1, packed.numbers)


def test_what_is_shown() -> None:
    """The state is told in words, with a share only where there is one."""
    chosen = Settings()
    assert describe(BlockedCalls, chosen, None, None)["state"] == "no_data"
    assert describe(BlockedCalls, chosen, None, None)["share"] is None
    fleet = taught()
    shown = describe(BlockedCalls, chosen, fleet.numbers[fleet.names[0]], fleet.campaign)
    assert shown["state"] == "ok"
    assert isinstance(shown["trials"], int)
    assert isinstance(shown["interval"], list)
    # What the chart still weighs is not learned yet.
    assert 250 < shown["trials"] <= 300
