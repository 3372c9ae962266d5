"""Accepted Twilio requests about a call: the records of `callbacks`."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from schemas.call import CallStatus, Direction
from schemas.registration import ContactDetails, NumberRegistration
from schemas.wire import Versioned

Params = dict[str, str | list[str]]
"""Twilio's parameters as they came, blank ones too; a list where a key came more than once."""


class CallbackKind(StrEnum):
    """What a request is, told apart by its endpoint and fields, never by CallStatus alone."""

    STATUS = "status"
    MACHINE_VERDICT = "machine_verdict"
    CALL_SUMMARY = "call_summary"
    VOICE_URL = "voice_url"
    GATHER = "gather"
    DIAL_ACTION = "dial_action"
    RECORDING = "recording"
    TRANSCRIPTION = "transcription"
    OTHER = "other"
    TICK = "tick"
    """No request: time that passed while a partition was silent, so that calls can be closed."""


class Callback(Versioned, frozen=True, kw_only=True):
    """One accepted request: every parameter as it came, and what was understood of it.

    Attributes:
        call_sid: the leg it speaks of; empty for a tick.
        kind: what the request is.
        endpoint: the path it came to, without the campaign, e.g. "/twilio/voice".
        campaign: from the URL's path, else from the register; None if neither knows.
        received_at: when the gateway had it, in milliseconds since the epoch.
        happened_at: Twilio's Timestamp; None if absent or unusable.
        params: as they came.
        status: CallStatus of a status callback; None if absent or none of Twilio's.
        sequence: SequenceNumber; None if absent or no number.
        number: the company's own number, as understood from Direction.
        contact: the other party.
        call_duration: CallDuration in seconds; None if absent, no number or below zero.
        sip_code: SipResponseCode, 100 to 699.
        answered_by: AnsweredBy or the summary's verdict.
        stir_status: A, B or C.
        event_id: the CloudEvent's id when it came by Event Streams.
        tags: of a call summary of Voice Insights, in Twilio's words; None if it has none to tell.
        reached_agent: of a `<Dial>` that is over, whether it put two people through; None if it does not say.
        registration: what the register says about number and campaign; None where there is no register.
        contact_details: what it says about the contact; None if it does not know the person.
        problems: what could not be used and why, e.g. "Timestamp: 366 days before receipt".
    """

    VERSION: ClassVar[int] = 1

    call_sid: str
    account_sid: str
    kind: CallbackKind
    endpoint: str
    received_at: int
    params: Params
    campaign: str | None = None
    happened_at: int | None = None
    status: CallStatus | None = None
    sequence: int | None = None
    number: str | None = None
    contact: str | None = None
    direction: Direction = Direction.UNKNOWN
    parent_call_sid: str | None = None
    call_duration: int | None = None
    sip_code: int | None = None
    answered_by: str | None = None
    stir_status: str | None = None
    event_id: str | None = None
    tags: list[str] | None = None
    reached_agent: bool | None = None
    registration: NumberRegistration | None = None
    contact_details: ContactDetails | None = None
    problems: list[str] = []  # noqa: RUF012 - msgspec copies it
