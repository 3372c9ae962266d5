from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.alert import Alert, Subject, SubjectKind
from schemas.call import CallFact
from schemas.registration import NumberRegistration
from schemas.rule_settings.registration import Requirement
from schemas.rule_settings.registration import UnregisteredNumber as Settings
from streams.detectors.unregistered_number import UnregisteredNumber, reasons_against
from tests.streams import facts

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")
REQUIREMENTS: list[Requirement] = ["registered", "trust_hub", "trust_hub_on_record", "cnam"]

UNKNOWN = NumberRegistration(registered=False)
BARE = NumberRegistration(registered=True)
REJECTED = NumberRegistration(registered=True, cnam="ACME", trust_hub="twilio-rejected")
APPROVED = NumberRegistration(registered=True, cnam="ACME", trust_hub="twilio-approved")
NAMELESS = NumberRegistration(registered=True, trust_hub="twilio-approved")


def fact(at: int, registration: NumberRegistration | None) -> CallFact:
    """A call that was placed."""
    return facts.placed(at, number=NUMBER.value, registration=registration)


def feed(rule: UnregisteredNumber, *said: NumberRegistration | None) -> list[str | None]:
    """The state of the transition at each call; None where there was none."""
    states: list[str | None] = []
    for at, registration in enumerate(said):
        found = rule.update(fact(at, registration))
        alerts = [alert for alert in found if isinstance(alert, Alert)]
        assert len(alerts) == len(found) <= 1
        states.append(alerts[0].state.value if alerts else None)
    return states


def test_an_unknown_number_fires_once_and_resolves_when_it_is_registered() -> None:
    """One alert however many calls, until the register knows the number."""
    rule = UnregisteredNumber(Settings(), NUMBER)
    assert feed(rule, UNKNOWN, UNKNOWN, UNKNOWN, APPROVED, APPROVED, UNKNOWN) == [
        "firing",
        None,
        None,
        "resolved",
        None,
        "firing",
    ]
    assert rule.runs == 2


def test_a_new_reason_is_told_as_a_transition_of_the_same_alert() -> None:
    """Registered by now but rejected: the alert goes on with the new reason."""
    rule = UnregisteredNumber(Settings(), NUMBER)
    (first,), (second,) = rule.update(fact(0, UNKNOWN)), rule.update(fact(1, REJECTED))
    assert isinstance(first, Alert)
    assert isinstance(second, Alert)
    assert (first.alert_id, first.sequence, second.sequence) == (second.alert_id, 1, 2)
    assert (first.evidence["reasons"], second.evidence["reasons"]) == (["registered"], ["trust_hub"])
    assert (second.evidence["trust_hub"], second.evidence["call_sid"]) == ("twilio-rejected", "CA1")


def test_where_there_is_no_register_nothing_is_said() -> None:
    """No register is no evidence in either direction."""
    rule = UnregisteredNumber(Settings(require=REQUIREMENTS), NUMBER)
    assert feed(rule, None, None) == [None, None]
    assert rule.describe(0)["state"] == "no_data"
    assert feed(rule, UNKNOWN, None) == ["firing", None]


def test_a_register_without_columns_does_not_flood() -> None:
    """By default a value that the register leaves open counts nothing."""
    rule = UnregisteredNumber(Settings(), NUMBER)
    assert feed(rule, BARE, NAMELESS) == [None, None]
    assert rule.describe(0)["state"] == "ok"


@pytest.mark.parametrize(
    ("registration", "require", "reasons"),
    [
        (BARE, ["trust_hub_on_record"], ["trust_hub_on_record"]),
        (BARE, ["cnam"], ["cnam"]),
        (BARE, REQUIREMENTS, ["trust_hub_on_record", "cnam"]),
        (REJECTED, REQUIREMENTS, ["trust_hub"]),
        (NAMELESS, REQUIREMENTS, ["cnam"]),
        (APPROVED, REQUIREMENTS, []),
        (UNKNOWN, REQUIREMENTS, ["registered"]),
        (UNKNOWN, ["cnam"], []),
        (REJECTED, ["registered"], []),
    ],
)
def test_only_what_is_required_counts(
    registration: NumberRegistration, require: list[Requirement], reasons: list[str]
) -> None:
    """Each requirement looks at one thing; of an unknown number nothing else is known."""
    assert reasons_against(registration, Settings(require=require)) == reasons


@given(
    said=st.lists(st.sampled_from([None, UNKNOWN, BARE, REJECTED, APPROVED, NAMELESS]), max_size=30),
    require=st.lists(st.sampled_from(REQUIREMENTS), min_size=1, unique=True),
)
def test_a_state_written_in_mid_stream_goes_on_the_same(
    said: list[NumberRegistration | None], require: list[Requirement]
) -> None:
    """Bytes and back after every call change nothing, and it tells whenever the set of reasons has changed."""
    settings = Settings(require=require)
    plain, stored = UnregisteredNumber(settings, NUMBER), UnregisteredNumber(settings, NUMBER)
    before: list[str] = []
    for at, registration in enumerate(said):
        found = plain.update(fact(at, registration))
        assert list(found) == list(stored.update(fact(at, registration)))
        now = before if registration is None else reasons_against(registration, settings)
        assert bool(found) == (now != before)
        before = now
        stored = UnregisteredNumber.from_bytes(stored.to_bytes(), settings, NUMBER)
        assert plain.to_bytes() == stored.to_bytes()


def test_a_rule_that_is_off_says_nothing() -> None:
    """Switched off, nothing is counted."""
    rule = UnregisteredNumber(Settings(enabled=False), NUMBER)
    assert feed(rule, UNKNOWN) == [None]
    assert rule.describe(0)["state"] == "off"


def test_an_unknown_requirement_is_refused() -> None:
    """The error names what can be required."""
    with pytest.raises(ValidationError, match="trust_hub_on_record"):
        Settings.model_validate({"require": ["CNAM"]})
    with pytest.raises(ValidationError, match="at least 1"):
        Settings.model_validate({"require": []})
