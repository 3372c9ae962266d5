"""The injected opt-outs: each with a person of its own, whom nobody calls again."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.times import SECOND
from streams.ingest.simulator.bodies import (
    Contact,
    Params,
    gathered,
    leg_params,
    message,
)
from streams.ingest.simulator.calls import Call, place_conversation
from streams.ingest.simulator.draws import Draw, digest, stream
from streams.ingest.simulator.fleet import Number, kept_contact
from streams.ingest.simulator.incidents import Fleet, turned
from streams.ingest.simulator.scenario import OptOut, Scenario, Signal
from streams.ingest.simulator.truth import Incident

# A person hears what it is about before saying stop: this long after the answer.
_SECONDS_INTO_THE_CALL = 8
_SPOKEN = "Please stop calling me."

_NOTES = {
    Signal.OPT_OUT_TYPE: "a message that Advanced Opt-Out took for a STOP",
    Signal.STOP_WORD: "a message of the bare word stop",
    Signal.DTMF: "the key 9 on a call",
    Signal.SPEECH: f"the words {_SPOKEN!r} on a call",
}


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """One opt-out, set on the clock.

    Attributes:
        begins_at: when its first request is made, in milliseconds since the epoch.
        said_at: when the person says stop.
        number: whom the person says it to.
        contact: the person.
        draw: its stream.
        call: the call on which it is said, with its sid; None for a message.
        leg: what the call's requests carry.
        path: where the opt-out's request goes.
        params: the opt-out's request.
        note: how it was said.
    """

    begins_at: int
    said_at: int
    number: Number
    contact: Contact
    draw: Draw
    call: tuple[str, Call] | None
    leg: Params
    path: str
    params: Params
    note: str

    def incident(self, received_at: int) -> Incident:
        """What is true of it once it is known when its request was received."""
        subject = Subject(SubjectKind.CONTACT, self.contact[0])
        return Incident(rule="opt_out", subject=subject, onset=received_at, end=None, note=self.note)


def write_scripts(scenario: Scenario, fleet: Fleet, seed: int, ending_at: int) -> list[Script]:
    """Set the scenario's opt-outs on the clock, in the order they begin."""
    scripts = []
    for index, opt_out in enumerate(scenario.opt_outs):
        number = turned(fleet[opt_out.campaign], opt_out.number, seed)
        contact = kept_contact(scenario, index)
        scripts.append(_script(scenario.account_sid, opt_out, seed, number, contact, ending_at - opt_out.starts))
    return sorted(scripts, key=lambda script: script.begins_at)


def _script(account_sid: str, opt_out: OptOut, seed: int, number: Number, contact: Contact, at: int) -> Script:
    draw = stream(seed, "opt-out", contact[0])
    sid = digest(seed, "opt-out", contact[0], "sid").hex()
    leg: Params = {}
    call = None
    said_at = at
    if opt_out.signal in {Signal.DTMF, Signal.SPEECH}:
        conversation = place_conversation(draw, at, least_seconds=_SECONDS_INTO_THE_CALL)
        call = ("CA" + sid, conversation)
        leg = leg_params(account_sid, call[0], number, contact)
        said_at = (conversation.answered_at or at) + _SECONDS_INTO_THE_CALL * SECOND
        path = "/twilio/gather"
        params = gathered(leg, digits="9") if opt_out.signal is Signal.DTMF else gathered(leg, speech=_SPOKEN)
    else:
        path = "/twilio/messaging"
        body = "Stop" if opt_out.signal is Signal.STOP_WORD else "STOP"
        params = message(account_sid, "SM" + sid, number, contact, body)
        if opt_out.signal is Signal.OPT_OUT_TYPE:
            params["OptOutType"] = "STOP"
    return Script(
        begins_at=at,
        said_at=said_at,
        number=number,
        contact=contact,
        draw=draw,
        call=call,
        leg=leg,
        path=path,
        params=params,
        note=_NOTES[opt_out.signal],
    )
