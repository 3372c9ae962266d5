from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import NumberRegistration
from schemas.rule_settings.numbers import MixedPurpose as MixedSettings
from schemas.rule_settings.numbers import NumberRest as Settings
from schemas.suppression import Suppression
from schemas.times import DAY, HOUR, MINUTE, to_iso
from streams.detectors.finding import Finding, Lifted
from streams.detectors.mixed_purpose import MixedPurpose
from streams.detectors.number_rest import NumberRest
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
START = 1_795_442_400_000
REST = 45 * DAY


def placed(at: int, purpose: str | None, since: int | None = None) -> CallFact:
    """One placed call of the number, for a campaign of this purpose."""
    return facts.placed(
        at,
        number=NUMBER.value,
        campaign=f"about-{purpose}",
        registration=NumberRegistration(registered=True, purpose=purpose, since=since),
    )


def run(rule: NumberRest, purposes: str, start: int = START, since: int | None = None) -> list[tuple[int, Finding]]:
    """Show calls an hour apart, one a letter (`-` is none of any purpose); give the findings with their places."""
    return [
        (index, finding)
        for index, letter in enumerate(purposes)
        for finding in rule.update(placed(start + index * HOUR, None if letter == "-" else letter, since))
    ]


def states(found: list[tuple[int, Finding]]) -> list[tuple[int, AlertState]]:
    """Places and states of the alerts among findings."""
    return [(place, finding.state) for place, finding in found if isinstance(finding, Alert)]


def test_the_third_call_in_a_row_for_a_new_purpose_fires_and_says_why() -> None:
    """A number that turns to another purpose within days fires, with both purposes and the rest it had."""
    rule = NumberRest(Settings(), NUMBER)
    assert run(rule, "AAAA") == []
    ((place, alert),) = run(rule, "BBB", START + 10 * DAY)
    assert isinstance(alert, Alert)
    assert (place, alert.state, alert.since) == (2, AlertState.FIRING, START + 10 * DAY)
    assert alert.evidence["old_purpose"] == "A"
    assert alert.evidence["new_purpose"] == "B"
    assert alert.evidence["last_old_call"] == to_iso(START + 3 * HOUR)
    assert alert.evidence["first_new_call"] == to_iso(START + 10 * DAY)
    assert alert.evidence["rested_days"] == 9.88
    assert alert.evidence["rested_at"] == to_iso(START + 3 * HOUR + REST)
    assert alert.evidence["call_sid"] == f"CA{START + 10 * DAY + 2 * HOUR}"
    assert rule.describe(alert.at)["state"] == "firing"


def test_a_number_that_has_rested_may_get_a_new_purpose() -> None:
    """45 days after the last call for the old purpose nothing is wrong; a moment less is."""
    for gap, fires in ((REST, False), (REST - 3 * HOUR, True)):
        rule = NumberRest(Settings(), NUMBER)
        run(rule, "AAAA")
        assert bool(run(rule, "BBBBBB", START + 3 * HOUR + gap)) is fires


def test_misrouted_calls_are_no_new_purpose() -> None:
    """Two calls in a row are not enough, nor does a purpose of two calls have to be rested from."""
    assert run(NumberRest(Settings(), NUMBER), "AAAAABBAAAABBAAAA") == []
    assert run(NumberRest(Settings(), NUMBER), "AABBBBBBBB") == []


def test_a_stray_call_for_the_old_purpose_does_not_hide_the_change() -> None:
    """The new purpose's calls are counted anew after a call for the old one."""
    assert states(run(NumberRest(Settings(), NUMBER), "AAAABABBBBB")) == [(8, AlertState.FIRING)]


def test_calls_for_the_old_purpose_count_from_the_new_ones_very_first() -> None:
    """Where a few calls for the new purpose came before the change, the old one is back once the two are mixed."""
    assert states(run(NumberRest(Settings(), NUMBER), "AAAABBAABBBA")) == [
        (10, AlertState.FIRING),
        (11, AlertState.RESOLVED),
    ]


def test_the_registers_date_makes_the_first_call_enough() -> None:
    """Where the register dates the present use between the two purposes, no misrouting is left to think of."""
    rule = NumberRest(Settings(), NUMBER)
    run(rule, "AAAA")
    ((place, alert),) = run(rule, "BBBB", START + 10 * DAY, since=START + 9 * DAY)
    assert isinstance(alert, Alert)
    assert (place, alert.evidence["in_register"]) == (0, True)
    later = NumberRest(Settings(), NUMBER)
    run(later, "AAAA")
    # A date of before the old purpose's last call says nothing of a change.
    assert states(run(later, "BBBB", START + 10 * DAY, since=START)) == [(2, AlertState.FIRING)]


def test_a_date_for_the_way_back_is_no_further_change() -> None:
    """A number given back to its old purpose, and dated so, resolves by that purpose's calls and tells nothing new."""
    rule = NumberRest(Settings(), NUMBER)
    assert states(run(rule, "BBBBAAA")) == [(6, AlertState.FIRING)]
    back = START + 5 * DAY
    assert states(run(rule, "BBBB", back, since=back - HOUR)) == [(2, AlertState.RESOLVED)]


def test_it_resolves_once_the_rest_would_be_over() -> None:
    """The first call 45 days after the last one for the old purpose resolves, and nothing fires again."""
    rule = NumberRest(Settings(), NUMBER)
    assert len(run(rule, "AAAABBB")) == 1
    found = run(rule, "BBBBBBBB", START + 3 * HOUR + REST - 2 * HOUR)
    assert states(found) == [(2, AlertState.RESOLVED)]
    assert rule.describe(START + REST)["state"] == "ok"


def test_it_resolves_when_the_old_purpose_is_back() -> None:
    """Three calls for the old purpose since the new one began end the change: from there on the number is mixed."""
    rule, mixed = NumberRest(Settings(), NUMBER), MixedPurpose(MixedSettings(), NUMBER)
    said: list[tuple[int, str, AlertState]] = []
    for index, letter in enumerate("AAAABBBBAAAABBBBAAAA"):
        fact = placed(START + index * HOUR, letter)
        found = [*rule.update(fact), *mixed.update(fact)]
        said += [(index, alert.rule, alert.state) for alert in found if isinstance(alert, Alert)]
    assert said == [
        (6, "number_rest", AlertState.FIRING),
        (10, "number_rest", AlertState.RESOLVED),
        (10, "mixed_purpose", AlertState.FIRING),
    ]


def test_a_third_purpose_is_told_in_the_same_run() -> None:
    """A number handed on once more before it has rested tells of the new change; its rest counts from there."""
    rule = NumberRest(Settings(), NUMBER)
    found = run(rule, "AAAABBBBBCCCCC")
    first, second = (finding for _, finding in found)
    assert isinstance(first, Alert)
    assert isinstance(second, Alert)
    assert (first.alert_id, first.sequence) == (second.alert_id, second.sequence - 1)
    assert (second.evidence["old_purpose"], second.evidence["new_purpose"]) == ("B", "C")
    assert states(run(rule, "CCC", START + 8 * HOUR + REST - HOUR)) == [(1, AlertState.RESOLVED)]


def test_it_suppresses_only_where_told_to_and_takes_that_back() -> None:
    """With `suppress` the number is held until it has rested, or until the old purpose is back."""
    assert all(isinstance(finding, Alert) for _, finding in run(NumberRest(Settings(), NUMBER), "AAAABBB"))
    rule = NumberRest(Settings(suppress=True), NUMBER)
    (_, alert), (_, suppression) = run(rule, "AAAABBB")
    assert isinstance(alert, Alert)
    assert isinstance(suppression, Suppression)
    assert (suppression.subject, suppression.until) == (NUMBER, START + 3 * HOUR + REST)
    assert suppression.alert_id == alert.alert_id
    (_, resolved), (_, lifted) = run(rule, "AAAA", START + DAY)
    assert isinstance(resolved, Alert)
    assert resolved.state is AlertState.RESOLVED
    assert lifted == Lifted(NUMBER, "number_rest")


def test_a_suppression_that_has_ended_by_itself_is_not_lifted() -> None:
    """Once the rest is over there is nothing to take back."""
    rule = NumberRest(Settings(suppress=True), NUMBER)
    run(rule, "AAAABBB")
    ((_, resolved),) = run(rule, "B", START + 3 * HOUR + REST)
    assert isinstance(resolved, Alert)
    assert resolved.state is AlertState.RESOLVED


def test_calls_without_a_purpose_are_no_evidence() -> None:
    """Campaigns without a purpose in the register neither rest a number nor change what it is for."""
    rule = NumberRest(Settings(), NUMBER)
    assert run(rule, "-----") == []
    assert rule.describe(START)["state"] == "no_data"
    assert states(run(rule, "AAA--B-B-B")) == [(9, AlertState.FIRING)]


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, the rule keeps nothing and says so."""
    rule = NumberRest(Settings(enabled=False), NUMBER)
    assert run(rule, "AAAABBBB") == []
    assert rule.describe(START)["state"] == "off"


def test_state_stays_small_whatever_is_called() -> None:
    """Hundreds of purposes leave a state of less than a kilobyte."""
    rule = NumberRest(Settings(), NUMBER)
    for index in range(2_000):
        rule.update(placed(START + index * MINUTE, f"purpose {index // 7}"))
    assert len(rule.to_bytes()) < 1_000


def expected(calls: list[tuple[str, int]], span: int, enough: int) -> list[tuple[int, AlertState]]:
    """What the rule must say of two purposes, computed anew from all calls so far at each of them."""

    def stretch(so_far: list[tuple[str, int]], purpose: str) -> list[int]:
        """Times of a purpose's calls since it was last silent for the span."""
        newest = so_far[-1][1]
        kept: list[int] = []
        for at in reversed([at for name, at in so_far if name == purpose]):
            if (kept[-1] if kept else newest) - at >= span:
                break
            kept.append(at)
        return kept[::-1]

    said: list[tuple[int, AlertState]] = []
    change: tuple[str, str] | None = None
    for place, (name, _) in enumerate(calls):
        times = {purpose: stretch(calls[: place + 1], purpose) for purpose in "AB"}
        if change is not None:
            old, new = (times[purpose] for purpose in change)
            if not old or not new or len([at for at in old if at >= new[0]]) >= enough:
                said.append((place, AlertState.RESOLVED))
                change = None
            continue
        other = "B" if name == "A" else "A"
        new, old = times[name], times[other]
        if not old or len(old) < enough:
            continue
        later = max(new[0], old[0])
        if all(len([at for at in both if at >= later]) >= enough for both in (new, old)):
            continue
        was_first = len(new) < enough or old[enough - 1] <= new[enough - 1]
        if was_first and len([at for at in new if at > old[-1]]) >= enough:
            said.append((place, AlertState.FIRING))
            change = other, name
    return said


_calls = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from([1, 1, 1, 2, 6, 13])), max_size=60)


def at_times(drawn: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Purposes and days between calls as purposes and times."""
    day, calls = 0, []
    for purpose, gap in drawn:
        day += gap
        calls.append((purpose, START + day * DAY))
    return calls


@settings(deadline=None, max_examples=120)
@given(_calls, st.integers(1, 3), st.integers(0, 60))
def test_it_says_what_a_plain_look_at_all_calls_says(drawn: list[tuple[str, int]], enough: int, cut: int) -> None:
    """Against a new look at all calls so far: the same transitions at the same calls, through bytes in mid-stream."""
    rules, calls = Settings(rest_days=12, calls=enough), at_times(drawn)
    rule = NumberRest(rules, NUMBER)
    found: list[tuple[int, Finding]] = []
    for place, (purpose, at) in enumerate(calls):
        if place == cut:
            stored = rule.to_bytes()
            rule = NumberRest.from_bytes(stored, rules, NUMBER)
            assert rule.to_bytes() == stored
        found += [(place, finding) for finding in rule.update(placed(at, purpose))]
    assert states(found) == expected(calls, 12 * DAY, enough)


@settings(deadline=None, max_examples=120)
@given(_calls, st.integers(1, 3), st.integers(5, 12), st.booleans())
def test_no_number_is_both_mixed_and_short_of_rest(
    drawn: list[tuple[str, int]], enough: int, window: int, registered: bool
) -> None:
    """Of two purposes, a change and a mix are never both firing, as long as the window is no longer than the rest."""
    rest = NumberRest(Settings(rest_days=12, calls=enough), NUMBER)
    mixed = MixedPurpose(MixedSettings(window_days=window, calls=enough), NUMBER)
    for purpose, at in at_times(drawn):
        fact = placed(at, purpose, START + 20 * DAY if registered else None)
        rest.update(fact)
        mixed.update(fact)
        assert not (rest.state.episode.is_firing and mixed.state.episode.is_firing)
