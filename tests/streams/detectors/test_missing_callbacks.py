from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alert import Alert, Subject, SubjectKind
from schemas.call import CallFact, Contribution, Disposition, FactKind, Origin
from schemas.rule_settings.conduct import MissingCallbacks as Settings
from schemas.times import DAY, HOUR, MINUTE, WEEK, from_iso
from streams.detectors.callback_losses import CallbackLosses
from streams.detectors.finding import Finding
from streams.detectors.missing_callbacks import MissingCallbacks
from streams.detectors.stream_silence import StreamSilence
from tests.streams import facts

ACCOUNT = Subject(SubjectKind.ACCOUNT, "AC1")
START = from_iso("2026-11-02T00:00:00Z")  # a Monday


def fact(
    kind: FactKind,
    at: int,
    disposition: Disposition | None = None,
    missing: int | None = None,
    partition: int = 0,
) -> CallFact:
    """A call of the account."""
    ended = kind is FactKind.ENDED
    return facts.make_fact(
        kind,
        at,
        Contribution(attempted_at=at, ended_at=at if ended else None, disposition=disposition),
        revision=int(ended),
        origin=Origin(partition, at, 0),
        account_sid=ACCOUNT.value,
        before=Contribution(attempted_at=at) if ended else None,
        missing_callbacks=missing,
    )


def rule_of(**chosen: object) -> MissingCallbacks:
    """The rule on one account."""
    return MissingCallbacks(Settings.model_validate(chosen), ACCOUNT)


def end(rule: MissingCallbacks, at: int, *, lost: bool = False, missing: int | None = 0) -> list[Alert]:
    """A call that was placed; what never came of it is told by facts of their own."""
    said = [*rule.update(fact(FactKind.PLACED, at, missing=None if missing is None else 0))]
    if lost:
        said += rule.update(fact(FactKind.ENDED, at, Disposition.UNFINISHED))
    if missing:
        said += rule.update(fact(FactKind.REVISED, at, Disposition.NO_ANSWER, missing))
    return alerts(said)


def alerts(said: Iterable[Finding]) -> list[Alert]:
    """All that was said; this rule says nothing but alerts."""
    return [alert for alert in said if isinstance(alert, Alert)]


def told(said: list[Alert]) -> list[tuple[str, object]]:
    """States and kinds."""
    return [(alert.state.value, alert.evidence["kind"]) for alert in said]


def work(
    rule: MissingCallbacks, days: int, every: int, since: int = START, *, weekend: bool = False, opens: int = 14
) -> list[Alert]:
    """Calls from 14:00 to 22:00 UTC on weekdays, so many minutes apart, and a tick each minute in between."""
    said: list[Alert] = []
    for day in range(days):
        midnight = since + day * DAY
        works = weekend or (midnight - START) // DAY % 7 < 5
        for minute in range(24 * 60):
            at = midnight + minute * MINUTE
            if works and opens * 60 <= minute < (opens + 8) * 60 and minute % every == 0:
                said += alerts(rule.update(fact(FactKind.PLACED, at)))
            else:
                said += alerts(rule.update(fact(FactKind.QUIET, at)))
    return said


def test_calls_that_never_end_fire_and_resolve() -> None:
    """Every fourth call without an end fires at the fifth of them; ordinary calls resolve it, once."""
    rule = rule_of()
    for call in range(1_000):
        assert end(rule, call * MINUTE) == []
    at = 1_000 * MINUTE
    said = [alert for call in range(40) for alert in end(rule, at + call * MINUTE, lost=call % 4 == 0)]
    assert told(said) == [("firing", "never_ending")]
    assert (said[0].since, said[0].evidence["missing"], said[0].evidence["calls"]) == (at, 5, 16)
    assert rule.describe(at)["state"] == "firing"
    at += HOUR
    more = [alert for call in range(2_000) for alert in end(rule, at + call * MINUTE)]
    assert told(more) == [("resolved", "never_ending")]
    assert more[0].alert_id == said[0].alert_id
    # Calls are held back for some hours, until it is known whether they end.
    assert more[0].at < at + 12 * HOUR


def test_gaps_have_an_alert_of_their_own() -> None:
    """Sequence gaps fire beside calls that never end, under another id; without sequence numbers nothing is said."""
    rule = rule_of()
    for call in range(600):
        assert end(rule, call * MINUTE, missing=None) == []
    assert rule.describe(0)["gaps"] == {"state": "no_data", "learned_calls": 0, "usual_share": None, "score": 0.0}
    for call in range(600):
        assert end(rule, (600 + call) * MINUTE) == []
    said = [
        alert
        for call in range(40)
        for alert in end(rule, (1_200 + call) * MINUTE, lost=call % 4 == 0, missing=2 if call % 4 == 0 else 0)
    ]
    assert told(said) == [("firing", "never_ending"), ("firing", "gaps")]
    assert said[0].alert_id != said[1].alert_id
    assert rule.runs == 2


def test_gaps_that_are_told_after_the_end_count_too() -> None:
    """What is missing becomes known once no callback is waited for: the later fact of a call is what counts."""
    rule = rule_of()
    said = []
    for call in range(700):
        at = call * MINUTE
        assert end(rule, at) == []
        told_later = fact(FactKind.REVISED, at, Disposition.NO_ANSWER, 1 if call > 600 and call % 4 == 0 else 0)
        said += alerts(rule.update(told_later))
    assert told(said) == [("firing", "gaps")]
    assert said[0].evidence["missing"] == 5


def test_what_is_usual_is_learned_up_to_a_bound() -> None:
    """An account with 3 % of gaps is left alone; one of which half the calls never end fires, however long so."""
    stream = Random(1)
    usual, broken = rule_of(), rule_of()
    for call in range(5_000):
        assert end(usual, call * MINUTE, missing=int(stream.random() < 0.03)) == []
    said = [alert for call in range(5_000) for alert in end(broken, call * MINUTE, lost=call % 2 == 0)]
    assert told(said) == [("firing", "never_ending")]


def test_false_alarms_are_as_rare_as_promised() -> None:
    """At the usual share of 0.5 % there are no more than three in 300,000 calls."""
    stream, losses, chosen, fired = Random(2), CallbackLosses(), Settings(), 0
    for call in range(300_000):
        if losses.update(call, stream.random() < 0.005, chosen):
            fired += 1
            losses.end()
    assert fired <= 3


def test_a_stream_that_stops_in_working_hours_fires_and_the_next_call_resolves() -> None:
    """In the second week calls stop at 16:00: told within half an hour, since the last call, and over with the next."""
    rule = rule_of()
    assert work(rule, 8, 1) == []
    tuesday = START + 8 * DAY
    for minute in range(24 * 60):
        at = tuesday + minute * MINUTE
        if 14 * 60 <= minute < 16 * 60:
            assert alerts(rule.update(fact(FactKind.PLACED, at))) == []
        elif minute < 16 * 60:
            assert rule.quiet(at, 0) == []
        elif minute >= 16 * 60 and (said := alerts(rule.quiet(at, 0))):
            break
    assert told(said) == [("firing", "quiet")]
    assert said[0].since == tuesday + 16 * HOUR - MINUTE
    assert said[0].at - said[0].since <= 30 * MINUTE
    assert rule.describe(at)["state"] == "firing"
    over = alerts(rule.update(fact(FactKind.PLACED, at + 2 * HOUR)))
    assert told(over) == [("resolved", "quiet")]
    assert over[0].alert_id == said[0].alert_id


@pytest.mark.parametrize("every", [1, 3, 15, 60])
def test_nights_and_weekends_do_not_fire(every: int) -> None:
    """Five weeks of office hours, at any volume, with a tick each minute in between."""
    assert work(rule_of(), 35, every) == []


def test_a_dialer_that_calls_in_batches_does_not_fire() -> None:
    """Thirty minutes of calls and thirty of none, each hour, by day."""
    rule = rule_of()
    for minute in range(21 * 24 * 60):
        at = START + minute * MINUTE
        busy = 14 <= minute // 60 % 24 < 22 and minute % 60 < 30
        assert alerts(rule.update(fact(FactKind.PLACED, at)) if busy else rule.quiet(at, 0)) == []


def test_the_end_of_summer_time_does_not_fire() -> None:
    """From one week to the next the working day moves by an hour, either way."""
    for opens in (13, 15):
        rule = rule_of()
        assert work(rule, 14, 2) == []
        assert work(rule, 7, 2, since=START + 2 * WEEK, opens=opens) == []


def test_a_first_week_is_learning() -> None:
    """Before a whole week is known no silence is too long."""
    rule = rule_of()
    assert work(rule, 3, 1) == []
    assert alerts(rule.quiet(START + 3 * DAY + 20 * HOUR, 0)) == []
    shown = rule.describe(START)["quiet"]
    assert isinstance(shown, dict)
    assert shown["state"] == "learning"


def test_an_outage_teaches_nothing() -> None:
    """The same silence a week later is told again."""
    rule = rule_of()
    work(rule, 8, 1)
    for week in (0, 1):
        morning = START + (8 + 7 * week) * DAY
        said = []
        for minute in range(14 * 60, 18 * 60):
            at = morning + minute * MINUTE
            if minute < 15 * 60 or minute >= 17 * 60:
                said += alerts(rule.update(fact(FactKind.PLACED, at)))
            else:
                said += alerts(rule.quiet(at, 0))
        assert told(said) == [("firing", "quiet"), ("resolved", "quiet")]
        work(rule, 6, 1, since=morning + DAY)


def test_only_what_all_partitions_tell_is_silence() -> None:
    """One partition that is behind, or has not told, keeps the account from being called quiet."""
    rule = rule_of()
    for minute in range(9 * 24 * 60):
        rule.update(fact(FactKind.PLACED, START + minute * MINUTE, partition=minute % 2))
    stopped = START + 9 * DAY
    assert rule.quiet(stopped + HOUR, 0) == []
    assert rule.quiet(stopped + HOUR, 7) == []
    assert told(alerts(rule.quiet(stopped + HOUR, 1))) == [("firing", "quiet")]


def test_calls_closed_by_time_are_no_sign_of_life() -> None:
    """Closing a call that never ended does not end the silence."""
    rule = rule_of()
    work(rule, 9, 1, weekend=True)
    at = START + 9 * DAY + 16 * HOUR
    assert told(alerts(rule.quiet(at, 0))) == [("firing", "quiet")]
    assert alerts(rule.update(fact(FactKind.ENDED, at, Disposition.UNFINISHED))) == []
    assert told(end(rule, at + MINUTE)) == [("resolved", "quiet")]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_state_written_in_mid_stream_goes_on_the_same(seed: int) -> None:
    """Bytes and back after every fact change nothing that is said, whatever comes."""
    stream = Random(seed)
    plain = rule_of(learning_calls=20)
    stored = rule_of(learning_calls=20)
    at = START
    for _ in range(400):
        at += stream.randrange(2 * HOUR)
        when, chance = at - stream.randrange(2 * MINUTE), stream.random()
        if chance < 0.2:
            assert list(plain.quiet(when, 0)) == list(stored.quiet(when, 0))
        else:
            kind = FactKind.PLACED if chance < 0.5 else FactKind.ENDED
            disposition = (
                None if kind is FactKind.PLACED else Disposition.UNFINISHED if chance > 0.9 else Disposition.BUSY
            )
            said = fact(kind, when, disposition, stream.randrange(3))
            assert list(plain.update(said)) == list(stored.update(said))
        stored = MissingCallbacks.from_bytes(stored.to_bytes(), stored.settings, ACCOUNT)
        assert plain.to_bytes() == stored.to_bytes()
    assert len(plain.to_bytes()) < 1_500


@settings(max_examples=50, deadline=None)
@given(minutes=st.lists(st.integers(0, 14 * 24 * 60), min_size=1, max_size=80).map(sorted))
def test_hours_are_those_of_the_list_of_all_calls(minutes: list[int]) -> None:
    """Each closed hour holds its five-minute stretches with calls, as a plain look over all calls has them."""
    silence = StreamSilence()
    for minute in minutes:
        silence.see(START + minute * MINUTE, 0, is_told=False)
    first, last = (START + minutes[place] * MINUTE for place in (0, -1))
    for hour in range(first // HOUR + 1, last // HOUR):
        stretches = {minute // 5 for minute in minutes if (START + minute * MINUTE) // HOUR == hour}
        assert silence.busy[hour % len(silence.busy)] == len(stretches)


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, nothing is counted, told or learned."""
    rule = rule_of(enabled=False)
    assert [alert for call in range(500) for alert in end(rule, call * MINUTE, lost=True)] == []
    assert rule.quiet(START, 0) == []
    assert rule.describe(0)["state"] == "off"


def test_a_usual_share_above_its_bound_is_refused() -> None:
    """The settings say what to write instead."""
    with pytest.raises(ValidationError, match="no more than highest_usual_share"):
        Settings(usual_share=0.2)
