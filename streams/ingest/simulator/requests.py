"""The requests of a call, put on their way: status callbacks, verdict, and what comes beside them."""

from __future__ import annotations

import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.call import TERMINAL
from schemas.times import SECOND
from streams.ingest.simulator.bodies import Params, gathered, machine_verdict, status_callbacks
from streams.ingest.simulator.callers import Caller
from streams.ingest.simulator.calls import Call
from streams.ingest.simulator.delivery import Delivery
from streams.ingest.simulator.draws import Draw, digest
from streams.ingest.simulator.faults import NONE, Twist
from streams.ingest.simulator.fleet import Number
from streams.ingest.simulator.followups import dial_action, summary
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.truth import Incident
from streams.ingest.simulator.twists import abandoned

# A person hears what it is about before saying stop, and hangs up a little later.
_STOPS_AFTER, _LEAST_TALK = 8 * SECOND, 10 * SECOND

_INVALID = "404"
_TERMINAL = frozenset(status.value for status in TERMINAL)


class Requests:
    """Sends what Twilio would send about calls.

    Args:
        scenario: what is simulated.
        seed: of the simulation.
        ends_at: its end, in milliseconds since the epoch.
        delivery: the way to the gateway.
        incidents: opt-outs said on calls are added to them.

    Attributes:
        calls: calls placed.
    """

    def __init__(
        self, scenario: Scenario, seed: int, ends_at: int, delivery: Delivery, incidents: list[Incident]
    ) -> None:
        self.calls = 0
        self._scenario = scenario
        self._seed = seed
        self._ends_at = ends_at
        self._delivery = delivery
        self._incidents = incidents

    def send(
        self, caller: Caller, number: Number, campaign: Campaign, call_sid: str, call: Call, leg: Params, twist: Twist
    ) -> bool:
        """Send all requests of a call.

        Args:
            caller: who made it, with its streams.
            number: the number it was made from.
            campaign: what it was made for.
            call_sid: its sid.
            call: how it went.
            leg: what its requests carry.
            twist: what is wrong.

        Returns:
            Whether the person should not be called again.
        """
        draw = caller.faults
        person = call.answered_at is not None and not call.machine
        reached = None
        if person and campaign.agents:
            share = self._scenario.abandoned_share if twist.abandoned is None else twist.abandoned
            reached = draw() >= share
            if not reached:
                call = abandoned(call, draw)
        self.send_status(caller.draw, number, campaign, call_sid, call, leg, twist=twist, faults=draw)
        if reached is not None:
            child = "CA" + digest(self._seed, "agent", call_sid).hex()
            at, params = dial_action(call, leg, child, reached=reached)
            self._delivery.send(draw, at, f"/twilio/voice/{campaign.name}", params)
        if campaign.insights and call.dialed:
            self._summarise(draw, call_sid, call, leg, twist)
        stops = person and reached is not False and self._stops(draw, call, leg, twist)
        return stops or call.sip_code == _INVALID

    def send_status(
        self,
        draw: Draw,
        number: Number,
        campaign: Campaign,
        call_sid: str,
        call: Call,
        leg: Params,
        *,
        twist: Twist = NONE,
        faults: Draw | None = None,
        may_be_lost: bool = True,
    ) -> None:
        """Send status callbacks and verdict of a call; the arguments are as in `send`."""
        self.calls += 1
        path = f"/twilio/voice/{campaign.name}"
        if twist.stir_status is not None:
            number = msgspec.structs.replace(number, stir_status=twist.stir_status)
        for happened_at, params in status_callbacks(call, number, leg):
            if twist.terminal_loss and faults is not None and _is_terminal(params) and faults() < twist.terminal_loss:
                self._delivery.lost += 1
                continue
            self._delivery.send(draw, happened_at, path, params, may_be_lost=may_be_lost)
        verdict = machine_verdict(call, self._scenario.account_sid, call_sid)
        if verdict is not None:
            self._delivery.send(draw, verdict[0], "/twilio/amd", verdict[1])

    def _summarise(self, draw: Draw, call_sid: str, call: Call, leg: Params, twist: Twist) -> None:
        share = self._scenario.silent_share if twist.silent is None else twist.silent
        silent = draw() < share and call.answered_at is not None
        event_id = "EZ" + digest(self._seed, "summary", call_sid).hex()
        at, event = summary(call, leg, event_id, draw, silent=silent)
        self._delivery.send(draw, at, "/twilio/events", {}, events=(event,))

    def _stops(self, draw: Draw, call: Call, leg: Params, twist: Twist) -> bool:
        """Let a person who answered say stop, or not; tell whether."""
        share = self._scenario.opt_out_share if twist.opt_outs is None else twist.opt_outs
        if share == 0.0 or call.answered_at is None or draw() >= share:
            return False
        if call.ended_at - call.answered_at < _LEAST_TALK:
            return False
        said_at = call.answered_at + _STOPS_AFTER
        params = gathered(leg, digits="9")
        received_at = self._delivery.send(draw, said_at, "/twilio/gather", params, may_be_lost=False)
        if received_at < self._ends_at:
            subject = Subject(SubjectKind.CONTACT, leg["To"])
            note = "the key 9 on a call"
            self._incidents.append(Incident(rule="opt_out", subject=subject, onset=received_at, end=None, note=note))
        return True


def _is_terminal(params: Params) -> bool:
    return params["CallStatus"] in _TERMINAL
