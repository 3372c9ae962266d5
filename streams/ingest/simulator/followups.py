"""What comes of a call beside its status callbacks: the end of its `<Dial>`, and what Voice Insights heard."""

from __future__ import annotations

from schemas.call import CallStatus
from schemas.times import MINUTE, SECOND, to_iso
from streams.ingest.simulator.bodies import Params
from streams.ingest.simulator.calls import Call
from streams.ingest.simulator.draws import Draw, between
from streams.ingest.simulator.line import Event

# The request of the <Dial> that is over comes while the parent is still up, just before its end.
_BEFORE_THE_END = 200

# Twilio says up to 30 minutes after the end.
_SUMMARY_MINUTES = (8.0, 30.0)

# Voice Insights spells two of the states its own way.
_STATES = {CallStatus.FAILED: "fail", CallStatus.NO_ANSWER: "noanswer"}


def dial_action(call: Call, leg: Params, child_sid: str, *, reached: bool) -> tuple[int, Params]:
    """Make the request that tells how the `<Dial>` to an agent went, and say when it is made.

    Args:
        call: an answered call.
        leg: what the call's requests carry.
        child_sid: the sid of the leg to the agent.
        reached: whether an agent took it.
    """
    assert call.answered_at is not None
    at = max(call.answered_at, call.ended_at - _BEFORE_THE_END)
    params = {
        **leg,
        "CallStatus": CallStatus.IN_PROGRESS.value,
        "DialCallSid": child_sid,
        "DialCallStatus": "completed" if reached else "no-answer",
        "DialBridged": "true" if reached else "false",
    }
    if reached:
        params["DialCallDuration"] = str((at - call.answered_at) // SECOND)
    return at, params


def summary(call: Call, leg: Params, event_id: str, draw: Draw, *, silent: bool) -> tuple[int, Event]:
    """Make the CloudEvent with Voice Insights' summary of a call, and say when it is sent."""
    at = call.ended_at + int(between(draw, *_SUMMARY_MINUTES) * MINUTE)
    talked = 0 if call.answered_at is None else (call.ended_at - call.answered_at) // SECOND
    data: dict[str, object] = {
        "call_sid": leg["CallSid"],
        "account_sid": leg["AccountSid"],
        "parent_call_sid": None,
        "created_time": to_iso(call.placed_at),
        "start_time": to_iso(call.placed_at),
        "end_time": to_iso(call.ended_at),
        "duration": (call.ended_at - call.placed_at) // SECOND,
        "connect_duration": talked,
        "call_type": "carrier",
        "call_state": _STATES.get(call.status, call.status.value),
        "processing_state": "complete",
        "from": {"caller": leg["From"], "country_code": leg["FromCountry"]},
        "to": {"callee": leg["To"], "country_code": leg["ToCountry"]},
        "tags": ["silence"] if silent else [],
        "properties": {
            "last_sip_response_num": 0 if call.sip_code is None else int(call.sip_code),
            "direction": "outbound_api",
        },
    }
    event: Event = {
        "specversion": "1.0",
        "type": "com.twilio.voice.insights.call-summary.complete",
        "source": f"/v1/Voice/{leg['CallSid']}/Summary",
        "id": event_id,
        "dataschema": "https://events-schemas.twilio.com/VoiceInsights.CallSummary/7",
        "datacontenttype": "application/json",
        "time": to_iso(at),
        "data": data,
    }
    return at, event
