"""The parameters of each request, key for key as captured bodies have them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from schemas.call import CallStatus
from schemas.times import SECOND
from streams.ingest.simulator.calls import Call
from streams.ingest.simulator.fleet import Number, Place

Params = dict[str, str]
Contact = tuple[str, Place]

_API_VERSION = "2010-04-01"


@lru_cache(maxsize=4_096)
def _rfc2822(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def leg_params(account_sid: str, call_sid: str, number: Number, contact: Contact) -> Params:
    """What every voice request about an outbound leg carries; what look-up did not find is there and blank."""
    to, called = contact
    caller = number.place
    return {
        "Called": to,
        "ToState": called.state,
        "CallerCountry": caller.country,
        "Direction": "outbound-api",
        "CallerState": caller.state,
        "ToZip": called.zip_code,
        "CallSid": call_sid,
        "To": to,
        "CallerZip": caller.zip_code,
        "ToCountry": called.country,
        "CalledZip": called.zip_code,
        "ApiVersion": _API_VERSION,
        "CalledCity": called.city,
        "From": number.number,
        "AccountSid": account_sid,
        "CalledCountry": called.country,
        "CallerCity": caller.city,
        "ToCity": called.city,
        "FromCountry": caller.country,
        "Caller": number.number,
        "FromCity": caller.city,
        "CalledState": called.state,
        "FromZip": caller.zip_code,
        "FromState": caller.state,
    }


def status_callbacks(call: Call, number: Number, leg: Params) -> Iterator[tuple[int, Params]]:
    """Make the status callbacks of a call in the order they happen, each with its time in milliseconds.

    The sequence counts the events that are subscribed to, so the end of a call may be number 0.
    """
    sequence = 0
    if not number.completed_only and call.dialed:
        stages = (
            (CallStatus.INITIATED, call.placed_at),
            (CallStatus.RINGING, call.rang_at),
            (CallStatus.IN_PROGRESS, call.answered_at),
        )
        for status, at in stages:
            if at is None:
                continue
            params = _progress(leg, status, at, sequence)
            if status is not CallStatus.INITIATED:
                params["StirStatus"] = number.stir_status
            yield at, params
            sequence += 1
    params = _progress(leg, call.status, call.ended_at, sequence)
    seconds = 0 if call.answered_at is None else round((call.ended_at - call.answered_at) / SECOND)
    params["CallDuration"] = str(seconds)
    params["Duration"] = str(-(-seconds // 60))
    if call.sip_code is not None:
        params["SipResponseCode"] = call.sip_code
    if call.answered_by is not None and call.verdict_milliseconds is None:
        params["AnsweredBy"] = call.answered_by
    yield call.ended_at, params


def _progress(leg: Params, status: CallStatus, at: int, sequence: int) -> Params:
    return {
        **leg,
        "CallStatus": status.value,
        "Timestamp": _rfc2822(at // SECOND),
        "CallbackSource": "call-progress-events",
        "SequenceNumber": str(sequence),
    }


def machine_verdict(call: Call, account_sid: str, call_sid: str) -> tuple[int, Params] | None:
    """Make the four fields of an asynchronous verdict and say when it is sent; None if the call has no such verdict."""
    if call.answered_at is None or call.answered_by is None or call.verdict_milliseconds is None:
        return None
    params = {
        "MachineDetectionDuration": str(call.verdict_milliseconds),
        "CallSid": call_sid,
        "AnsweredBy": call.answered_by,
        "AccountSid": account_sid,
    }
    return call.answered_at + call.verdict_milliseconds, params


def gathered(leg: Params, *, digits: str | None = None, speech: str | None = None) -> Params:
    """Make the request of a <Gather>'s action: keys pressed, or words said."""
    params = {**leg, "CallStatus": CallStatus.IN_PROGRESS.value, "msg": "Gather End"}
    if digits is not None:
        params |= {"Digits": digits, "FinishedOnKey": ""}
    if speech is not None:
        params |= {"SpeechResult": speech, "Confidence": "0.9128386", "Language": "en-US"}
    return params


def message(account_sid: str, message_sid: str, number: Number, contact: Contact, body: str) -> Params:
    """Make an inbound message from a contact to one of the company's numbers."""
    sender, place = contact
    own = number.place
    return {
        "ToCountry": own.country,
        "ToState": own.state,
        "SmsMessageSid": message_sid,
        "NumMedia": "0",
        "ToCity": own.city,
        "FromZip": place.zip_code,
        "SmsSid": message_sid,
        "FromState": place.state,
        "SmsStatus": "received",
        "FromCity": place.city,
        "Body": body,
        "FromCountry": place.country,
        "To": number.number,
        "ToZip": own.zip_code,
        "NumSegments": "1",
        "MessageSid": message_sid,
        "AccountSid": account_sid,
        "From": sender,
        "ApiVersion": _API_VERSION,
    }
