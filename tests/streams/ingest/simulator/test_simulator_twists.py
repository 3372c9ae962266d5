from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

from schemas.call import CallStatus
from schemas.times import SECOND
from streams.ingest.simulator.calls import Call, unanswered
from streams.ingest.simulator.draws import stream
from streams.ingest.simulator.faults import NONE, Twist
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.signing import signer
from streams.ingest.simulator.twists import abandoned, twisted


def test_no_twist_no_change() -> None:
    """Without a fault a call stays as it is, and so does one that never left Twilio."""
    call = _answered(talk=20)
    draw = stream(1, "none")
    assert twisted(call, NONE, draw) is call
    unplaced = msgspec.structs.replace(call, dialed=False)
    assert twisted(unplaced, Twist(blocked=1.0), draw) is unplaced


@given(
    st.builds(
        Twist,
        dead=st.booleans(),
        blocked=st.floats(0, 1),
        invalid=st.floats(0, 1),
        short=st.floats(0, 1),
        drops=st.floats(0, 1),
        gives_up=st.none() | st.floats(1, 40),
    ),
    st.integers(0, 100),
    st.booleans(),
    st.integers(0, 40),
)
def test_a_twisted_call_is_a_possible_one(twist: Twist, seed: int, machine: bool, ring: int) -> None:
    """Whatever goes wrong, a call's times ascend, and it is completed exactly if it was answered."""
    call = _answered(talk=30, ring=ring, machine=machine)
    for one in (call, unanswered(0, 2_000, 2_000 + ring * SECOND, CallStatus.NO_ANSWER, "487")):
        made = twisted(one, twist, stream(seed, "twisted"))
        times = [at for at in (made.placed_at, made.rang_at, made.answered_at, made.ended_at) if at is not None]
        assert times == sorted(times)
        assert (made.answered_at is not None) == (made.status is CallStatus.COMPLETED)
        assert made.verdict_milliseconds is None or made.answered_at is not None


def test_who_waits_in_vain_hangs_up_after_a_while() -> None:
    """An abandoned call lasts longer than a short one."""
    draw = stream(1, "abandoned")
    for _ in range(50):
        call = abandoned(_answered(talk=300), draw)
        assert call.answered_at is not None
        assert 11 * SECOND <= call.ended_at - call.answered_at <= 20 * SECOND


def _answered(talk: int, ring: int = 5, *, machine: bool = False) -> Call:
    answered_at = 2_000 + ring * SECOND
    return Call(
        placed_at=0,
        rang_at=2_000,
        answered_at=answered_at,
        ended_at=answered_at + talk * SECOND,
        status=CallStatus.COMPLETED,
        sip_code="200",
        answered_by="machine_start" if machine else "human",
        verdict_milliseconds=3_500,
        machine=machine,
    )


def test_events_are_signed_with_their_body() -> None:
    """A line of Event Streams becomes a JSON request whose URL and signature cover its body, as Twilio's does."""
    request = signer("secret", "https://hooks.example.com")(Line(1, "/twilio/events", {}, ({"id": "EZ1"},)))
    assert request.headers["Content-Type"] == "application/json"
    assert msgspec.json.decode(request.body) == [{"id": "EZ1"}]
    url = f"https://hooks.example.com{request.path}"
    assert RequestValidator("secret").validate(url, request.body.decode(), request.headers[SIGNATURE_HEADER])
    assert not RequestValidator("secret").validate(url, "[]", request.headers[SIGNATURE_HEADER])
