"""Traffic from a scenario and a seed: the same two give the same bytes, on every machine and Python."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from schemas.times import HOUR, from_iso
from streams.ingest.simulator.bodies import Params, leg_params, machine_verdict, status_callbacks
from streams.ingest.simulator.calls import Call, place_call
from streams.ingest.simulator.delivery import Delivery
from streams.ingest.simulator.draws import Draw, digest, exponential, stream
from streams.ingest.simulator.fleet import Number, build_fleet, contact
from streams.ingest.simulator.incidents import Change, changes_by_number
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.opt_outs import Script, write_scripts
from streams.ingest.simulator.scenario import Scenario
from streams.ingest.simulator.traffic import STEP, Clock, Levels, answer_odds, calls_per_hour
from streams.ingest.simulator.truth import Truth

DEFAULT_END = from_iso("2026-11-23T14:00:00Z")
"""Where a simulation ends unless told otherwise: a Monday, one hour into the working day of the fleet."""


class Simulation:
    """One run of a scenario: its lines, once, and then its truth.

    Args:
        scenario: what is simulated.
        seed: any whole number.
        ending_at: the moment it is cut off, in milliseconds since the epoch; no line is received then or later.

    Attributes:
        starts_at: its first moment: the full hour before past and stretch.
        stretch_from: where the past ends and the stretch with the incidents begins.
        ends_at: the moment it is cut off.
        numbers: the company's numbers by campaign.

    Raises:
        ValueError: the fleet needs more numbers or contacts than the numbering plan keeps free of people.
    """

    def __init__(self, scenario: Scenario, seed: int, ending_at: int = DEFAULT_END) -> None:
        self.scenario = scenario
        self.seed = seed
        self.ends_at = ending_at
        self.stretch_from = ending_at - scenario.stretch
        self.starts_at = (self.stretch_from - scenario.past) // HOUR * HOUR
        fleet = build_fleet(scenario, seed)
        self.numbers = {numbers[0].campaign.name: tuple(n.number for n in numbers) for numbers in fleet if numbers}
        self._clock = Clock(scenario, ending_at)
        self._levels = Levels(scenario, seed)
        changes, self._incidents = changes_by_number(scenario, fleet, seed, ending_at)
        self._callers = [_Caller(number, seed, changes.get(number.number, ())) for group in fleet for number in group]
        self._scripts = write_scripts(scenario, fleet, seed, ending_at)
        self._delivery = Delivery(scenario.transport)
        self._calls = 0
        self._lines = self._run()

    def lines(self) -> Iterator[Line]:
        """Give the lines in order of receipt; each is given once, and what lies ahead takes no memory."""
        return self._lines

    def truth(self) -> Truth:
        """Tell what was injected and sent; runs what is left of the lines first."""
        for _ in self._lines:
            pass
        return Truth(
            scenario=self.scenario.name,
            seed=self.seed,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            incidents=tuple(sorted(self._incidents, key=lambda incident: (incident.onset, incident.subject))),
            calls=self._calls,
            callbacks=self._delivery.delivered,
            duplicates=self._delivery.duplicates,
            lost=self._delivery.lost,
        )

    def _run(self) -> Iterator[Line]:
        scripts = list(self._scripts)
        for step in range(self.starts_at, self.ends_at, STEP):
            until = min(step + STEP, self.ends_at)
            for caller in self._callers:
                self._call(caller, step, until)
            while scripts and scripts[0].begins_at < until:
                self._play(scripts.pop(0))
            yield from self._delivery.received_before(until)

    def _call(self, caller: _Caller, step: int, until: int) -> None:
        number, draw = caller.number, caller.draw
        rate = calls_per_hour(number, step, self._clock, self._levels, caller.changes)
        if rate == 0.0:
            return
        campaign = number.campaign
        odds = answer_odds(number, step, self._clock, self._levels, caller.changes)
        labelled = any(change.odds < 1.0 and change.holds(step) for change in caller.changes)
        at = step + exponential(draw, HOUR / rate)
        while at < until:
            call = place_call(draw, self.scenario, int(at), odds, campaign.machine_share, labelled=labelled)
            turn = next(caller.turns)
            person = contact(number.first_contact + turn % self.scenario.contacts_per_number)
            call_sid = "CA" + digest(self.seed, number.number, turn).hex()
            self._send(draw, number, call_sid, call, leg_params(self.scenario.account_sid, call_sid, number, person))
            at += exponential(draw, HOUR / rate)

    def _send(self, draw: Draw, number: Number, call_sid: str, call: Call, leg: Params) -> None:
        self._calls += 1
        path = f"/twilio/voice/{number.campaign.name}"
        for happened_at, params in status_callbacks(call, number, leg):
            self._delivery.send(draw, happened_at, path, params)
        verdict = machine_verdict(call, self.scenario.account_sid, call_sid)
        if verdict is not None:
            self._delivery.send(draw, verdict[0], "/twilio/amd", verdict[1])

    def _play(self, script: Script) -> None:
        if script.call is not None:
            self._send(script.draw, script.number, script.call[0], script.call[1], script.leg)
        # What is injected must be there to be found.
        received_at = self._delivery.send(script.draw, script.said_at, script.path, script.params, may_be_lost=False)
        if received_at < self.ends_at:
            self._incidents.append(script.incident(received_at))


class _Caller:
    """A number at work: its stream of draws, its changes and how many people it has called."""

    def __init__(self, number: Number, seed: int, changes: tuple[Change, ...]) -> None:
        self.number = number
        self.changes = changes
        self.draw = stream(seed, "calls", number.number)
        self.turns = count()


def simulate(scenario: Scenario, seed: int, ending_at: int = DEFAULT_END) -> Iterator[Line]:
    """Give the lines of a scenario in order of receipt.

    Raises:
        ValueError: the fleet needs more numbers or contacts than the numbering plan keeps free of people.
    """
    return Simulation(scenario, seed, ending_at).lines()


def truth(scenario: Scenario, seed: int, ending_at: int = DEFAULT_END) -> Truth:
    """Tell what a scenario injects and sends.

    Raises:
        ValueError: the fleet needs more numbers or contacts than the numbering plan keeps free of people.
    """
    return Simulation(scenario, seed, ending_at).truth()
