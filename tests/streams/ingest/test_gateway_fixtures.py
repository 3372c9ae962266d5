from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator

from schemas.call import CallStatus, Direction
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.opt_out import Channel, OptOut, OptOutSource

STATUS = CallbackKind.STATUS
CASES: dict[str, dict[str, Any]] = {
    "01": {
        "kind": STATUS,
        "status": CallStatus.COMPLETED,
        "sequence": 0,
        "call_duration": 13,
        "sip_code": 200,
        "number": "+19200000000",
        "contact": "+918000000000",
    },
    "02": {
        "kind": STATUS,
        "status": CallStatus.COMPLETED,
        "sequence": 3,
        "answered_by": "human",
        "call_duration": 17,
        "happened_at": 1_762_093_272_000,
    },
    "04": {
        "kind": STATUS,
        "status": CallStatus.INITIATED,
        "sequence": 0,
        "call_duration": None,
        "sip_code": None,
        "happened_at": 1_770_896_905_000,
    },
    "07": {
        "kind": STATUS,
        "status": CallStatus.NO_ANSWER,
        "sequence": 0,
        "call_duration": 0,
        "sip_code": 487,
        "call_sid": "redacted",
    },
    "09": {
        "kind": STATUS,
        "status": CallStatus.COMPLETED,
        "direction": Direction.INBOUND,
        "number": "+16105505555",
        "contact": "+14803335555",
        "sip_code": None,
        "call_duration": 35,
    },
    "10": {"kind": CallbackKind.VOICE_URL, "status": None, "happened_at": None, "sequence": None},
    "14": {"kind": CallbackKind.DIAL_ACTION, "status": None, "happened_at": None},
    "21": {
        "kind": CallbackKind.MACHINE_VERDICT,
        "status": None,
        "answered_by": "machine_start",
        "number": None,
        "contact": None,
        "happened_at": None,
    },
    "24": {"kind": CallbackKind.VOICE_URL, "status": None},
    "51": {"kind": STATUS, "status": CallStatus.RINGING, "sequence": 1, "stir_status": "A"},
    "52": {"kind": STATUS, "status": CallStatus.FAILED, "sip_code": None, "call_duration": 0},
    "53": {"kind": STATUS, "status": CallStatus.FAILED, "sip_code": 404},
    "54": {"kind": STATUS, "status": CallStatus.CANCELED, "sip_code": 487},
    "55": {"kind": STATUS, "status": CallStatus.BUSY, "sip_code": 603},
    "56": {"kind": CallbackKind.GATHER, "status": None},
    "58": {
        "kind": STATUS,
        "parent_call_sid": "CA0000000000000000000000000000009e",
        "direction": Direction.OUTBOUND_DIAL,
    },
}


@pytest.mark.parametrize("prefix", CASES)
def test_a_captured_call_body_is_kept_whole_and_understood(
    gateway: Any, fixture_body: Callable[[str], bytes], prefix: str
) -> None:
    """Each body about a call becomes one callback with every parameter, blank ones too, and no problem."""
    body = fixture_body(prefix)
    answer = gateway.post_form("/twilio/voice/spring-sale", body)
    wants_twiml = CASES[prefix]["kind"] in {CallbackKind.VOICE_URL, CallbackKind.DIAL_ACTION, CallbackKind.GATHER}
    assert answer.status_code == (200 if wants_twiml else 204)
    assert not wants_twiml or (answer.headers["content-type"] == "text/xml" and answer.text.endswith("<Response/>"))
    (callback,) = gateway.read("callbacks", Callback)
    assert {name: getattr(callback, name) for name in CASES[prefix]} == CASES[prefix]
    assert callback.campaign == "spring-sale"
    assert callback.endpoint == "/twilio/voice"
    assert callback.problems == []
    assert len(callback.params) == body.count(b"&") + 1
    assert gateway.written() == 1


def test_a_verdict_is_a_verdict_on_any_endpoint(gateway: Any, fixture_body: Callable[[str], bytes]) -> None:
    """The four fields of an asynchronous machine verdict are understood wherever they are posted."""
    for path in ("/twilio/voice", "/twilio/amd", "/twilio/amd/spring-sale", "/twilio/messaging", "/twilio/gather"):
        assert gateway.post_form(path, fixture_body("21")).status_code in {200, 204}
    callbacks = gateway.read("callbacks", Callback)
    assert [callback.kind for callback in callbacks] == [CallbackKind.MACHINE_VERDICT] * 5


def test_a_voice_request_with_stir_verstat_is_no_status(gateway: Any, fixture_body: Callable[[str], bytes]) -> None:
    """An inbound voice request with a double-encoded CallToken passes and is not counted as ringing."""
    params = json.loads(fixture_body("18"))["params"]
    assert gateway.post_form("/twilio/voice", urlencode(params).encode()).status_code == 200
    (callback,) = gateway.read("callbacks", Callback)
    assert (callback.kind, callback.status, callback.stir_status) == (CallbackKind.VOICE_URL, None, None)
    assert callback.params == params
    assert callback.number == "+13231234567"


@pytest.mark.parametrize(
    ("prefix", "source", "said"),
    [("56", OptOutSource.DTMF, "9"), ("57", OptOutSource.SPEECH, "Please, stop calling me.")],
)
def test_a_gathered_opt_out_is_written_beside_its_callback(
    gateway: Any, fixture_body: Callable[[str], bytes], prefix: str, source: OptOutSource, said: str
) -> None:
    """A key press or sentence on /twilio/gather opts out the called person; Twilio gets an empty TwiML answer."""
    answer = gateway.post_form("/twilio/gather", fixture_body(prefix))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml")
    (callback,) = gateway.read("callbacks", Callback)
    (opt_out,) = gateway.read("optouts", OptOut)
    assert callback.kind is CallbackKind.GATHER
    assert (opt_out.contact, opt_out.number, opt_out.campaign) == ("+12125550188", "+14155550123", "autumn")
    assert (opt_out.source, opt_out.said, opt_out.channel, opt_out.opted_out) == (source, said, Channel.VOICE, True)


@pytest.mark.parametrize(("prefix", "source"), [("61", OptOutSource.OPT_OUT_TYPE), ("62", OptOutSource.ERROR_21610)])
def test_a_message_opt_out_names_the_person(
    gateway: Any, fixture_body: Callable[[str], bytes], prefix: str, source: OptOutSource
) -> None:
    """OptOutType opts out the sender, error 21610 the addressee: the same person."""
    assert gateway.post_form("/twilio/messaging", fixture_body(prefix)).status_code == 204
    (opt_out,) = gateway.read("optouts", OptOut)
    assert (opt_out.contact, opt_out.source, opt_out.channel) == ("+12125550188", source, Channel.MESSAGING)
    assert (opt_out.number, opt_out.campaign) == ("+14155550123", "autumn")
    assert gateway.written() == 1


def test_an_event_streams_message_that_is_no_opt_out_leaves_nothing(
    gateway: Any, fixture_body: Callable[[str], bytes]
) -> None:
    """A plain WhatsApp message by Event Streams is taken and not kept; with the word STOP it opts the sender out."""
    event = json.loads(fixture_body("26"))
    assert gateway.post_json("/twilio/events", json.dumps([event]).encode()).status_code == 204
    assert gateway.written() == 0
    event["data"]["body"] = " Stop! "
    assert gateway.post_json("/twilio/events", json.dumps(event).encode()).status_code == 204
    (opt_out,) = gateway.read("optouts", OptOut)
    assert (opt_out.contact, opt_out.number, opt_out.opted_out) == ("+61000000001", "+14111111111", True)
    assert opt_out.sid == "SMe0000000000000000000000000000006"


def test_a_call_summary_as_json_string_is_understood(gateway: Any, fixture_body: Callable[[str], bytes]) -> None:
    """A call summary whose data is a JSON string gives status, parties and direction in the callbacks' words."""
    assert gateway.post_json("/twilio/events", fixture_body("27")).status_code == 204
    (callback,) = gateway.read("callbacks", Callback)
    assert (callback.kind, callback.status) == (CallbackKind.CALL_SUMMARY, CallStatus.CANCELED)
    assert (callback.direction, callback.sip_code) == (Direction.OUTBOUND_API, None)
    assert (callback.number, callback.contact) == ("+55555555", "client:SOMECLIENT")
    assert (callback.event_id, callback.call_duration) == ("EZ00000000000000000000000000000000", 0)
    assert callback.params["processing_state"] == "partial"


def test_an_event_streams_status_callback_takes_its_campaign_from_the_url(
    gateway: Any, fixture_body: Callable[[str], bytes]
) -> None:
    """A status callback by Event Streams is the callback that it tells of; an unusable neighbour harms it not."""
    events = json.loads(fixture_body("71"))
    body = json.dumps([{"type": "com.twilio.video.room.created", "data": {}}, *events, 7]).encode()
    assert (
        gateway.post_json("/twilio/events", body, content_type="application/cloudevents-batch+json").status_code == 204
    )
    (callback,) = gateway.read("callbacks", Callback)
    assert (callback.kind, callback.status, callback.sequence) == (STATUS, CallStatus.COMPLETED, 3)
    assert (callback.campaign, callback.endpoint) == ("spring-sale", "/twilio/events")
    assert callback.event_id == "EZ00000000000000000000000000000047"
    dead = gateway.read("deadletters", DeadLetter)
    assert sorted(letter.body for letter in dead) == [b"7", b'{"type": "com.twilio.video.room.created", "data": {}}']


def test_a_get_callback_is_understood_from_its_query(gateway: Any, fixture_body: Callable[[str], bytes]) -> None:
    """A callback sent by GET carries the same parameters in its signed query."""
    target = "/twilio/voice/spring-sale?" + fixture_body("01").decode()
    signature = RequestValidator("token").compute_signature("https://hooks.example.com" + target, {})
    assert gateway.send("GET", target, headers={"x-twilio-signature": signature}).status_code == 204
    (callback,) = gateway.read("callbacks", Callback)
    assert (callback.status, callback.params["ToZip"]) == (CallStatus.COMPLETED, "")
