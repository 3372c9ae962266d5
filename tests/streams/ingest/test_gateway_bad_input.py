from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.settings import Settings
from streams.ingest import gateway as gateway_module

FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_unsigned_and_wrongly_signed_requests_get_403(gateway: Any, fixture_body: Any) -> None:
    """No signature, a wrong one, and a right one with a changed body are refused, counted, and write nothing."""
    body = fixture_body("01")
    answers = [
        gateway.send("POST", "/twilio/voice", body, FORM),
        gateway.post_form("/twilio/voice", body, token="wrong"),
        gateway.send("GET", "/twilio/voice?CallSid=CA1"),
        gateway.send("POST", "/twilio/events", b"[]", {"content-type": "application/json"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 4
    assert all(
        answer.text.count("\n") == 1 and answer.headers["content-type"].startswith("text/plain") for answer in answers
    )
    assert gateway.count("ringwatch_gateway_rejected_total", reason="no_signature") == 3
    assert gateway.count("ringwatch_gateway_rejected_total", reason="wrong_signature") == 1
    assert gateway.written() == 0


@pytest.mark.parametrize(
    ("body", "content_type", "status", "says", "reason"),
    [
        (b"CallSid=" + b"x" * 70_000, FORM["content-type"], 413, "65536 bytes", "too_large"),
        (b"a=1&" * 300, FORM["content-type"], 400, "256 parameters", "too_many_parameters"),
        (b"CallSid=" + b"x" * 16_385, FORM["content-type"], 400, "16384 characters", "too_long_parameter"),
        (b"CallSid=%zz", FORM["content-type"], 400, "percent-encoding", "broken_encoding"),
        (b"CallSid=%ff", FORM["content-type"], 400, "UTF-8", "broken_encoding"),
        (b"CallSid=CA1", "text/plain", 415, "application/x-www-form-urlencoded", "wrong_content_type"),
        (b"CallSid=CA1", "application/x-www-form-urlencoded; charset=utf-16", 415, "UTF-8", "wrong_charset"),
        (b'{"a": "' + b"x" * 16_385 + b'"}', "application/json", 400, "16384 characters", "too_long_parameter"),
    ],
)
def test_a_broken_request_is_told_why(
    gateway: Any, body: bytes, content_type: str, status: int, says: str, reason: str
) -> None:
    """Size, count, length, encoding and content type are refused with one line and counted, whoever sent them."""
    answer = gateway.send("POST", "/twilio/voice", body, {"content-type": content_type})
    assert answer.status_code == status
    assert says in answer.text
    assert answer.text.count("\n") == 1
    assert gateway.count("ringwatch_gateway_rejected_total", reason=reason) == 1
    assert gateway.written() == 0


def test_a_body_without_announced_length_is_cut_off(gateway: Any) -> None:
    """A body that comes in pieces is refused as soon as it passes the limit."""
    taken = []

    async def pieces() -> Any:
        for index in range(1_000):
            taken.append(index)
            yield b"x" * 1_000

    async def run() -> Any:
        return await gateway.send_async("POST", "/twilio/voice", pieces(), FORM)

    assert asyncio.run(run()).status_code == 413
    assert len(taken) < 70


def test_what_nobody_understands_is_kept(gateway: Any) -> None:
    """Signed requests without a CallSid, signed JSON that is none and unknown events are kept, with 2xx."""
    assert gateway.post_form("/twilio/voice/spring-sale", b"CallStatus=completed&CallSid=").status_code == 204
    assert gateway.post_json("/twilio/voice", b"[1]").status_code == 204
    assert gateway.post_json("/twilio/events", b"\xff not JSON").status_code == 204
    assert gateway.post_json("/twilio/events", b'[{"type": "com.twilio.new"}, {"id": 1}]').status_code == 204
    assert gateway.post_form("/twilio/messaging", b"Foo=bar").status_code == 204
    letters = gateway.read("deadletters", DeadLetter)
    assert len(letters) == 6
    assert gateway.written() == 6
    assert {letter.body for letter in letters} >= {
        b"CallStatus=completed&CallSid=",
        b"[1]",
        b"\xff not JSON",
        b"Foo=bar",
    }
    assert any(letter.reason == "CallSid: missing" and letter.source == "/twilio/voice" for letter in letters)


def test_values_that_cannot_be_used_are_unknown(settings: Settings, make_gateway: Any) -> None:
    """A year-old time, a negative duration, a wordy sequence, an odd SIP code are kept, marked and not guessed."""
    gateway = make_gateway(settings.model_copy(update={"assembly": Settings().assembly}))
    body = (
        b"CallSid=CA1&CallbackSource=call-progress-events&CallStatus=exploded&SequenceNumber=two&CallDuration=-4"
        b"&SipResponseCode=99&StirStatus=Z&Timestamp=Wed%2C+12+Jan+2022+07%3A29%3A46+%2B0000&Direction=sideways"
    )
    assert gateway.post_form("/twilio/voice/b%2Fd", body).status_code == 204
    (callback,) = gateway.read("callbacks", Callback)
    unknown = (callback.happened_at, callback.sequence, callback.call_duration, callback.sip_code, callback.status)
    assert unknown == (None,) * 5
    assert (callback.kind, callback.stir_status, callback.number, callback.campaign) == (
        CallbackKind.STATUS,
        None,
        None,
        None,
    )
    assert [problem.split(":")[0] for problem in callback.problems] == [
        "campaign", "Direction", "Timestamp", "CallStatus", "SequenceNumber", "CallDuration", "SipResponseCode",
        "StirStatus",
    ]  # fmt: skip
    assert callback.params["CallDuration"] == "-4"


def test_a_full_log_answers_503(settings: Settings, make_gateway: Any, memory_log: Any, fixture_body: Any) -> None:
    """While the log can't take records, Twilio is told to come again, and nothing counts as accepted."""
    gateway = make_gateway(settings)
    memory_log.full = True
    answer = gateway.post_form("/twilio/voice", fixture_body("01"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    memory_log.full = False
    assert gateway.post_form("/twilio/voice", fixture_body("01")).status_code == 204
    outcomes = [
        gateway.count("ringwatch_gateway_requests_total", endpoint="/twilio/voice", outcome=outcome)
        for outcome in ("unavailable", "accepted")
    ]
    assert outcomes == [1, 1]
    assert gateway.count("ringwatch_gateway_seconds_count") == 2


def test_a_fault_of_the_program_keeps_the_request(
    settings: Settings, make_gateway: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If understanding fails in a way nobody foresaw, the raw request is kept and answered 2xx."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(gateway_module, "understand", fail)
    gateway = make_gateway(settings)
    with caplog.at_level(logging.CRITICAL):
        assert gateway.post_form("/twilio/voice", b"CallSid=CA1").status_code == 204
    (letter,) = gateway.read("deadletters", DeadLetter)
    assert (letter.body, letter.reason) == (b"CallSid=CA1", "not understood: ZeroDivisionError()")


def test_insecure_takes_unsigned_requests(settings: Settings, make_gateway: Any) -> None:
    """With signatures off, requests pass with none and with a wrong one, and are still taken apart strictly."""
    gateway = make_gateway(settings, insecure=True)
    assert gateway.send("POST", "/twilio/voice", b"CallSid=CA1", FORM).status_code == 204
    assert gateway.send("POST", "/twilio/voice", b"CallSid=CA1", FORM | {"x-twilio-signature": "x"}).status_code == 204
    assert gateway.send("POST", "/twilio/voice", b"CallSid=%", FORM).status_code == 400
    assert gateway.send("PUT", "/twilio/voice", b"CallSid=CA1", FORM).status_code == 405


_paths = st.sampled_from(
    [
        b"/twilio/voice",
        b"/twilio/voice/%ff",
        b"/twilio/amd/a",
        b"/twilio/messaging",
        b"/twilio/events",
        b"/twilio/gather/x/y",
    ]
)
_bodies = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["CallSid", "CallStatus", "Timestamp", "SequenceNumber", "From", "Body"]),
    st.text("aA0+%&=é", max_size=9),
).map(lambda params: "&".join(f"{name}={value}" for name, value in params.items()).encode())
_types = st.sampled_from(
    [b"application/x-www-form-urlencoded", b"application/json", b"application/x+json"]
) | st.binary(max_size=20)
_headers = st.fixed_dictionaries(
    {b"content-type": _types},
    optional={
        b"x-twilio-signature": st.binary(max_size=30),
        b"x-twilio-webhooks-signature-settings": st.binary(max_size=30),
        b"host": st.binary(max_size=20),
        b"content-length": st.binary(max_size=8) | st.just(b"9" * 5_000),
    },
)


@hypothesis_settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=_paths, body=_bodies, headers=_headers, query=st.binary(max_size=20), method=st.sampled_from(["GET", "POST"])
)
def test_no_request_gets_a_5xx(
    settings: Settings, make_gateway: Any, path: bytes, body: bytes, headers: Any, query: bytes, method: str
) -> None:
    """Arbitrary requests are refused with 4xx when signatures are on, and answered below 500 when they are off."""
    own_host = settings.model_copy(update={"public_url": None})
    for secured in (make_gateway(settings), make_gateway(own_host)):
        assert secured.status_of(method, path, query, headers, body) in {400, 403, 413, 415}
    insecure = make_gateway(settings, insecure=True)
    assert insecure.status_of(method, path, query, headers, body) in {200, 204, 400, 413, 415}
