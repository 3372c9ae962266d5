from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.alert import Alert, AlertState, Evidence, Severity, Subject, SubjectKind
from schemas.call import CallFact, CallStatus, Contribution, Direction, Disposition, FactKind, Origin
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.silence import Matchers, Silence
from schemas.suppression import Suppression
from schemas.times import DAY, SECOND, from_iso
from schemas.wire import Versioned

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "records"
NOON = from_iso("2026-11-23T14:00:00.000Z")
CALL = "CA2d97271e0b02ec95f9826865d653a613"
PARENT = "CA00000000000000000000000000000001"
ACCOUNT = "AC0123456789abcdef0123456789abcdef"
NUMBER, CONTACT = "+12155550100", "+14155550123"
SUBJECT = Subject(SubjectKind.NUMBER, NUMBER)
SENTENCE = "Number +12155550100 in campaign spring-sale answered 5 of 56 calls."
EVIDENCE: Evidence = {
    "campaign": "spring-sale",
    "calls": 56,
    "answered": 5,
    "expected": 18.98,
    "interval": [0.0387, 0.1926],
    "fresh_interval": None,
    "suppressed": True,
    "by_hour": {"14": 3, "15": 2},
}

V1: dict[str, Versioned] = {
    "callback": Callback(
        call_sid=CALL,
        account_sid=ACCOUNT,
        kind=CallbackKind.STATUS,
        endpoint="/twilio/voice",
        received_at=NOON + 1_250,
        params={"CallSid": CALL, "CallStatus": "completed", "ToZip": "", "Extra": ["a", "b"]},
        campaign="spring-sale",
        happened_at=NOON,
        status=CallStatus.COMPLETED,
        sequence=3,
        number=NUMBER,
        contact=CONTACT,
        direction=Direction.OUTBOUND_DIAL,
        parent_call_sid=PARENT,
        call_duration=42,
        sip_code=200,
        answered_by="human",
        stir_status="A",
        event_id="EZ0123456789abcdef0123456789abcdef",
        problems=["SequenceNumber: 'x' is not a whole number from 0 up"],
    ),
    "call_fact": CallFact(
        fact=FactKind.REVISED,
        revision=2,
        origin=Origin(0, 117, 1),
        at=NOON + 55 * SECOND,
        call_sid=CALL,
        account_sid=ACCOUNT,
        number=NUMBER,
        contact=CONTACT,
        campaign="spring-sale",
        direction=Direction.OUTBOUND_API,
        parent_call_sid=PARENT,
        counted=True,
        before=Contribution(NOON, NOON + 55 * SECOND, Disposition.ANSWERED, 42, 11),
        after=Contribution(NOON, NOON + 55 * SECOND, Disposition.MACHINE, 42, 11),
        status=CallStatus.COMPLETED,
        answered_by="machine_start",
        sip_code=200,
        stir_status="A",
        placed_at=NOON,
        answered_at=NOON + 13 * SECOND,
        ended_at=NOON + 55 * SECOND,
        ring_seconds=11,
        talk_seconds=42,
    ),
    "opt_out": OptOut(
        contact=CONTACT,
        opted_out=True,
        source=OptOutSource.STOP_WORD,
        channel=Channel.MESSAGING,
        at=NOON,
        number=NUMBER,
        campaign="spring-sale",
        account_sid=ACCOUNT,
        sid="SM0123456789abcdef0123456789abcdef",
        said="Stop",
        endpoint="/twilio/messaging",
    ),
    "alert": Alert(
        alert_id="0af11c8180aa4f34",
        sequence=1,
        rule="answer_rate_collapse",
        subject=SUBJECT,
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        at=NOON,
        since=NOON - 14_115 * SECOND,
        evidence=EVIDENCE,
        message=SENTENCE,
    ),
    "suppression": Suppression(
        subject=SUBJECT,
        rule="answer_rate_collapse",
        alert_id="0af11c8180aa4f34",
        at=NOON,
        until=NOON + DAY,
        reason=SENTENCE,
        evidence=EVIDENCE,
    ),
    "suppression_scoped": Suppression(
        subject=SUBJECT,
        rule="answer_rate_collapse",
        alert_id="0af11c8180aa4f34",
        at=NOON,
        until=NOON + DAY,
        reason=SENTENCE,
        evidence=EVIDENCE,
        scope="spring-sale",
    ),
    "suppression_override": Suppression(
        subject=SUBJECT,
        rule="override",
        alert_id="",
        at=NOON,
        until=NOON + DAY,
        reason="asked to be called back",
        evidence={"author": "ada", "allow": True},
        allows=True,
        author="ada",
    ),
    "silence": Silence(
        silence_id="5f0c7a1be2d94c36",
        matchers=Matchers("volume_spike", "number", NUMBER, "spring-sale", "0af11c8180aa4f34"),
        starts_at=NOON,
        ends_at=NOON + DAY,
        author="ada",
        comment="a known launch",
        created_at=NOON,
        ended_by="bob",
    ),
    "dead_letter": DeadLetter(
        source="calls[0]@117",
        reason="no CallFact: JSON is malformed",
        at=NOON,
        key=b"+12155550100",
        body=b"{\xff",
    ),
}
"""What the bytes in the folder v1 say; neither they nor these values are ever changed."""

MAY_BE_MISSING: dict[str, dict[str, object]] = {
    "callback": {
        "v": 1,
        "campaign": None,
        "happened_at": None,
        "status": None,
        "sequence": None,
        "number": None,
        "contact": None,
        "direction": Direction.UNKNOWN,
        "parent_call_sid": None,
        "call_duration": None,
        "sip_code": None,
        "answered_by": None,
        "stir_status": None,
        "event_id": None,
        "problems": [],
    },
    "call_fact": {
        "v": 1,
        "parent_call_sid": None,
        "before": None,
        "status": None,
        "answered_by": None,
        "sip_code": None,
        "stir_status": None,
        "placed_at": None,
        "answered_at": None,
        "ended_at": None,
        "ring_seconds": None,
        "talk_seconds": None,
    },
    "opt_out": {
        "v": 1,
        "number": None,
        "campaign": None,
        "account_sid": "",
        "sid": None,
        "said": "",
        "endpoint": "",
    },
    "alert": {"v": 1},
    "suppression": {"v": 1},
    "suppression_scoped": {"v": 1, "scope": ""},
    "suppression_override": {"v": 1, "scope": "", "allows": False, "author": None},
    "silence": {"v": 1, "ended_by": None},
    "dead_letter": {"v": 1, "key": None},
}


def test_every_kind_of_record_is_kept() -> None:
    """The folder has one file for each record, and nothing else."""
    assert sorted(path.name for path in (FIXTURES / "v1").iterdir()) == sorted(f"{name}.json" for name in V1)


@pytest.mark.parametrize("name", V1)
def test_bytes_of_version_1_say_what_they_said(name: str) -> None:
    """A record that version 1 wrote with every field set is read to the same values."""
    expected = V1[name]
    assert type(expected).decode((FIXTURES / "v1" / f"{name}.json").read_bytes()) == expected


@pytest.mark.parametrize("name", V1)
def test_optional_fields_may_be_missing(name: str) -> None:
    """Bytes with the required fields alone are read; what is missing is unknown, and the rest is as it was."""
    expected = V1[name]
    whole = json.loads((FIXTURES / "v1" / f"{name}.json").read_bytes())
    optional = MAY_BE_MISSING[name]
    assert set(optional) <= set(whole)
    bare = {field: value for field, value in whole.items() if field not in optional}
    read = type(expected).decode(json.dumps(bare).encode())
    for field in whole:
        assert getattr(read, field) == optional.get(field, getattr(expected, field)), field


@pytest.mark.parametrize("name", V1)
def test_required_fields_may_not_be_missing(name: str) -> None:
    """Bytes without a field that version 1 always wrote are refused, and never filled up."""
    whole = json.loads((FIXTURES / "v1" / f"{name}.json").read_bytes())
    for field in set(whole) - set(MAY_BE_MISSING[name]):
        less = {other: value for other, value in whole.items() if other != field}
        with pytest.raises(ValueError, match=field):
            type(V1[name]).decode(json.dumps(less).encode())


def test_a_contribution_may_end_early() -> None:
    """The list of a contribution may leave out what comes last: a call that has only been placed."""
    whole = json.loads((FIXTURES / "v1" / "call_fact.json").read_bytes())
    read = CallFact.decode(json.dumps(whole | {"after": [NOON]}).encode())
    assert read.after == Contribution(NOON, None, None, 0, None)
