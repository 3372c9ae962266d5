from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind, alert_id
from schemas.suppression import Suppression, read_suppression_key, suppression_key

NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")


def test_ids_are_those_of_yesterday() -> None:
    """Ids are kept in logs, histories and other people's systems, so that they may never change."""
    assert alert_id("volume_spike", NUMBER, 1) == "22a04f3a03d04bae"
    assert alert_id("answer_rate_collapse", Subject(SubjectKind.NUMBER, "+12155550100"), 1, "spring-sale") == (
        "0af11c8180aa4f34"
    )


def test_each_part_tells_alerts_apart() -> None:
    """Rule, kind, value, run and scope each make another id; nothing else does."""
    parts = itertools.product(
        ("volume_spike", "opt_out"),
        (SubjectKind.NUMBER, SubjectKind.CONTACT),
        ("+12025550100", "+12025550101"),
        (1, 2, 11),
        ("", "spring-sale"),
    )
    ids = [alert_id(rule, Subject(kind, value), run, scope) for rule, kind, value, run, scope in parts]
    assert len(set(ids)) == len(ids) == 48
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


WORDS = st.text("ab1", max_size=3)


@given(st.tuples(WORDS, WORDS, WORDS), st.tuples(WORDS, WORDS, WORDS))
@settings(deadline=None)
def test_parts_do_not_run_into_each_other(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    """Moving a letter from one part to the next makes another alert."""
    first, second = (
        alert_id(rule, Subject(SubjectKind.CAMPAIGN, value), 1, scope) for rule, value, scope in (one, other)
    )
    assert (first == second) == (one == other)


@pytest.mark.parametrize(
    ("subject", "rule", "scope", "key"),
    [
        (NUMBER, "answer_rate_collapse", "spring-sale", b"number:+12025550100\x1fanswer_rate_collapse\x1fspring-sale"),
        (Subject(SubjectKind.CONTACT, "+14155550123"), "opt_out", "", b"contact:+14155550123\x1fopt_out\x1f"),
        (Subject(SubjectKind.CONTACT, "sip:a@example.com"), "opt_out", "", b"contact:sip:a@example.com\x1fopt_out\x1f"),
        (Subject(SubjectKind.CAMPAIGN, "frühling"), "r", "", "campaign:frühling\x1fr\x1f".encode()),
        (Subject(SubjectKind.CONTACT, "client:a\x1fb"), "r", "s", b"contact:client:a\x1fb\x1fr\x1fs"),
    ],
)
def test_a_suppressions_key_is_kind_value_rule_and_scope(subject: Subject, rule: str, scope: str, key: bytes) -> None:
    """The topic's key names all four, whatever signs the value holds, and is read back to them."""
    assert suppression_key(subject, rule, scope) == key
    assert read_suppression_key(key) == (subject, rule, scope)


@pytest.mark.parametrize(
    "key", [b"", b"number:+12025550100", b"nobody:+1\x1fr\x1f", b"\xff\x1fr\x1f", b"number:+1\x1fr"]
)
def test_what_is_no_suppressions_key_is_refused(key: bytes) -> None:
    """A key without rule and scope, of an unknown kind or not in UTF-8 names no suppression."""
    with pytest.raises(ValueError):  # noqa: PT011 - each is refused in its own words
        read_suppression_key(key)


def test_the_public_form_is_what_other_programs_rely_on() -> None:
    """Names, order and times of the public form of alerts and suppressions are fixed."""
    alert = Alert(
        alert_id="22a04f3a03d04bae",
        sequence=1,
        rule="volume_spike",
        subject=NUMBER,
        state=AlertState.FIRING,
        severity=Severity.WARNING,
        at=1_795_442_401_250,
        since=1_795_442_400_000,
        evidence={"calls": 12},
        message="Too many.",
    )
    assert list(alert.as_public().items()) == [
        ("alert_id", "22a04f3a03d04bae"),
        ("rule", "volume_spike"),
        ("subject", {"kind": "number", "value": "+12025550100"}),
        ("state", "firing"),
        ("severity", "warning"),
        ("at", "2026-11-23T14:00:01.250Z"),
        ("since", "2026-11-23T14:00:00.000Z"),
        ("evidence", {"calls": 12}),
        ("message", "Too many."),
    ]
    suppression = Suppression(
        subject=NUMBER,
        rule="answer_rate_collapse",
        alert_id="0af11c8180aa4f34",
        at=1_795_442_400_000,
        until=None,
        reason="Down.",
        evidence={},
    )
    assert suppression.as_public() == {
        "kind": "number",
        "value": "+12025550100",
        "rule": "answer_rate_collapse",
        "alert_id": "0af11c8180aa4f34",
        "at": "2026-11-23T14:00:00.000Z",
        "until": None,
        "reason": "Down.",
        "evidence": {},
    }
