"""Calls to one person at set times that a rule forbids: too early, too often, or from too many numbers."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import CallStatus
from schemas.times import SECOND
from streams.ingest.simulator.bodies import Contact, Params, leg_params
from streams.ingest.simulator.calls import Call, unanswered
from streams.ingest.simulator.draws import Draw, between, digest, lognormal, stream
from streams.ingest.simulator.faults import Attempts, Whom
from streams.ingest.simulator.fleet import Number, kept_contact, pacific_contact
from streams.ingest.simulator.incidents import Fleet, turned
from streams.ingest.simulator.scenario import Scenario
from streams.ingest.simulator.truth import Incident


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One of the calls.

    Attributes:
        number: who calls.
        contact: who is called.
        draw: the person's stream.
        call_sid: of the call.
        call: how it goes.
        leg: what its requests carry.
    """

    number: Number
    contact: Contact
    draw: Draw
    call_sid: str
    call: Call
    leg: Params


def place_attempts(scenario: Scenario, fleet: Fleet, seed: int, ending_at: int) -> tuple[list[Attempt], list[Incident]]:
    """Set the scenario's attempts on the clock.

    Returns:
        The calls in the order they are placed, and what is true.
    """
    placed: list[Attempt] = []
    incidents = []
    for index, attempts in enumerate(scenario.attempts):
        contact = whom(scenario, index)
        draw = stream(seed, "attempts", contact[0])
        for turn, (starts, position) in enumerate(zip(attempts.starts, attempts.numbers, strict=True)):
            number = turned(fleet[attempts.campaign], position, seed)
            call_sid = "CA" + digest(seed, "attempts", contact[0], turn).hex()
            call = _unanswered(draw, ending_at - starts, invalid=attempts.invalid)
            leg = leg_params(scenario.account_sid, call_sid, number, contact)
            placed.append(Attempt(number=number, contact=contact, draw=draw, call_sid=call_sid, call=call, leg=leg))
        onset = ending_at - attempts.starts[attempts.breach]
        incidents.append(_incident(attempts, contact, onset))
    return sorted(placed, key=lambda attempt: attempt.call.placed_at), incidents


def whom(scenario: Scenario, index: int) -> Contact:
    """The person of the index-th attempts."""
    if scenario.attempts[index].whom is Whom.PACIFIC:
        return pacific_contact(index)
    return kept_contact(scenario, len(scenario.opt_outs) + index)


def _unanswered(draw: Draw, placed_at: int, *, invalid: bool) -> Call:
    rang_at = placed_at + int(lognormal(draw, 1.8, 0.4) * SECOND)
    seconds = int(between(draw, 30.1, 31.0) * SECOND)
    if invalid:
        return unanswered(placed_at, None, rang_at, CallStatus.FAILED, "404")
    return unanswered(placed_at, rang_at, rang_at + seconds, CallStatus.NO_ANSWER, "487")


def _incident(attempts: Attempts, contact: Contact, onset: int) -> Incident:
    return Incident(
        rule=attempts.rule,
        subject=Subject(SubjectKind.CONTACT, contact[0]),
        onset=onset,
        end=None,
        note=attempts.note,
        tolerance=attempts.tolerance,
        also=attempts.also,
        touches=(contact[0],),
    )
