from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

import pytest

from schemas.callback import Callback
from schemas.dead_letter import DeadLetter
from schemas.log import LogUnavailableError
from schemas.opt_out import OptOut
from streams.ingest.replay_lines import LineCounts, UnreadableLineError, append_lines, read_line
from streams.ingest.understanding import new_record

AT = "2026-11-23T14:00:01.250Z"


def line(**values: Any) -> bytes:
    """Write a replay line."""
    return json.dumps({"received_at": AT, "path": "/twilio/voice/spring-sale"} | values).encode()


def test_a_line_is_read_as_the_gateway_reads_the_request(gateway: Any, terms: Any, fixture_body: Any) -> None:
    """A replayed request gives the same record as the live one, but for the time of receipt."""
    body = fixture_body("02")
    gateway.post_form("/twilio/voice/spring-sale", body)
    (live,) = gateway.read("callbacks", Callback)
    (replayed,) = read_line(line(params=dict(parse_qsl(body.decode(), keep_blank_values=True))), terms)
    assert isinstance(replayed, Callback)
    assert replayed.received_at == 1_795_442_401_250
    assert {**_fields(live), "received_at": 0} == {**_fields(replayed), "received_at": 0}


def _fields(record: Callback) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record.encode())
    return fields


def test_numbers_in_a_line_become_text(terms: Any) -> None:
    """Clones write SequenceNumber as a number; it counts as the text that a form would carry."""
    (callback,) = read_line(
        line(params={"CallSid": "v2:x", "CallbackSource": "call-progress-events", "SequenceNumber": 2, "x": None}),
        terms,
    )
    assert isinstance(callback, Callback)
    assert (callback.sequence, callback.params["SequenceNumber"], callback.params["x"]) == (2, "2", "")


def test_event_lines_hold_events_or_their_text(terms: Any, fixture_body: Any) -> None:
    """Event Streams are replayed from the decoded array as from the raw body."""
    body = fixture_body("71").decode()
    by_text = read_line(line(path="/twilio/events", body=body), terms)
    by_events = read_line(line(path="/twilio/events", events=json.loads(body)), terms)
    assert by_text == by_events
    assert isinstance(by_text[0], Callback)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"not JSON", "write"),
        (b"\xff", "write"),
        (b"[" * 5_000, "write"),
        (line(received_at="yesterday", params={}), "yesterday"),
        (line(received_at="2026-11-23T14:00:01", params={}), "time zone"),
        (line(path="/elsewhere", params={}), "/twilio/voice"),
        (line(), "params: missing"),
        (line(path="/twilio/events"), "`events`"),
    ],
)
def test_a_bad_line_says_what_to_write(terms: Any, bad: bytes, says: str) -> None:
    """A line that can't be read is refused with a reason that helps."""
    with pytest.raises(UnreadableLineError, match=says.replace("[", r"\[")):
        read_line(bad, terms)


def test_lines_go_into_the_log_in_batches(gateway: Any, terms: Any, local_log: Any) -> None:
    """Many lines are written in their order, and a bad one becomes a dead letter with its line number."""
    lines = [line(params={"CallSid": "CA1", "SequenceNumber": str(index)}) + b"\n" for index in range(25)]
    lines[3:3] = [
        b"  \n",
        b"{broken\n",
        line(path="/twilio/messaging", params={"MessageSid": "SM1", "Body": "STOP", "From": "+12", "To": "+1"}),
    ]
    counts = asyncio.run(append_lines(iter(lines), local_log, terms, source="past.ndjson", batch=10))
    assert counts == LineCounts(lines=27, callbacks=25, opt_outs=1, dead_letters=1, unreadable=1)
    assert [callback.params["SequenceNumber"] for callback in gateway.read("callbacks", Callback)] == [
        str(index) for index in range(25)
    ]
    assert [opt_out.contact for opt_out in gateway.read("optouts", OptOut)] == ["+12"]
    (letter,) = gateway.read("deadletters", DeadLetter)
    assert (letter.source, letter.body) == ("past.ndjson:5", b"{broken")


def test_a_log_that_refuses_stops_the_lines(memory_log: Any, terms: Any) -> None:
    """A full log is the caller's to know of."""
    memory_log.full = True
    with pytest.raises(LogUnavailableError):
        asyncio.run(append_lines([line(params={"CallSid": "CA1"})], memory_log, terms))


def test_records_are_keyed_by_what_belongs_together(terms: Any) -> None:
    """Callbacks go by CallSid, dead letters by nothing."""
    (callback,) = read_line(line(params={"CallSid": "CA1"}), terms)
    (letter,) = read_line(line(params={}), terms)
    assert [(new_record(one).topic, new_record(one).key) for one in (callback, letter)] == [
        ("callbacks", b"CA1"),
        ("deadletters", None),
    ]
