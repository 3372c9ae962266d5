"""Telling Twilio's requests about a call apart: many carry CallStatus, and only status callbacks may be counted."""

from __future__ import annotations

from schemas.callback import CallbackKind, Params
from streams.ingest.paths import Endpoint

STATUS_CALLBACK = "call-progress-events"
"""CallbackSource of every status callback since 2015."""

# A stream's, conference's or announcement's own callbacks carry Timestamp and SequenceNumber too.
_OF_SOMETHING_ELSE = ("ConferenceSid", "StreamSid", "SiprecSid", "AnnounceUrl", "PaymentCardNumber", "FaxSid")
_DIAL = ("DialCallStatus", "DialCallSid")
_TRANSCRIPTION = ("TranscriptionSid", "TranscriptionText", "TranscriptionStatus", "TranscriptionEvent")
_RECORDING = ("RecordingStatus", "RecordingSid", "RecordingUrl")
_GATHER = ("Digits", "SpeechResult", "StableSpeechResult", "UnstableSpeechResult", "FinishedOnKey")
# A trimmed body without CallbackSource is a status callback if it has what no other request has.
_STATUS_EVIDENCE = ("CallDuration", "SequenceNumber", "SipResponseCode", "Timestamp")
# A call that asks for instructions has not ended.
_ASKING = ("queued", "ringing", "in-progress")


def is_status_callback(params: Params) -> bool:
    """Tell whether Twilio says itself that the request is a status callback."""
    return params.get("CallbackSource") == STATUS_CALLBACK


def is_machine_verdict(params: Params) -> bool:
    """Tell whether the request is an asynchronous answering-machine verdict, on whatever path it came."""
    return bool(params.get("AnsweredBy")) and bool(params.get("CallSid")) and not params.get("CallStatus")


def kind_of(endpoint: Endpoint, params: Params) -> CallbackKind:  # noqa: PLR0911 - one way out for each kind
    """Tell what a request about a call is, by its endpoint and fields, never by CallStatus alone."""
    if is_status_callback(params):
        return CallbackKind.STATUS
    if is_machine_verdict(params) or (endpoint is Endpoint.AMD and params.get("AnsweredBy")):
        return CallbackKind.MACHINE_VERDICT
    if _any(params, _DIAL):
        return CallbackKind.DIAL_ACTION
    if _any(params, _TRANSCRIPTION):
        return CallbackKind.TRANSCRIPTION
    if params.get("CallbackSource") or _any(params, _OF_SOMETHING_ELSE):
        return CallbackKind.OTHER
    # A gather's partial results have a SequenceNumber and a Timestamp of their own, which are not the call's.
    if endpoint is not Endpoint.GATHER and params.get("CallStatus") and _says_any(params, _STATUS_EVIDENCE):
        return CallbackKind.STATUS
    if _any(params, _RECORDING):
        return CallbackKind.RECORDING
    if endpoint is Endpoint.GATHER or _any(params, _GATHER):
        return CallbackKind.GATHER
    if params.get("CallStatus") in _ASKING:
        return CallbackKind.VOICE_URL
    return CallbackKind.OTHER


def _any(params: Params, names: tuple[str, ...]) -> bool:
    return any(name in params for name in names)


def _says_any(params: Params, names: tuple[str, ...]) -> bool:
    return any(params.get(name) for name in names)
