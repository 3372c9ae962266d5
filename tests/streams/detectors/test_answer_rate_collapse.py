from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.rules import AnswerRateCollapse
from schemas.suppression import Suppression
from schemas.times import DAY, HOUR, MINUTE, from_iso, to_iso
from streams.detectors import (
    CampaignAnswers,
    Finding,
    Lifted,
    NumberAnswers,
    describe_campaign,
    describe_number,
    step,
)
from streams.windows import UnreadableStateError

START = from_iso("2026-11-02T00:00:00Z")
USUAL = 0.35
Rate = Callable[[str], float]


class Fleet:
    """Numbers of one campaign that call in turn, a call a minute, answered by a seeded coin."""

    def __init__(self, settings: AnswerRateCollapse, numbers: int, seed: int = 1, campaign: str = "spring") -> None:
        self.settings = settings
        self.random = Random(seed)
        self.campaign = CampaignAnswers(settings, campaign)
        self.names = [f"+12025550{index:03d}" for index in range(numbers)]
        self.numbers = {name: NumberAnswers(settings, name, campaign) for name in self.names}
        self.at = START
        self.said: list[Finding] = []

    def call(self, name: str, answered: bool) -> list[Finding]:
        """One call of one number."""
        self.at += MINUTE
        found = step(self.campaign, self.numbers[name], self.at, answered)
        self.said += found
        return found

    def play(self, rounds: int, rate: Rate = lambda _: USUAL) -> list[Finding]:
        """Every number calls so many times; what came to light."""
        before = len(self.said)
        for _ in range(rounds):
            for name in self.names:
                self.call(name, self.random.random() < rate(name))
        return self.said[before:]

    def through_bytes(self) -> None:
        """Store and load everything."""
        self.campaign = CampaignAnswers.from_bytes(self.campaign.to_bytes(), self.settings, "spring")
        self.numbers = {
            name: NumberAnswers.from_bytes(number.to_bytes(), self.settings, name, "spring")
            for name, number in self.numbers.items()
        }

    def stored(self) -> list[bytes]:
        """All bytes."""
        return [self.campaign.to_bytes(), *(number.to_bytes() for number in self.numbers.values())]

    def word(self, name: str | None = None) -> object:
        """The state that is shown for a number, or for the campaign."""
        if name is None:
            return describe_campaign(self.campaign, self.at)["state"]
        return describe_number(self.campaign, self.numbers[name], self.at)["state"]


def alerts(findings: list[Finding], value: str | None = None) -> list[Alert]:
    """The alerts among findings, of one subject or of all."""
    return [found for found in findings if isinstance(found, Alert) and value in {None, found.subject.value}]


def one_down(bad: str, rate: float = 0.05) -> Rate:
    """Everything as usual but one number."""
    return lambda name: rate if name == bad else USUAL


def bring_down(fleet: Fleet, bad: str, *others: str) -> None:
    """Let a number fall, beside others that are down already, until it fires."""
    for _ in range(300):
        if fleet.word(bad) == "firing":
            return
        fleet.play(1, lambda name: 0.0 if name in {bad, *others} else USUAL)
    raise AssertionError(f"{bad} never fired")


def taught(numbers: int = 10, rounds: int = 300, campaign: str = "spring", **chosen: object) -> Fleet:
    """A fleet with a baseline."""
    fleet = Fleet(AnswerRateCollapse.model_validate(chosen), numbers, campaign=campaign)
    assert fleet.play(rounds) == []
    return fleet


def test_a_fallen_number_is_found_at_a_known_call() -> None:
    """On a seeded stream a fall from 35 to 12 % fires at exactly this call, dated close to its start."""
    fleet = taught()
    bad, fell_at = fleet.names[5], fleet.at
    found: list[Finding] = []
    count = 0
    while not found:
        count += 1
        found = fleet.play(1, one_down(bad, 0.12))
        assert count < 300
    assert count == 101
    alert, suppression = found
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (alert.subject, alert.state, alert.sequence) == (
        Subject(SubjectKind.NUMBER, bad), AlertState.FIRING, 1,
    )  # fmt: skip
    assert abs(alert.since - fell_at) < 4 * HOUR
    assert suppression.until == alert.at + 24 * HOUR
    assert suppression.alert_id == alert.alert_id
    assert fleet.word(bad) == "firing"
    assert fleet.word() == "ok"


def test_the_alert_says_why() -> None:
    """The evidence holds counts, baseline, interval, start, source and advice, and they agree with each other."""
    fleet = taught()
    bad = fleet.names[3]
    alert = alerts(fleet.play(100, one_down(bad, 0.0)))[0]
    evidence = alert.evidence
    assert evidence["answered"] == 0
    assert evidence["rate"] == 0.0
    calls = evidence["calls"]
    assert isinstance(calls, int)
    assert evidence["expected"] == pytest.approx(calls * USUAL, rel=0.3)
    assert isinstance(evidence["interval"], list)
    assert evidence["interval"][0] == 0.0
    assert evidence["since"] == to_iso(alert.since)
    assert {"baseline", "source", "what_to_do", "suppressed", "suppressed_until"} <= evidence.keys()
    assert f"answered 0 of {calls} calls since {to_iso(alert.since)}" in alert.message


def test_nothing_fires_while_learning() -> None:
    """A number that is dead from the start only says that it is still learning."""
    fleet = Fleet(AnswerRateCollapse(), 5)
    assert fleet.play(99, one_down(fleet.names[0], 0.0)) == []
    shown = describe_number(fleet.campaign, fleet.numbers[fleet.names[0]], fleet.at)
    assert (shown["state"], shown["learned_calls"], shown["baseline"]) == ("learning", 99, None)
    assert describe_campaign(fleet.campaign, START + HOUR)["state"] == "learning"


def test_a_campaign_learns_for_a_day() -> None:
    """A campaign's own chart stays silent until it has lived through the hours of a day."""
    fleet = Fleet(AnswerRateCollapse(), 1)
    fleet.play(1_000)
    assert (fleet.word(), fleet.word(fleet.names[0])) == ("learning", "ok")
    fleet.play(500)
    assert fleet.word() == "ok"


def test_fires_once_and_resolves_once() -> None:
    """However long a number stays down there is one alert; its recovery resolves it once and lifts the suppression."""
    fleet = taught()
    bad = fleet.names[3]
    down = fleet.play(300, one_down(bad))
    assert [alert.state for alert in alerts(down)] == [AlertState.FIRING]
    up = fleet.play(300)
    resolved = alerts(up, bad)
    assert [alert.state for alert in resolved] == [AlertState.RESOLVED]
    assert (resolved[0].sequence, resolved[0].alert_id) == (2, alerts(down)[0].alert_id)
    assert up[-1] == Lifted(Subject(SubjectKind.NUMBER, bad), "answer_rate_collapse", "spring")
    assert fleet.word(bad) == "ok"


def test_a_recovery_lifts_the_suppression_of_its_own_campaign_only() -> None:
    """A number down in two campaigns has two suppressions; what one campaign lifts names that campaign."""
    spring, autumn = taught(), taught(campaign="autumn")
    bad = spring.names[3]
    for fleet in (spring, autumn):
        fleet.play(150, one_down(bad))
    asked = [one for fleet in (spring, autumn) for one in fleet.said if isinstance(one, Suppression)]
    assert {(one.subject.value, one.rule, one.scope) for one in asked} == {
        (bad, "answer_rate_collapse", "spring"),
        (bad, "answer_rate_collapse", "autumn"),
    }
    lifted = [one for one in autumn.play(300) if isinstance(one, Lifted)]
    assert lifted == [Lifted(Subject(SubjectKind.NUMBER, bad), "answer_rate_collapse", "autumn")]
    assert spring.word(bad) == "firing"


def test_a_second_fall_is_a_second_run() -> None:
    """After it was resolved the next fall fires again under another id."""
    fleet = taught()
    bad = fleet.names[3]
    for _ in range(2):
        fleet.play(150, one_down(bad))
        fleet.play(150)
    ids = [alert.alert_id for alert in alerts(fleet.said, bad)]
    assert len(ids) == 4
    assert ids[0] == ids[1] != ids[2] == ids[3]
    assert fleet.numbers[bad].runs == 2


def test_one_answered_call_resolves_nothing() -> None:
    """A few good calls are no recovery: it takes fresh calls and time."""
    fleet = taught(recovery_calls=30, dwell_minutes=60.0)
    bad = fleet.names[3]
    bring_down(fleet, bad)
    fired_at = fleet.at
    for count in range(1, 31):
        found = fleet.call(bad, answered=True)
        assert bool(found) == (count == 30 and fleet.at >= fired_at + 60 * MINUTE)
    while not (found := fleet.call(bad, answered=True)):
        assert fleet.at < fired_at + 2 * HOUR
    assert alerts(found)[0].at >= fired_at + 50 * MINUTE


def test_a_fall_does_not_teach_the_baseline() -> None:
    """After a long fall the number is still held against what it was before."""
    fleet = taught()
    bad = fleet.names[3]
    before = describe_number(fleet.campaign, fleet.numbers[bad], START)["baseline"]
    fleet.play(400, one_down(bad, 0.0))
    after = describe_number(fleet.campaign, fleet.numbers[bad], START)["baseline"]
    assert isinstance(before, float)
    assert after == pytest.approx(before, abs=0.03)


def test_a_fallen_campaign_fires_alone() -> None:
    """When all numbers fall together the campaign's alert fires and no number's does."""
    fleet = taught(numbers=20)
    found = fleet.play(30, lambda _: 0.18)
    assert [(alert.subject.kind, alert.state) for alert in alerts(found)] == [(SubjectKind.CAMPAIGN, AlertState.FIRING)]
    assert not [suppression for suppression in found if isinstance(suppression, Suppression)]
    assert [alert.state for alert in alerts(fleet.play(60))] == [AlertState.RESOLVED]


def test_numbers_under_a_fallen_campaign_are_inhibited() -> None:
    """A number that falls while its campaign is down is inhibited and not suppressed; it fires when only it is down."""
    fleet = taught(numbers=20)
    bad = fleet.names[7]
    fleet.play(15, lambda _: 0.12)
    campaign = alerts(fleet.said, "spring")[0]
    fleet.play(80, lambda name: 0.0 if name == bad else 0.12)
    inhibited = alerts(fleet.said, bad)
    assert [alert.state for alert in inhibited] == [AlertState.INHIBITED]
    assert inhibited[0].evidence["inhibited_by"] == campaign.alert_id
    assert fleet.word(bad) == "inhibited"
    assert not [found for found in fleet.said if isinstance(found, Suppression)]
    fleet.play(60, one_down(bad, 0.0))
    assert [alert.state for alert in alerts(fleet.said, "spring")] == [AlertState.FIRING, AlertState.RESOLVED]
    assert [(alert.state, alert.sequence) for alert in alerts(fleet.said, bad)] == [
        (AlertState.INHIBITED, 1),
        (AlertState.FIRING, 2),
    ]
    assert [found.subject.value for found in fleet.said if isinstance(found, Suppression)] == [bad]


def test_a_campaign_takes_over_numbers_that_fired_first() -> None:
    """A number that fired just before its campaign is inhibited and let go when the campaign fires."""
    fleet = taught(numbers=10)
    bad = fleet.names[0]
    while fleet.word(bad) != "firing":
        # Five calls to the others' one, so that it fires within the hours that its campaign looks back.
        fleet.play(1, one_down(bad, 0.0))
        for _ in range(4):
            fleet.call(bad, answered=False)
        assert fleet.at < START + 100 * DAY
    found = fleet.play(40, lambda _: 0.02)
    index = next(index for index, one in enumerate(found) if isinstance(one, Alert) and one.subject.value == "spring")
    _, inhibited, lifted = found[index : index + 3]
    assert isinstance(inhibited, Alert)
    assert (inhibited.subject.value, inhibited.state, inhibited.sequence) == (bad, AlertState.INHIBITED, 2)
    assert lifted == Lifted(Subject(SubjectKind.NUMBER, bad), "answer_rate_collapse", "spring")
    assert describe_number(fleet.campaign, fleet.numbers[bad], fleet.at)["suppressed_until"] is None


def test_an_old_fall_is_not_taken_over() -> None:
    """A number that was down long before its campaign keeps its own alert."""
    fleet = taught(numbers=20)
    bad = fleet.names[0]
    fleet.play(150, one_down(bad, 0.0))
    fleet.play(30, lambda name: 0.0 if name == bad else 0.08)
    assert fleet.word() == "firing"
    assert [alert.state for alert in alerts(fleet.said, bad)] == [AlertState.FIRING]


def test_suppressions_stop_at_the_share() -> None:
    """Beyond the share a number fires without being suppressed, and its evidence says so."""
    fleet = taught(numbers=20, suppress_share=0.1)
    down = fleet.names[:4]
    for name in down:
        bring_down(fleet, name, *down)
    fired = alerts(fleet.said)
    assert [alert.evidence["suppressed"] for alert in fired] == [True, True, False, False]
    assert "2 of the campaign's 20 active numbers" in str(fired[2].evidence["not_suppressed_because"])
    assert len(fleet.campaign.suppressed(fleet.at)) == 2


def test_a_small_campaign_or_a_setting_suppresses_nobody() -> None:
    """Three tenths of three numbers is none, and a rule that may not suppress does not."""
    for chosen in ({"suppress_share": 0.3}, {"suppress": False}):
        fleet = taught(numbers=3, rounds=600, **chosen)
        bring_down(fleet, fleet.names[0])
        assert len(fleet.said) == 1
        assert alerts(fleet.said)[0].evidence["suppressed"] is False


def test_a_suppression_is_renewed_while_calls_keep_failing() -> None:
    """When it ends and as many fresh calls as recovery needs still fail, the number is suppressed again, silently."""
    fleet = taught(suppress_hours=2.0)
    bad = fleet.names[3]
    bring_down(fleet, bad)
    first = next(found for found in fleet.said if isinstance(found, Suppression))
    assert first.until is not None
    while fleet.at < first.until:
        assert fleet.call(bad, answered=False) == []
    found = [fleet.call(bad, answered=False) for _ in range(20)]
    renewed = [suppression for some in found for suppression in some]
    assert [type(one) for one in renewed] == [Suppression]
    assert isinstance(renewed[0], Suppression)
    assert renewed[0].until == renewed[0].at + 2 * HOUR
    assert renewed[0].alert_id == first.alert_id


def test_a_rule_that_is_off_says_nothing() -> None:
    """Neither numbers nor campaign fire, and both say that the rule is off."""
    fleet = Fleet(AnswerRateCollapse(enabled=False), 3)
    assert fleet.play(300) == []
    assert fleet.play(300, lambda _: 0.0) == []
    assert (fleet.word(), fleet.word(fleet.names[0])) == ("off", "off")


def test_a_number_without_calls_is_learning() -> None:
    """Nothing was fed in, so nothing is known: not fine, not zero."""
    fleet = Fleet(AnswerRateCollapse(), 1)
    shown = describe_number(fleet.campaign, fleet.numbers[fleet.names[0]], START)
    assert (shown["state"], shown["baseline"], shown["calls"], shown["since"]) == ("learning", None, None, None)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 299), max_size=6))
def test_bytes_keep_everything(seed: int, cuts: list[int]) -> None:
    """Stored and loaded at any points, the same calls give the same findings and the same bytes."""
    chosen = AnswerRateCollapse(learning_calls=20, suppress_hours=1.0)
    kept, sliced = Fleet(chosen, 4, seed), Fleet(chosen, 4, seed)
    for round_ in range(300):
        bad = kept.names[0]
        rate = 0.0 if 100 <= round_ < 200 else USUAL
        kept.play(1, one_down(bad, rate))
        if round_ in cuts:
            sliced.through_bytes()
        sliced.play(1, one_down(bad, rate))
    assert kept.said == sliced.said
    assert kept.said
    assert kept.stored() == sliced.stored()


def test_bytes_of_another_version_are_refused() -> None:
    """State of an unknown version is an error that names it."""
    fleet = Fleet(AnswerRateCollapse(), 1)
    with pytest.raises(UnreadableStateError, match="answers of a campaign: stored version is 200"):
        CampaignAnswers.from_bytes(b"\xc8" + fleet.campaign.to_bytes()[1:], fleet.settings, "spring")
