"""Event Streams: arrays of CloudEvents, each understood by itself so that a bad one harms no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from schemas.callback import Callback, CallbackKind, Params
from schemas.dead_letter import DeadLetter
from streams.ingest.opt_outs import OPTED_OUT_ERROR, understand_message
from streams.ingest.parameters import LONGEST_KEY, as_params, shown
from streams.ingest.paths import Address, Endpoint, take_apart
from streams.ingest.terms import Terms
from streams.ingest.understanding import Understood
from streams.ingest.voice import understand_call

_STATUS = ("com.twilio.voice.status-callback.call.", "com.twilio.voice.webhook.status-callback.call.")
_VERDICT = ("com.twilio.voice.status-callback.amd.", "com.twilio.voice.webhook.status-callback.amd.")
_SUMMARY = "com.twilio.voice.insights.call-summary."
_INBOUND_MESSAGE = "com.twilio.messaging.inbound-message."
_MESSAGE = "com.twilio.messaging.message."

# Twilio knows seven.
_MOST_TAGS = 32

_array = msgspec.json.Decoder(list[msgspec.Raw])


class _UnusableEventError(ValueError):
    """An event that can't be understood, with the reason."""


def understand_events(body: bytes, received_at: int, terms: Terms) -> list[Understood]:
    """Understand one Event Streams request; never raises.

    Twilio discards events that are answered with 4xx, so what can't be understood becomes a dead letter.

    Args:
        body: a JSON array of CloudEvents, or one CloudEvent.
        received_at: when it came, in milliseconds since the epoch.
        terms: what settings and register say.
    """
    try:
        events = [bytes(event) for event in _array.decode(body)] if body.lstrip()[:1] == b"[" else [body]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [_dead_letter(f"no JSON: {error}", received_at, body)]
    understood: list[Understood] = []
    for event in events:
        try:
            understood += _understand_event(event, received_at, terms)
        except _UnusableEventError as error:
            understood.append(_dead_letter(str(error), received_at, event))
        except Exception as error:  # noqa: BLE001 - Twilio would discard the other events too
            understood.append(_dead_letter(f"not understood: {error!r}", received_at, event))
    return understood


def _dead_letter(reason: str, at: int, body: bytes) -> DeadLetter:
    return DeadLetter(source=Endpoint.EVENTS.value, reason=reason, at=at, body=body)


def _understand_event(raw: bytes, received_at: int, terms: Terms) -> list[Understood]:
    event = _object(raw, "event")
    kind = event.get("type")
    if not isinstance(kind, str):
        raise _UnusableEventError("no CloudEvent: no type")
    data = _object(event.get("data"), "data")
    given_id = event.get("id")
    event_id = given_id if isinstance(given_id, str) and 0 < len(given_id) <= LONGEST_KEY else None
    if kind.startswith((*_STATUS, *_VERDICT)):
        told = CallbackKind.STATUS if kind.startswith(_STATUS) else CallbackKind.MACHINE_VERDICT
        address, params = _request_of(data, terms)
        return [understand_call(address, params, received_at, terms, raw, kind=told, event_id=event_id)]
    if kind.startswith(_SUMMARY):
        return [_understand_summary(data, event_id, received_at, terms, raw)]
    if kind.startswith(_INBOUND_MESSAGE) or (
        kind.startswith(_MESSAGE) and str(data.get("errorCode")) == OPTED_OUT_ERROR
    ):
        params = {name[:1].upper() + name[1:]: value for name, value in as_params(data).items()}
        return [*understand_message(Address(Endpoint.EVENTS), params, received_at, terms, raw)]
    if kind.startswith(_MESSAGE):
        return []
    raise _UnusableEventError(f"type {shown(kind)} is of no use here; leave it out of the subscription")


def _object(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, str | bytes):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise _UnusableEventError(f"{name}: no JSON") from None
    if not isinstance(value, dict):
        raise _UnusableEventError(f"{name}: not a JSON object")
    return value


def _request_of(data: dict[str, Any], terms: Terms) -> tuple[Address, Params]:
    """Take the callback that the event tells of: its parameters, and the campaign from the URL it went to."""
    request = data.get("request")
    request = request if isinstance(request, dict) else {}
    given = request.get("parameters") or data.get("parameters")
    params = as_params(_object(given, "parameters") if given else data)
    try:
        path = urlsplit(str(request.get("url", ""))).path.removeprefix(terms.path_prefix)
    except ValueError:
        path = ""
    called = take_apart(path)
    if called is None or called.endpoint not in {Endpoint.VOICE, Endpoint.AMD}:
        return Address(Endpoint.EVENTS), params
    return Address(Endpoint.EVENTS, called.campaign, called.problem), params


def _understand_summary(
    data: dict[str, Any], event_id: str | None, received_at: int, terms: Terms, raw: bytes
) -> Callback | DeadLetter:
    """Understand a call summary of Voice Insights by the names that callbacks have for the same things."""
    properties = _part(data, "properties")
    sip_code = properties.get("last_sip_response_num")
    in_callback_words = as_params(
        {
            "CallSid": data.get("call_sid"),
            "AccountSid": data.get("account_sid"),
            "ParentCallSid": data.get("parent_call_sid"),
            "CallStatus": data.get("call_state"),
            "Direction": properties.get("direction"),
            "From": _part(data, "from").get("caller"),
            "To": _part(data, "to").get("callee"),
            "Timestamp": data.get("end_time"),
            "CallDuration": data.get("connect_duration"),
            "AnsweredBy": data.get("answered_by"),
            # Zero is Voice Insights' word for no response at all.
            "SipResponseCode": None if sip_code in (0, "0") else sip_code,
        }
    )
    understood = understand_call(
        Address(Endpoint.EVENTS),
        in_callback_words,
        received_at,
        terms,
        raw,
        kind=CallbackKind.CALL_SUMMARY,
        event_id=event_id,
    )
    if not isinstance(understood, Callback):
        return understood
    tags = data.get("tags")
    told = [str(tag) for tag in tags[:_MOST_TAGS]] if isinstance(tags, list) else []
    # A summary without tags says that nothing was found; one that is not complete has yet to look.
    is_complete = data.get("processing_state") in {None, "complete"}
    return msgspec.structs.replace(understood, params=as_params(data), tags=told if told or is_complete else None)


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = data.get(name)
    return part if isinstance(part, dict) else {}
