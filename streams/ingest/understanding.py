"""From a request to records, without HTTP: the gateway, replayed lines and backfill all understand by this."""

from __future__ import annotations

from typing import TypeAlias

from schemas.callback import Callback, Params
from schemas.dead_letter import DeadLetter
from schemas.log import NewRecord
from schemas.opt_out import OptOut
from schemas.topics import CALLBACKS, DEADLETTERS, OPTOUTS
from streams.ingest.kinds import is_machine_verdict, is_status_callback
from streams.ingest.opt_outs import opt_out_on_call, understand_message
from streams.ingest.paths import Address, Endpoint
from streams.ingest.terms import Terms
from streams.ingest.voice import understand_call

Understood: TypeAlias = Callback | OptOut | DeadLetter


def understand(address: Address, params: Params, received_at: int, terms: Terms, raw: bytes = b"") -> list[Understood]:
    """Understand one request of Twilio's; never raises, whatever the parameters say.

    Args:
        address: where it came to; Event Streams have `cloud_events.understand_events`.
        params: its parameters as they came, blank ones too.
        received_at: when it came, in milliseconds since the epoch.
        terms: what settings and register say.
        raw: the request as it came, for a dead letter.

    Returns:
        what is to be kept; nothing for a message that is no opt-out.
    """
    of_a_call = address.endpoint is not Endpoint.MESSAGING or is_status_callback(params) or is_machine_verdict(params)
    if not of_a_call:
        return [*understand_message(address, params, received_at, terms, raw)]
    opt_out = opt_out_on_call(address, params, received_at, terms, raw) if address.endpoint is Endpoint.GATHER else None
    understood = understand_call(address, params, received_at, terms, raw)
    return [understood] if opt_out is None else [understood, opt_out]


def new_record(understood: Understood) -> NewRecord:
    """Make the log's record: callbacks keyed by CallSid, opt-outs by the person, dead letters without a key."""
    if isinstance(understood, Callback):
        return NewRecord(CALLBACKS.name, understood.call_sid.encode(), understood.encode())
    if isinstance(understood, OptOut):
        return NewRecord(OPTOUTS.name, understood.contact.encode(), understood.encode())
    return NewRecord(DEADLETTERS.name, None, understood.encode())
