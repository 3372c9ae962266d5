from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas.call import CallStatus, Direction
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.opt_out import OptOut, OptOutSource
from streams.ingest.cloud_events import understand_events
from streams.ingest.kinds import kind_of
from streams.ingest.parameters import read_time
from streams.ingest.paths import Address, Endpoint, take_apart
from streams.ingest.understanding import new_record, understand

NOW = 1_795_442_400_000
VOICE = Address(Endpoint.VOICE)


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"CallStatus": "completed", "CallDuration": "3"}, CallbackKind.STATUS),
        ({"CallStatus": "busy", "SipResponseCode": "486", "Timestamp": "x"}, CallbackKind.STATUS),
        ({"CallStatus": "completed"}, CallbackKind.OTHER),
        ({"CallStatus": "in-progress", "Digits": "1"}, CallbackKind.GATHER),
        ({"CallStatus": "in-progress", "SpeechResult": ""}, CallbackKind.GATHER),
        ({"CallStatus": "in-progress", "AnsweredBy": "human"}, CallbackKind.VOICE_URL),
        ({"CallStatus": "completed", "TranscriptionText": "hi", "RecordingUrl": "u"}, CallbackKind.TRANSCRIPTION),
        ({"RecordingStatus": "completed", "RecordingSid": "RE1", "ErrorCode": "0"}, CallbackKind.RECORDING),
        ({"CallStatus": "in-progress", "RecordingUrl": "u", "Digits": "hangup"}, CallbackKind.RECORDING),
        ({"CallStatus": "completed", "DialCallStatus": "answered", "CallDuration": "3"}, CallbackKind.DIAL_ACTION),
        ({"StatusCallbackEvent": "leave", "ConferenceSid": "CF1", "SequenceNumber": "3"}, CallbackKind.OTHER),
        ({"CallbackSource": "call-progress-events", "RecordingUrl": "u", "AnsweredBy": "human"}, CallbackKind.STATUS),
        ({"CallbackSource": "something-new", "CallStatus": "completed", "CallDuration": "3"}, CallbackKind.OTHER),
    ],
)
def test_requests_are_told_apart(params: Any, kind: CallbackKind) -> None:
    """What a request is follows from its fields, and CallStatus alone never makes it a status."""
    assert kind_of(Endpoint.VOICE, params | {"CallSid": "CA1"}) is kind


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Thu, 12 Feb 2026 11:48:25 +0000", 1_770_896_905_000),
        ("Thu, 12 Feb 2026 11:48:25 Etc/UTC", 1_770_896_905_000),
        ("Thu, 12 Feb 2026 11:48:25 -0000", 1_770_896_905_000),
        ("Thu, 12 Feb 2026 12:48:25 +0100", 1_770_896_905_000),
        ("2021-04-28 21:51:18.731479Z", 1_619_646_678_731),
        ("2021-04-28T21:51:18+00:00", 1_619_646_678_000),
        ("2021-04-28T21:51:18", None),
        ("Thu, 12 Feb 2026 11:48:25 Europe/Berlin", None),
        ("Thu, 99 Feb 2026 11:48:25 +0000", None),
        ("yesterday", None),
        ("9" * 100, None),
    ],
)
def test_times_are_read_in_twilios_and_its_clones_spelling(text: str, at: int | None) -> None:
    """RFC 2822, Etc/UTC and ISO give the same clock; a time without a zone gives none."""
    assert read_time(text) == at


def test_clones_are_understood(terms: Any) -> None:
    """Other SIDs, a bare "outbound", ISO times and the console's "no value" are taken as what they say."""
    params: Any = {
        "CallSid": "v2:T02llQxI",
        "CallbackSource": "call-progress-events",
        "CallStatus": "no-answer",
        "Direction": "outbound",
        "From": "whatsapp:+14155550123",
        "To": "sip:bob@example.com",
        "Timestamp": "2021-04-28 21:51:18.731479Z",
        "StirStatus": "null",
        "AnsweredBy": "no value",
        "SequenceNumber": "2",
    }
    (callback,) = understand(VOICE, params, NOW, terms)
    assert isinstance(callback, Callback)
    assert (callback.call_sid, callback.status, callback.direction) == (
        "v2:T02llQxI",
        CallStatus.NO_ANSWER,
        Direction.OUTBOUND_API,
    )
    assert (callback.number, callback.contact, callback.campaign) == ("+14155550123", "sip:bob@example.com", "autumn")
    assert (callback.stir_status, callback.answered_by, callback.happened_at) == (None, None, 1_619_646_678_731)
    assert callback.problems == []


def test_a_value_given_twice_with_two_values_is_unknown(terms: Any) -> None:
    """Nobody chooses between two values; the same value twice is that value."""
    params: Any = {
        "CallSid": ["CA1", "CA1"],
        "CallbackSource": "call-progress-events",
        "CallStatus": ["busy", "failed"],
    }
    (callback,) = understand(VOICE, params, NOW, terms)
    assert isinstance(callback, Callback)
    assert (callback.call_sid, callback.status) == ("CA1", None)
    assert callback.problems == ["CallStatus: given 2 times with different values"]


def test_a_sid_too_long_for_a_key_is_set_aside(terms: Any) -> None:
    """A CallSid of more than 128 characters goes to the dead letters with the raw request."""
    (letter,) = understand(VOICE, {"CallSid": "C" * 129}, NOW, terms, b"raw")
    assert letter == DeadLetter(
        source="/twilio/voice", reason="CallSid: longer than 128 characters", at=NOW, body=b"raw"
    )


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"Body": "stop."}, (True, OptOutSource.STOP_WORD)),
        ({"Body": " “Unsubscribe” "}, (True, OptOutSource.STOP_WORD)),
        ({"Body": "UNSTOP"}, (False, OptOutSource.STOP_WORD)),
        ({"Body": "Arret", "OptOutType": "STOP"}, (True, OptOutSource.OPT_OUT_TYPE)),
        ({"Body": "go", "OptOutType": "START"}, (False, OptOutSource.OPT_OUT_TYPE)),
        ({"Body": "HELP", "OptOutType": "HELP"}, None),
        ({"Body": "don't stop"}, None),
        ({"Body": ""}, None),
        ({"MessageStatus": "delivered", "Body": "STOP"}, None),
        ({"SmsStatus": "received", "Body": "quit"}, (True, OptOutSource.STOP_WORD)),
    ],
)
def test_messages_opt_out_by_their_word(terms: Any, params: Any, expected: Any) -> None:
    """A message of a stop or start word, or Twilio's own reading of it, is a signal; any other leaves nothing."""
    address = Address(Endpoint.MESSAGING)
    understood = understand(
        address, {"From": "whatsapp:+12125550188", "To": "+1", "MessageSid": "SM1"} | params, NOW, terms
    )
    signals = [(one.opted_out, one.source) for one in understood if isinstance(one, OptOut)]
    assert signals == ([expected] if expected else [])
    assert all(isinstance(one, OptOut) and one.contact == "+12125550188" for one in understood)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"Digits": "9", "Direction": "inbound"}, "+14155550123"),
        ({"Digits": "9", "Direction": "outbound-api"}, "+12125550188"),
        ({"Digits": "99", "Direction": "inbound"}, None),
        ({"SpeechResult": "DON’T call!", "Direction": "inbound"}, "+14155550123"),
        ({"SpeechResult": "unstoppable", "Direction": "inbound"}, None),
    ],
)
def test_gathered_opt_outs_are_the_other_partys(terms: Any, params: Any, expected: str | None) -> None:
    """Who opted out follows from Direction; words count as whole words only."""
    base = {"CallSid": "CA1", "CallStatus": "in-progress", "From": "+14155550123", "To": "+12125550188"}
    understood = understand(Address(Endpoint.GATHER), base | params, NOW, terms)
    assert isinstance(understood[0], Callback)
    assert [one.contact for one in understood if isinstance(one, OptOut)] == ([expected] if expected else [])


_OTHER_KINDS: list[Any] = [
    {"SequenceNumber": "2"},
    {"Timestamp": "Mon, 23 Nov 2026 13:59:59 +0000"},
    {"CallDuration": "12", "CallStatus": "completed"},
    {"SipResponseCode": "200"},
    {"DialCallStatus": "completed", "DialCallSid": "CA2"},
    {"RecordingUrl": "https://example.com/RE1", "RecordingSid": "RE1"},
    {"TranscriptionText": "nine"},
    {"StreamSid": "MZ1"},
    {"CallbackSource": "something-new"},
    {"CallbackSource": "call-progress-events"},
    {"AnsweredBy": "human", "CallStatus": ""},
]


@pytest.mark.parametrize("more", _OTHER_KINDS, ids=lambda more: next(iter(more)))
@pytest.mark.parametrize(
    ("said", "source", "words"),
    [
        ({"Digits": "9"}, OptOutSource.DTMF, "9"),
        ({"SpeechResult": "Please stop calling."}, OptOutSource.SPEECH, "Please stop calling."),
        ({"StableSpeechResult": "stop calling", "UnstableSpeechResult": ""}, OptOutSource.SPEECH, "stop calling"),
        ({"UnstableSpeechResult": "do not call"}, OptOutSource.SPEECH, "do not call"),
        ({"StableSpeechResult": "do not", "UnstableSpeechResult": "call me"}, OptOutSource.SPEECH, "do not call me"),
        ({"Digits": "1", "SpeechResult": "take me off"}, OptOutSource.SPEECH, "take me off"),
        ({"SpeechResult": "yes", "UnstableSpeechResult": "unsubscribe"}, OptOutSource.SPEECH, "unsubscribe"),
    ],
)
def test_no_other_field_hides_a_gathered_opt_out(
    terms: Any, said: Any, source: OptOutSource, words: str, more: Any
) -> None:
    """On /twilio/gather a key press or sentence opts out, whatever kind of request the other fields look like."""
    base = {"CallSid": "CA1", "CallStatus": "in-progress", "Direction": "outbound-api"}
    parties = {"From": "+14155550123", "To": "+12125550188"}
    callback, opt_out = understand(Address(Endpoint.GATHER, "spring"), base | parties | said | more, NOW, terms)
    assert isinstance(callback, Callback)
    assert isinstance(opt_out, OptOut)
    assert (opt_out.contact, opt_out.number, opt_out.campaign) == ("+12125550188", "+14155550123", "spring")
    assert (opt_out.source, opt_out.said, opt_out.sid) == (source, words, "CA1")
    counted = more.get("CallbackSource") == "call-progress-events"
    assert (callback.kind is CallbackKind.STATUS) is counted
    assert (callback.status is not None) is counted


def test_a_gather_without_a_call_opts_out_all_the_same(terms: Any) -> None:
    """A request that names no call is set aside, and the person who is named in it is opted out."""
    params: Any = {"Digits": "9", "Direction": "inbound", "From": "+12125550188", "To": "+14155550123"}
    letter, opt_out = understand(Address(Endpoint.GATHER), params, NOW, terms)
    assert isinstance(letter, DeadLetter)
    assert isinstance(opt_out, OptOut)
    assert (opt_out.contact, opt_out.sid) == ("+12125550188", None)


def test_key_presses_elsewhere_are_no_opt_outs(terms: Any) -> None:
    """A key means an opt-out only where the company says so: a menu on another path may use 9 for anything."""
    params: Any = {"CallSid": "CA1", "Digits": "9", "Direction": "inbound", "From": "+12125550188", "To": "+1"}
    (callback,) = understand(VOICE, params, NOW, terms)
    assert isinstance(callback, Callback)


def test_an_opt_out_of_nobody_is_not_lost(terms: Any) -> None:
    """An opt-out whose person is unknown is kept for people to look at."""
    understood = understand(Address(Endpoint.GATHER), {"CallSid": "CA1", "Digits": "9"}, NOW, terms)
    assert [type(one) for one in understood] == [Callback, DeadLetter]
    (letter,) = understand(Address(Endpoint.MESSAGING), {"MessageSid": "SM1", "Body": "STOP"}, NOW, terms)
    assert isinstance(letter, DeadLetter)


def test_only_clean_campaigns_are_taken_from_the_path() -> None:
    """A path names a campaign of letters, digits, hyphens, underscores and dots; anything else leaves a problem."""
    assert take_apart("/twilio/voice/fr%C3%BChling_1.0") == Address(Endpoint.VOICE, "frühling_1.0")
    assert take_apart("/twilio/amd/") == Address(Endpoint.AMD)
    assert take_apart("/twilio/voices") is None
    for campaign in ("a%20b", "a/b", "%ff", "x" * 101):
        address = take_apart(f"/twilio/voice/{campaign}")
        assert address is not None
        assert address.campaign is None
        assert address.problem is not None


_names = st.sampled_from(
    [
        "CallSid",
        "CallStatus",
        "Timestamp",
        "Direction",
        "From",
        "To",
        "SequenceNumber",
        "Digits",
        "Body",
        "ErrorCode",
        "SpeechResult",
        "AnsweredBy",
        "CallbackSource",
        "CallDuration",
        "StirStatus",
        "SipResponseCode",
        "OptOutType",
        "MessageSid",
    ]
)
_values = st.text(max_size=30) | st.sampled_from(
    ["STOP", "9", "21610", "outbound-api", "call-progress-events", "completed", "no value"]
)


@hypothesis_settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    endpoint=st.sampled_from([endpoint for endpoint in Endpoint if endpoint is not Endpoint.EVENTS]),
    params=st.dictionaries(_names | st.text(max_size=5), _values | st.lists(_values, max_size=3), max_size=10),
    received_at=st.integers(-(10**14), 10**15),
)
def test_no_parameters_make_it_raise(terms: Any, endpoint: Endpoint, params: Any, received_at: int) -> None:
    """Whatever the parameters, there is a result, and it can be written and read again."""
    for understood in understand(Address(endpoint), params, received_at, terms):
        record = new_record(understood)
        assert record.value is not None
        assert type(understood).decode(record.value) == understood


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "call_sid",
                    "from",
                    "properties",
                    "request",
                    "parameters",
                    "url",
                    "last_sip_response_num",
                    "CallSid",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_types = st.sampled_from(
    [
        "com.twilio.voice.status-callback.call.completed",
        "com.twilio.voice.status-callback.amd.detected",
        "com.twilio.messaging.inbound-message.received",
        "com.twilio.voice.insights.call-summary.complete",
        "com.twilio.messaging.message.failed",
        "other",
    ]
)


@hypothesis_settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"type": _types, "data": _json}) | _json, max_size=4), st.binary(max_size=20))
def test_no_event_makes_it_raise_or_is_lost(terms: Any, events: Any, noise: bytes) -> None:
    """Every event gives something that can be written, or is a message that is no opt-out."""
    for body in (json.dumps(events).encode(), noise):
        for understood in understand_events(body, NOW, terms):
            assert new_record(understood).value is not None
