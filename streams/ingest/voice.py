"""Requests about a call: status callbacks, machine verdicts, and the others that are kept and never counted."""

from __future__ import annotations

from schemas.call import Direction
from schemas.callback import Callback, CallbackKind, Params
from schemas.dead_letter import DeadLetter
from streams.ingest.kinds import kind_of
from streams.ingest.parameters import Reading
from streams.ingest.paths import Address
from streams.ingest.terms import Terms


def parties(reading: Reading, direction: Direction) -> tuple[str | None, str | None]:
    """Give the company's own number and the other party, as Direction has them; None where it does not say."""
    if direction is Direction.INBOUND:
        return reading.party("To"), reading.party("From")
    if direction is Direction.UNKNOWN:
        return None, None
    return reading.party("From"), reading.party("To")


def understand_call(
    address: Address,
    params: Params,
    received_at: int,
    terms: Terms,
    raw: bytes,
    *,
    kind: CallbackKind | None = None,
    event_id: str | None = None,
) -> Callback | DeadLetter:
    """Understand one request about a call.

    Args:
        address: where it came to.
        params: its parameters.
        received_at: when it came, in milliseconds since the epoch.
        terms: what settings and register say.
        raw: the request as it came, for the dead letter.
        kind: what the request is, where something better than its fields says so.
        event_id: the CloudEvent that carried it.

    Returns:
        the callback, or a dead letter if it names no call.
    """
    reading = Reading(params)
    if address.problem is not None:
        reading.problems.append(address.problem)
    call_sid = reading.short("CallSid")
    if call_sid is None:
        reason = next((problem for problem in reading.problems if problem.startswith("CallSid")), "CallSid: missing")
        return DeadLetter(source=address.endpoint.value, reason=reason, at=received_at, body=raw)
    if kind is None:
        kind = kind_of(address.endpoint, params)
    counted = kind is CallbackKind.STATUS
    summary = kind is CallbackKind.CALL_SUMMARY
    parent_call_sid = reading.short("ParentCallSid")
    direction = reading.direction("Direction", parent_call_sid)
    number, contact = parties(reading, direction)
    campaign = address.campaign
    register = terms.register
    if campaign is None and number is not None:
        campaign = register.campaign_of(number)
    return Callback(
        call_sid=call_sid,
        account_sid=reading.short("AccountSid") or "",
        kind=kind,
        endpoint=address.endpoint.value,
        campaign=campaign,
        received_at=received_at,
        happened_at=reading.moment("Timestamp", received_at, terms.past, terms.future),
        params=params,
        status=reading.status("CallStatus", summary=summary) if counted or summary else None,
        sequence=reading.count("SequenceNumber") if counted else None,
        number=number,
        contact=contact,
        direction=direction,
        parent_call_sid=parent_call_sid,
        call_duration=reading.count("CallDuration"),
        sip_code=reading.sip_code("SipResponseCode"),
        answered_by=reading.verdict("AnsweredBy"),
        stir_status=reading.stir_status(),
        event_id=event_id,
        # Only what is counted is judged by the register; verdicts and summaries would carry it for nothing.
        registration=register.registration_of(number, campaign) if counted and number is not None else None,
        contact_details=register.details_of(contact) if counted and contact is not None else None,
        reached_agent=_reached_agent(reading) if kind is CallbackKind.DIAL_ACTION else None,
        problems=reading.problems,
    )


def _reached_agent(reading: Reading) -> bool | None:
    """Whether a `<Dial>` that is over put the person through; None if it does not say."""
    status = reading.text("DialCallStatus")
    if status is None:
        return None
    if status.lower() not in {"completed", "answered"}:
        return False
    # An agent may have answered when the person was gone.
    return (reading.text("DialBridged") or "true").lower() != "false"
