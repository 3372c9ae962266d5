from __future__ import annotations

from math import log, prod
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact, Disposition
from schemas.rule_settings.answers import NoAnswerStreak as Settings
from schemas.suppression import Suppression
from schemas.times import HOUR, MINUTE
from streams.detectors.finding import Finding, Lifted
from streams.detectors.no_answer_streak import NoAnswerStreak
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
CAMPAIGN = "spring-sale"


class Room:
    """A cap that lets so many numbers be suppressed."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.held: dict[str, int] = {}

    def refusal(self, number: str, at: int) -> str | None:
        """Full, or not."""
        taken = {held for held, until in self.held.items() if until > at}
        return None if number in taken or len(taken) < self.room else "no room"

    def hold(self, number: str, rule: str, until: int) -> None:
        """Take room."""
        assert rule == "no_answer_streak"
        self.held[number] = until

    def release(self, number: str, rule: str) -> None:
        """Give it back."""
        assert rule == "no_answer_streak"
        del self.held[number]


def streak_of(**chosen: object) -> NoAnswerStreak:
    """The rule on one number."""
    return NoAnswerStreak(Settings.model_validate(chosen), NUMBER)


def feed(
    rule: NoAnswerStreak,
    outcomes: str,
    *,
    start: int = 0,
    rate: float | None = 0.35,
    inhibited: bool = False,
    cap: Room | None = None,
) -> list[Finding]:
    """One call a minute, `x` unanswered and `a` answered."""
    said: list[Finding] = []
    for place, outcome in enumerate(outcomes):
        at = start + place * MINUTE
        said += rule.take(at, outcome == "a", rate, campaign=CAMPAIGN, inhibited=inhibited, cap=cap)
    return said


def states(said: list[Finding]) -> list[str]:
    """Kinds and states of what was said."""
    return [found.state.value if isinstance(found, Alert) else type(found).__name__ for found in said]


def fact(at: int, disposition: Disposition) -> CallFact:
    """A call that has ended."""
    return facts.ended(at, disposition, number=NUMBER.value, campaign=CAMPAIGN)


@pytest.mark.parametrize(
    ("rate", "calls"), [(0.6, 11), (0.5, 14), (0.4, 19), (0.35, 22), (0.3, 26), (0.2, 42), (0.1, 88)]
)
def test_a_streak_fires_at_the_call_that_arithmetic_names(rate: float, calls: int) -> None:
    """At a chance of 1e-4 the streak is as long as (1 - p)^n <= 1e-4 says."""
    said = feed(streak_of(chance=1e-4), "x" * 300, rate=rate)
    (alert,) = said
    assert isinstance(alert, Alert)
    assert (alert.evidence["calls"], alert.since, alert.at) == (calls, 0, (calls - 1) * MINUTE)
    assert alert.evidence["expected"] == round(calls * rate, 2)


@settings(max_examples=200, deadline=None)
@given(calls=st.lists(st.tuples(st.booleans(), st.none() | st.floats(0.02, 0.99)) | st.just((False, 0.6)), max_size=60))
def test_it_fires_as_the_list_of_all_calls_says(calls: list[tuple[bool, float | None]]) -> None:
    """The first alert comes where a plain product over the calls since the last answer says, or not at all."""
    rule = streak_of(chance=1e-3)
    fired = [
        place
        for place, (answered, rate) in enumerate(calls)
        if rule.take(place, answered, rate, campaign=CAMPAIGN) and rule.state.episode.runs == 1
    ]
    expected = None
    for place in range(len(calls)):
        since = max((index + 1 for index in range(place + 1) if calls[index][0]), default=0)
        rates = [min(rate, 0.95) for _, rate in calls[since : place + 1] if rate is not None]
        grew = not calls[place][0] and calls[place][1] is not None
        if grew and len(rates) >= 11 and log(prod(1 - rate for rate in rates)) < log(1e-3) - 1e-9:
            expected = place
            break
    assert (fired[0] if fired else None) == expected


def test_an_answer_ends_the_streak() -> None:
    """Two streaks that are each too short say nothing together."""
    assert feed(streak_of(), ("x" * 26 + "a") * 5) == []


def test_a_baseline_that_is_not_learned_says_nothing() -> None:
    """Without an expected rate no streak is too long, and the state says learning."""
    rule = streak_of()
    assert rule.describe(0)["state"] == "no_data"
    assert feed(rule, "x" * 500, rate=None) == []
    assert (rule.describe(0)["state"], rule.describe(0)["log10_chance"]) == ("learning", None)


def test_it_suppresses_where_there_is_room() -> None:
    """A granted suppression comes after the alert, is scoped by campaign and held in the cap."""
    cap = Room(1)
    alert, suppression = feed(streak_of(), "x" * 27, cap=cap)
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (alert.state, alert.evidence["suppressed"]) == (AlertState.FIRING, True)
    assert (suppression.until, suppression.scope) == (26 * MINUTE + 24 * HOUR, CAMPAIGN)
    assert cap.held == {NUMBER.value: suppression.until}


def test_a_refused_suppression_is_told_and_tried_again() -> None:
    """Where there is no room the alert says why; the next streak as long asks again."""
    cap, rule = Room(0), streak_of()
    (alert,) = feed(rule, "x" * 27, cap=cap)
    assert isinstance(alert, Alert)
    assert alert.evidence["not_suppressed_because"] == "no room"
    cap.room = 1
    assert states(feed(rule, "x" * 27, start=HOUR, cap=cap)) == ["firing", "Suppression"]


@pytest.mark.parametrize("chosen", [{"suppress": False}, {}])
def test_it_does_not_suppress_unasked(chosen: dict[str, object]) -> None:
    """Neither against the settings nor without a cap."""
    assert states(feed(streak_of(**chosen), "x" * 40, cap=Room(1) if chosen else None)) == ["firing"]


def test_it_recovers_by_fresh_answers() -> None:
    """Three answers resolve it after the dwell time, and take the suppression back."""
    cap, rule = Room(1), streak_of()
    feed(rule, "x" * 27, cap=cap)
    assert feed(rule, "axaxa", start=30 * MINUTE, cap=cap) == []
    said = feed(rule, "a", start=2 * HOUR, cap=cap)
    assert states(said) == ["resolved", "Lifted"]
    assert said[1] == Lifted(NUMBER, "no_answer_streak", CAMPAIGN)
    assert cap.held == {}
    assert rule.describe(0)["state"] == "ok"


def test_answers_between_streaks_are_no_recovery() -> None:
    """A number that is answered once in a long while keeps its alert, and its suppression is renewed after its end."""
    cap, rule = Room(1), streak_of()
    feed(rule, "x" * 27, cap=cap)
    assert states(feed(rule, "xxxa" + "x" * 30 + "a" + "x" * 30 + "a", start=25 * HOUR, cap=cap)) == [
        "firing",
        "Suppression",
    ]


def test_the_collapse_alert_stands_above() -> None:
    """Under a collapse's alert it is inhibited and suppresses nothing; if calls fail on after it, it fires."""
    cap, rule = Room(1), streak_of()
    assert states(feed(rule, "x" * 30, inhibited=True, cap=cap)) == ["inhibited"]
    assert cap.held == {}
    assert states(feed(rule, "x", start=HOUR, cap=cap)) == ["firing", "Suppression"]
    assert states(feed(rule, "xx", start=2 * HOUR, inhibited=True, cap=cap)) == ["inhibited", "Lifted"]
    assert cap.held == {}


def test_what_recovered_under_the_collapse_does_not_fire_again() -> None:
    """Once the campaign's alert is over, a number that was answered since waits for its recovery in silence."""
    rule = streak_of()
    feed(rule, "x" * 30, inhibited=True)
    feed(rule, "a", start=HOUR, inhibited=True)
    assert states(feed(rule, "xxaxa", start=2 * HOUR)) == ["resolved"]


def test_two_campaigns_have_alerts_of_their_own() -> None:
    """The campaign is the alert's scope, so that ids differ."""
    ids = set()
    for campaign in ("spring-sale", "renewals"):
        rule = streak_of()
        for call in range(27):
            ids |= {
                alert.alert_id for alert in rule.take(call, False, 0.35, campaign=campaign) if isinstance(alert, Alert)
            }
    assert len(ids) == 2


def test_a_state_written_in_mid_stream_goes_on_the_same() -> None:
    """Bytes and back after every call change nothing that is said."""
    stream = Random(3)
    plain, stored = streak_of(), streak_of()
    for call in range(600):
        answered = stream.random() < (0.35 if call % 200 < 120 else 0)
        said = plain.take(call * MINUTE, answered, 0.35, campaign=CAMPAIGN)
        assert list(said) == list(stored.take(call * MINUTE, answered, 0.35, campaign=CAMPAIGN))
        stored = NoAnswerStreak.from_bytes(stored.to_bytes(), stored.settings, NUMBER)
        assert plain.to_bytes() == stored.to_bytes()
    assert plain.runs >= 2


def test_update_goes_by_the_number_s_own_share() -> None:
    """Without a campaign's stage the number's own answers are the baseline, and calls that never rang count nothing."""
    rule = streak_of()
    kinds = [Disposition.HUMAN, Disposition.NO_ANSWER, Disposition.CANCELED, Disposition.UNFINISHED]
    for call in range(400):
        assert not rule.update(fact(call * MINUTE, kinds[call % 4]))
    # The last unanswered call waits for the answer that ends its streak.
    assert (rule.state.learned, rule.state.streak.calls) == (199, 1)
    said = [rule.update(fact((400 + call) * MINUTE, Disposition.NO_ANSWER)) for call in range(40)]
    assert [place for place, found in enumerate(said) if found] == [15]
    assert rule.state.learned == 199


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, nothing is counted."""
    rule = streak_of(enabled=False)
    assert feed(rule, "x" * 100) == []
    assert rule.update(fact(0, Disposition.NO_ANSWER)) == []
    assert rule.describe(0)["state"] == "off"


def test_false_alarms_come_as_often_as_promised() -> None:
    """At a known rate p there are at most p * chance false alarms a call (here 1e-3, over 400,000 calls)."""
    stream, rule = Random(5), streak_of(chance=1e-3, recovery_answers=1, dwell_minutes=0.001)
    for call in range(400_000):
        rule.take(call * MINUTE, stream.random() < 0.35, 0.35, campaign=CAMPAIGN)
    # 0.35 * 1e-3 * 400,000 = 140 at most; the streak's whole number of calls makes it some 96.
    assert 60 <= rule.runs <= 140
