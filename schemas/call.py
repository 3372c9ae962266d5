"""Facts about calls: the records of `calls`, `contacts`, `campaigns` and `accounts`."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from schemas.registration import ContactDetails, NumberRegistration
from schemas.wire import Versioned

UNASSIGNED = "unassigned"
"""The campaign of a call that neither its callback URL nor the register assigns to one."""


class CallStatus(StrEnum):
    """Twilio's CallStatus, as status callbacks send it."""

    QUEUED = "queued"
    INITIATED = "initiated"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"


TERMINAL = frozenset(
    {CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.FAILED, CallStatus.NO_ANSWER, CallStatus.CANCELED}
)


class Direction(StrEnum):
    """Who called whom, in Twilio's words."""

    INBOUND = "inbound"
    OUTBOUND_API = "outbound-api"
    OUTBOUND_DIAL = "outbound-dial"
    UNKNOWN = "unknown"


class Disposition(StrEnum):
    """How a call ended, one value a call.

    `human`, `machine` and `answered` (nobody said which) are answers. `invalid` is SIP 404, 410, 484 or 604; `blocked`
    is 603, 607 or 608, whatever the status. `not_placed` failed without a SIP code and never left Twilio. `unfinished`
    never told of its end.
    """

    HUMAN = "human"
    MACHINE = "machine"
    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    FAILED = "failed"
    CANCELED = "canceled"
    INVALID = "invalid"
    BLOCKED = "blocked"
    NOT_PLACED = "not_placed"
    UNFINISHED = "unfinished"


ANSWERS = frozenset({Disposition.HUMAN, Disposition.MACHINE, Disposition.ANSWERED})
SEIZURES = ANSWERS | {
    Disposition.BUSY,
    Disposition.NO_ANSWER,
    Disposition.FAILED,
    Disposition.INVALID,
    Disposition.BLOCKED,
}
"""The ended calls that reached the network and were left to ring: the denominator of ASR."""


class FactKind(StrEnum):
    """`placed` and `ended` come once a call; `revised` whenever a later callback changes what was said.

    Two kinds are no facts of a call. `opted_out` goes to `campaigns` alone: somebody asked for its calls to end.
    `quiet` goes to `accounts` alone: a partition of `callbacks` brought nothing up to that time.
    """

    PLACED = "placed"
    ENDED = "ended"
    REVISED = "revised"
    OPTED_OUT = "opted_out"
    QUIET = "quiet"


class Contribution(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one call adds to rolling counts: an attempt when it was placed, an outcome when it ended.

    Attributes:
        attempted_at: when the attempt counts, in milliseconds since the epoch.
        ended_at: when the outcome counts; None while the call lasts.
        disposition: the outcome; None while the call lasts.
        talk_seconds: from answer to end; 0 if unanswered, None if unknown.
        ring_seconds: from ringing to answer or end; None if unknown.
        silent: whether Voice Insights heard silence on it; None until it has told of the call.
        reached_agent: whether a person who answered was put through to an agent; None if no `<Dial>` told.
    """

    attempted_at: int
    ended_at: int | None = None
    disposition: Disposition | None = None
    talk_seconds: int | None = 0
    ring_seconds: int | None = None
    silent: bool | None = None
    reached_agent: bool | None = None


class Origin(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """The callback a fact was made from: its partition and offset in `callbacks`, and the fact's place among its own.

    Facts of one partition carry ascending origins; one that does not ascend has been seen before.
    """

    partition: int
    offset: int
    index: int


class CallFact(Versioned, frozen=True, kw_only=True):
    """One thing that became known about one call.

    Attributes:
        fact: placed, ended or revised.
        revision: 0 for the first fact of the call, then one more each; the highest is the latest word.
        origin: the callback that caused it.
        at: event time of the latest it tells: the end, else the attempt; of callbacks that never came, when none was
            waited for any more; in milliseconds since the epoch.
        number: the company's own number (the caller of an outbound call).
        contact: the other party.
        counted: whether windows and rules count it: an outbound leg that the settings choose.
        before: what the call added to the rolling counts until now; None for the first fact.
        after: what it adds from now on.
        status: Twilio's last word; None if the call never told of its end.
        answered_by: Twilio's AnsweredBy as it came; None without a verdict.
        sip_code: the final SIP response; None if Twilio named none.
        stir_status: A, B or C; None if unavailable.
        placed_at: when Twilio started the call; None if no callback told.
        answered_at: when it was answered; None if it was not, or no callback told.
        ended_at: when it ended; None while it lasts, or if no usable time came.
        ring_seconds: seconds of ringing; None if unknown.
        talk_seconds: seconds from answer to end; None if unknown.
        registration: what the register says about number and campaign; None where there is no register.
        contact_details: what it says about the contact; None if it does not know the person.
        missing_callbacks: status callbacks of the call that never came, by the gaps in their sequence numbers, told to
            its account once none is waited for any more; 0 before, and None if no sequence numbers came.
    """

    VERSION: ClassVar[int] = 1

    fact: FactKind
    revision: int
    origin: Origin
    at: int
    call_sid: str
    account_sid: str
    number: str
    contact: str
    campaign: str
    direction: Direction
    parent_call_sid: str | None = None
    counted: bool
    before: Contribution | None = None
    after: Contribution
    status: CallStatus | None = None
    answered_by: str | None = None
    sip_code: int | None = None
    stir_status: str | None = None
    placed_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    ring_seconds: int | None = None
    talk_seconds: int | None = None
    registration: NumberRegistration | None = None
    contact_details: ContactDetails | None = None
    missing_callbacks: int | None = None
