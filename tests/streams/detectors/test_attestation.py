from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alert import Alert, AlertState, Subject, SubjectKind
from schemas.call import CallFact, Disposition
from schemas.rule_settings.registration import Attestation as Settings
from streams.detectors.attestation import Attestation
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")


def fact(at: int, stir_status: str | None) -> CallFact:
    """A call that has ended."""
    return facts.ended(at, Disposition.NO_ANSWER, number=NUMBER.value, stir_status=stir_status)


def feed(rule: Attestation, levels: str, start: int = 0) -> list[tuple[int, str]]:
    """One call for each letter, `-` without an attestation; places and states of what was said."""
    said = []
    for place, level in enumerate(levels, start):
        for found in rule.update(fact(place, None if level == "-" else level)):
            assert isinstance(found, Alert)
            said.append((place, found.state.value))
    return said


def test_three_of_five_below_a_fire_and_three_times_a_resolves() -> None:
    """The third call below A among the last five fires, the third A in a row resolves, the next run has its own id."""
    rule = Attestation(Settings(), NUMBER)
    assert feed(rule, "AAAABABC" + "AABAAA" + "AAAA") == [(7, "firing"), (13, "resolved")]
    assert rule.describe(0)["state"] == "ok"
    assert feed(rule, "CCC", start=100) == [(102, "firing")]
    assert rule.runs == 2


def test_a_single_b_now_and_then_is_no_evidence() -> None:
    """A diverted call in four says nothing."""
    assert feed(Attestation(Settings(), NUMBER), "ABAA" * 100) == []


def test_calls_without_an_attestation_say_nothing() -> None:
    """Unsigned calls neither fire nor resolve nor break a row."""
    rule = Attestation(Settings(), NUMBER)
    assert feed(rule, "-" * 50) == []
    assert rule.describe(0)["state"] == "no_data"
    assert feed(rule, "B-" * 3) == [(4, "firing")]
    assert feed(rule, "A-A--" + "-" * 9) == []
    assert feed(rule, "A") == [(0, "resolved")]


def test_the_alert_says_which_calls() -> None:
    """Evidence names the call, the levels and the counts; it began with the first call below A."""
    rule = Attestation(Settings(), NUMBER)
    feed(rule, "ABAB")
    (alert,) = rule.update(fact(4, "C"))
    assert isinstance(alert, Alert)
    assert (alert.state, alert.since, alert.at) == (AlertState.FIRING, 1, 4)
    assert alert.evidence["levels"] == ["B", "A", "B", "C"]
    assert (alert.evidence["below_a"], alert.evidence["calls"], alert.evidence["call_sid"]) == (3, 4, "CA4")
    assert alert.message == f"Number {NUMBER.value}: 3 of its last 4 signed calls carry B and C instead of A."


@given(levels=st.text("ABC-", max_size=60), below=st.integers(1, 4), of=st.integers(0, 3), recovery=st.integers(1, 4))
def test_it_says_what_the_list_of_all_calls_says(levels: str, below: int, of: int, recovery: int) -> None:
    """Firing and resolving are as a look over all calls since the last transition has it."""
    rule = Attestation(Settings(below_calls=below, of_calls=below + of, recovery_calls=recovery), NUMBER)
    said = []
    since, firing = 0, False
    for place, level in enumerate(levels):
        signed = levels[since : place + 1].replace("-", "")
        if level == "-":
            continue
        latest = signed[-(below + of) :]
        if not firing and len(latest) - latest.count("A") >= below:
            said.append((place, "firing"))
            since, firing = place + 1, True
        elif firing and len(signed) - len(signed.rstrip("A")) >= recovery:
            said.append((place, "resolved"))
            since, firing = place + 1, False
    assert feed(rule, levels) == said


@given(levels=st.text("ABC-", max_size=40))
def test_a_state_written_in_mid_stream_goes_on_the_same(levels: str) -> None:
    """Bytes and back after every call change nothing, and a number that is always signed with A keeps no list."""
    plain, stored = Attestation(Settings(), NUMBER), Attestation(Settings(), NUMBER)
    for place, level in enumerate(levels):
        assert feed(plain, level, place) == feed(stored, level, place)
        stored = Attestation.from_bytes(stored.to_bytes(), stored.settings, NUMBER)
        assert plain.to_bytes() == stored.to_bytes()
        assert len(stored.state.recent) <= 5
    assert set(levels) - set("A-") or not plain.state.recent


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, nothing is counted."""
    rule = Attestation(Settings(enabled=False), NUMBER)
    assert feed(rule, "CCCCC") == []
    assert rule.describe(0)["state"] == "off"


def test_more_calls_than_are_looked_at_are_refused() -> None:
    """The settings say what to write instead."""
    with pytest.raises(ValidationError, match="write no more than of_calls"):
        Settings(below_calls=6, of_calls=5)
