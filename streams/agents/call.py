"""One call as its callbacks tell it: merged in any order, read as one.

Callbacks of a call come out of order, twice or never. `merge` is therefore commutative and idempotent: whatever the
order, the same set of callbacks gives the same call. What is not known stays None.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.call import (
    TERMINAL,
    UNASSIGNED,
    CallStatus,
    Contribution,
    Direction,
    Disposition,
)
from schemas.callback import Callback, CallbackKind
from schemas.registration import ContactDetails, NumberRegistration

INVALID_NUMBER_CODES: Final = frozenset({404, 410, 484, 604})
BLOCKED_CODES: Final = frozenset({603, 607, 608})
_UNREACHABLE = 480  # "temporarily unavailable": rang out, though Twilio calls it failed

# Voice Insights' tag.
_SILENCE = "silence"
# A call has four; more would be somebody's play with the state's size.
_MOST_SEQUENCES = 60

# Which source is believed when two name an end: a status callback over the summary that comes half an hour later.
_STATUS_RANK = 1
_SUMMARY_RANK = 0


class Terminal(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """How and when a call ended, by one callback.

    Attributes:
        rank: how far its source is believed.
        sequence: SequenceNumber; -1 without one.
        at: event time: Twilio's time, else the time of receipt.
        ended_at: Twilio's time; None if it was unusable.
    """

    rank: int
    sequence: int
    at: int
    status: CallStatus
    ended_at: int | None
    duration: int | None
    sip_code: int | None


class Verdict(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    """Who answered, by one callback; a definite word beats "unknown", the latest received beats the earlier."""

    definite: bool
    received_at: int
    answered_by: str


class Known(msgspec.Struct, gc=False, array_like=True):
    """What is known of a call, merged from its callbacks.

    Attributes:
        first_at: event time of the earliest status callback; None before one came.
        last_at: event time of the latest callback of any kind.
        closed_at: when the call was closed because it had been silent too long; None if it was not.
        silent: whether Voice Insights heard silence; None until it told.
        reached_agent: whether a `<Dial>` put the person through; None until one told.
        registered_at: receipt of the callback that brought the latest word of the register, and that word.
        sequences: the sequence numbers of its status callbacks as bits.
    """

    account_sid: str = ""
    number: str | None = None
    contact: str | None = None
    campaign: str | None = None
    direction: Direction = Direction.UNKNOWN
    parent_call_sid: str | None = None
    first_at: int | None = None
    last_at: int = 0
    initiated_at: int | None = None
    ringing_at: int | None = None
    picked_up_at: int | None = None
    terminal: Terminal | None = None
    verdict: Verdict | None = None
    stir_status: str | None = None
    summary_sip_code: int | None = None
    closed_at: int | None = None
    silent: bool | None = None
    reached_agent: bool | None = None
    registered_at: int = 0
    registration: NumberRegistration | None = None
    contact_details: ContactDetails | None = None
    sequences: int = 0


class Reading(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A call as it reads now; the fields are those of `schemas.call.CallFact`."""

    contribution: Contribution
    status: CallStatus | None
    answered_by: str | None
    sip_code: int | None
    stir_status: str | None
    placed_at: int | None
    answered_at: int | None
    ended_at: int | None
    ring_seconds: int | None
    talk_seconds: int | None


def event_time(callback: Callback) -> int:
    """When a callback counts: Twilio's time where it is usable, else the time of receipt."""
    return callback.received_at if callback.happened_at is None else callback.happened_at


def merge(known: Known, callback: Callback) -> None:
    """Add what a callback tells. Commutative and idempotent."""
    at = event_time(callback)
    known.last_at = max(known.last_at, at)
    # Callbacks of one call mostly repeat each other, here and below: what is known already needs no merging.
    if callback.account_sid and callback.account_sid != known.account_sid:
        known.account_sid = _smaller(known.account_sid or None, callback.account_sid)
    if callback.answered_by is not None:
        verdict = Verdict(callback.answered_by != "unknown", callback.received_at, callback.answered_by)
        known.verdict = verdict if known.verdict is None else max(known.verdict, verdict)
    if callback.kind is CallbackKind.STATUS:
        if callback.registration is not None or callback.contact_details is not None:
            _merge_registration(known, callback)
        _merge_status(known, callback, at)
    elif callback.kind is CallbackKind.CALL_SUMMARY:
        _merge_summary(known, callback, at)
    elif callback.reached_agent is not None:
        # Of several attempts to put somebody through, one that succeeds is enough.
        known.reached_agent = known.reached_agent or callback.reached_agent


def _merge_summary(known: Known, callback: Callback, at: int) -> None:
    if callback.tags is not None:
        known.silent = known.silent or _SILENCE in callback.tags
    if callback.sip_code is not None:
        known.summary_sip_code = _earlier(known.summary_sip_code, callback.sip_code)
    if callback.status in TERMINAL:
        _merge_terminal(known, callback, at, _SUMMARY_RANK)


def _merge_status(known: Known, callback: Callback, at: int) -> None:
    known.first_at = _earlier(known.first_at, at)
    campaign, number, contact = callback.campaign, callback.number, callback.contact
    if campaign is not None and campaign != known.campaign:
        # Only status callbacks: their URL names the campaign, others may come to a URL without one.
        known.campaign = _smaller(known.campaign, campaign)
    if number is not None and number != known.number:
        known.number = _smaller(known.number, number)
    if contact is not None and contact != known.contact:
        known.contact = _smaller(known.contact, contact)
    if callback.direction is not known.direction and callback.direction is not Direction.UNKNOWN:
        untold = known.direction is Direction.UNKNOWN
        known.direction = callback.direction if untold else min(known.direction, callback.direction)
    if callback.parent_call_sid is not None:
        known.parent_call_sid = _smaller(known.parent_call_sid, callback.parent_call_sid)
    if callback.stir_status is not None and callback.stir_status != known.stir_status:
        known.stir_status = _smaller(known.stir_status, callback.stir_status)
    _merge_progress(known, callback, at)


def _merge_registration(known: Known, callback: Callback) -> None:
    """Keep the word of the callback that came first: rules look at a call when it is placed."""
    if known.registered_at and callback.received_at >= known.registered_at:
        if callback.received_at > known.registered_at:
            return
        # Two came at once: which of them wins must not depend on their order.
        held = str((known.registration, known.contact_details))
        if str((callback.registration, callback.contact_details)) >= held:
            return
    known.registered_at = callback.received_at
    known.registration = callback.registration
    known.contact_details = callback.contact_details


def missing_callbacks(known: Known) -> int:
    """How many status callbacks of a call that has ended never came, by the gaps in their sequence numbers.

    Twilio counts the callbacks that were asked for, from 0, for each leg.
    """
    return known.sequences.bit_length() - known.sequences.bit_count()


def _merge_progress(known: Known, callback: Callback, at: int) -> None:
    status, sequence = callback.status, callback.sequence
    if sequence is not None and sequence < _MOST_SEQUENCES:
        known.sequences |= 1 << sequence
    if status in TERMINAL:
        _merge_terminal(known, callback, at, _STATUS_RANK)
    elif callback.happened_at is not None:
        _merge_step(known, status, callback.happened_at)


def _merge_step(known: Known, status: CallStatus | None, at: int) -> None:
    if status is CallStatus.INITIATED or status is CallStatus.QUEUED:
        known.initiated_at = _earlier(known.initiated_at, at)
    elif status is CallStatus.RINGING:
        known.ringing_at = _earlier(known.ringing_at, at)
    elif status is CallStatus.IN_PROGRESS:
        known.picked_up_at = _earlier(known.picked_up_at, at)


def _merge_terminal(known: Known, callback: Callback, at: int, rank: int) -> None:
    assert callback.status is not None
    told = Terminal(
        rank=rank,
        sequence=-1 if callback.sequence is None else callback.sequence,
        at=at,
        status=callback.status,
        ended_at=callback.happened_at,
        duration=callback.call_duration,
        sip_code=callback.sip_code,
    )
    if known.terminal is None or _precedence(told) > _precedence(known.terminal):
        known.terminal = told


def _precedence(terminal: Terminal) -> tuple[int, int, int, str, int, int, int]:
    # The whole content takes part, so that which of two wins never depends on which came first.
    return (
        terminal.rank,
        terminal.sequence,
        terminal.at,
        terminal.status.value,
        -1 if terminal.ended_at is None else terminal.ended_at,
        -1 if terminal.duration is None else terminal.duration,
        -1 if terminal.sip_code is None else terminal.sip_code,
    )


def _smaller(known: str | None, told: str) -> str:
    return told if known is None else min(known, told)


def _earlier(known: int | None, told: int) -> int:
    return told if known is None else min(known, told)


def campaign_of(known: Known) -> str:
    """The campaign the call belongs to; `unassigned` if nobody said."""
    return known.campaign or UNASSIGNED


def read(known: Known) -> Reading:
    """Read a call whose `first_at` is known as it stands."""
    assert known.first_at is not None
    terminal = known.terminal
    answered_by = known.verdict.answered_by if known.verdict else None
    placed_at = known.ringing_at if known.initiated_at is None else known.initiated_at
    if terminal is None:
        return Reading(
            contribution=Contribution(
                attempted_at=known.first_at,
                ended_at=known.closed_at,
                disposition=None if known.closed_at is None else Disposition.UNFINISHED,
            ),
            status=None,
            answered_by=answered_by,
            sip_code=None,
            stir_status=known.stir_status,
            placed_at=placed_at,
            answered_at=known.picked_up_at,
            ended_at=None,
            ring_seconds=None,
            talk_seconds=None,
        )
    sip_code = known.summary_sip_code if terminal.sip_code is None else terminal.sip_code
    answered_at, talk_seconds = _talk(known, terminal)
    rang_until = answered_at if terminal.status is CallStatus.COMPLETED else terminal.ended_at
    ring_seconds = _seconds(known.ringing_at, rang_until)
    return Reading(
        contribution=Contribution(
            attempted_at=known.first_at,
            ended_at=terminal.at,
            disposition=disposition_of(terminal.status, sip_code, answered_by),
            talk_seconds=talk_seconds,
            ring_seconds=ring_seconds,
            silent=known.silent,
            reached_agent=known.reached_agent,
        ),
        status=terminal.status,
        answered_by=answered_by,
        sip_code=sip_code,
        stir_status=known.stir_status,
        placed_at=placed_at,
        answered_at=answered_at,
        ended_at=terminal.ended_at,
        ring_seconds=ring_seconds,
        talk_seconds=talk_seconds,
    )


def _talk(known: Known, terminal: Terminal) -> tuple[int | None, int | None]:
    if terminal.status is not CallStatus.COMPLETED:
        return None, 0
    answered_at = known.picked_up_at
    duration = terminal.duration
    if answered_at is None and duration is not None and terminal.ended_at is not None:
        answered_at = terminal.ended_at - duration * 1_000
    if duration is None:
        duration = _seconds(answered_at, terminal.ended_at)
    return answered_at, duration


def _seconds(start: int | None, end: int | None) -> int | None:
    if start is None or end is None or end < start:
        return None
    return (end - start) // 1_000


def disposition_of(status: CallStatus, sip_code: int | None, answered_by: str | None) -> Disposition:  # noqa: PLR0911 - a table
    """Class a terminal status, its SIP code and the machine verdict.

    Neither is derived from the other: Twilio sends `busy` with 487, and carriers block with 603 under several statuses.

    >>> disposition_of(CallStatus.COMPLETED, 200, "machine_start").value
    'machine'
    >>> disposition_of(CallStatus.FAILED, None, None).value
    'not_placed'
    """
    if status is CallStatus.COMPLETED:
        if answered_by == "human":
            return Disposition.HUMAN
        if answered_by is not None and (answered_by.startswith("machine") or answered_by == "fax"):
            return Disposition.MACHINE
        return Disposition.ANSWERED
    if status is CallStatus.CANCELED:
        return Disposition.CANCELED
    if sip_code in BLOCKED_CODES:
        return Disposition.BLOCKED
    if sip_code in INVALID_NUMBER_CODES:
        return Disposition.INVALID
    if status is CallStatus.BUSY:
        return Disposition.BUSY
    if status is CallStatus.NO_ANSWER or sip_code == _UNREACHABLE:
        return Disposition.NO_ANSWER
    return Disposition.NOT_PLACED if sip_code is None else Disposition.FAILED
