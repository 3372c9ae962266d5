"""Traffic from a scenario and a seed: the same two give the same bytes, on every machine and Python."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.times import HOUR, from_iso, hour_of_week
from streams.ingest.simulator.attempts import Attempt, place_attempts
from streams.ingest.simulator.bodies import leg_params
from streams.ingest.simulator.callers import Caller
from streams.ingest.simulator.calls import place_call
from streams.ingest.simulator.delivery import Delivery
from streams.ingest.simulator.draws import digest, exponential
from streams.ingest.simulator.fleet import build_fleet, contact, exchange_of, neighbor_contact
from streams.ingest.simulator.incidents import changes_by_number
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.opt_outs import Script, write_scripts
from streams.ingest.simulator.register import write_register
from streams.ingest.simulator.requests import Requests
from streams.ingest.simulator.scenario import Scenario
from streams.ingest.simulator.traffic import STEP, Clock, Levels, answer_odds, calls_per_hour
from streams.ingest.simulator.truth import Truth
from streams.ingest.simulator.twists import twisted

DEFAULT_END = from_iso("2026-11-23T14:00:00Z")
"""Where a simulation ends unless told otherwise: a Monday, one hour into the working day of the fleet."""


def default_end(scenario: Scenario) -> int:
    """Where a scenario ends by default: then, or before it at the hour of the week that the scenario takes it for."""
    if scenario.end_of_week_hour is None:
        return DEFAULT_END
    return DEFAULT_END - (hour_of_week(DEFAULT_END) - scenario.end_of_week_hour) % 168 * HOUR


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
        self._fleet = fleet = build_fleet(scenario, seed)
        self.numbers = {numbers[0].campaign.name: tuple(n.number for n in numbers) for numbers in fleet if numbers}
        self._clock = Clock(scenario, ending_at)
        self._levels = Levels(scenario, seed)
        changes, self._incidents = changes_by_number(scenario, fleet, seed, ending_at)
        self._callers = [
            Caller(number, seed, changes.get(number.number, ()), scenario.contacts_per_number)
            for group in fleet
            for number in group
        ]
        # Who calls whom from next door: by campaign and exchange, for campaigns whose numbers lie where the people are.
        self._neighbors = {
            (number.campaign.name, exchange_of(number.number)): number
            for group in fleet
            for number in group
            if number.campaign.neighbors
        }
        self._scripts = write_scripts(scenario, fleet, seed, ending_at)
        self._attempts, forbidden = place_attempts(scenario, fleet, seed, ending_at)
        self._incidents += forbidden
        self._delivery = Delivery(scenario.transport)
        self._requests = Requests(scenario, seed, ending_at, self._delivery, self._incidents)
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
            calls=self._requests.calls,
            callbacks=self._delivery.delivered,
            duplicates=self._delivery.duplicates,
            lost=self._delivery.lost,
            false_alarms=self.scenario.false_alarms,
        )

    def register(self) -> bytes:
        """The register that the company would keep of its numbers, as TOML."""
        return write_register(self.scenario, self._fleet, self.seed, self.starts_at, self.ends_at)

    def _run(self) -> Iterator[Line]:
        scripts, attempts = list(self._scripts), list(self._attempts)
        for step in range(self.starts_at, self.ends_at, STEP):
            until = min(step + STEP, self.ends_at)
            for caller in self._callers:
                self._call(caller, step, until)
            while scripts and scripts[0].begins_at < until:
                self._play(scripts.pop(0))
            while attempts and attempts[0].call.placed_at < until:
                self._attempt(attempts.pop(0))
            yield from self._delivery.received_before(until)

    def _call(self, caller: Caller, step: int, until: int) -> None:
        number, draw = caller.number, caller.draw
        rate = calls_per_hour(number, step, self._clock, self._levels, caller.changes)
        if rate == 0.0:
            return
        campaign = number.campaign
        odds = answer_odds(number, step, self._clock, self._levels, caller.changes)
        labelled = any(change.labelled and change.holds(step) for change in caller.changes)
        twist = caller.twist(step)
        at = step + exponential(draw, HOUR / rate)
        while at < until:
            call = place_call(draw, self.scenario, int(at), odds, campaign.machine_share, labelled=labelled)
            call = twisted(call, twist, caller.faults)
            turn, place = caller.next_turn()
            person = (neighbor_contact if campaign.neighbors else contact)(number.first_contact + place)
            call_sid = "CA" + digest(self.seed, number.number, turn).hex()
            from_number = number
            if twist.from_neighbors:
                from_number = self._neighbors.get((campaign.name, exchange_of(person[0])), number)
            called_for = campaign
            if twist.calls_for is not None and caller.faults() < twist.calls_for_share:
                called_for = self.scenario.campaigns[twist.calls_for]
            leg = leg_params(self.scenario.account_sid, call_sid, from_number, person)
            if self._requests.send(caller, from_number, called_for, call_sid, call, leg, twist):
                # A dialer takes off its list who is not there, or does not want to be called.
                caller.dropped.add(place)
            at += exponential(draw, HOUR / rate)

    def _play(self, script: Script) -> None:
        if script.call is not None:
            sid, call = script.call
            self._requests.send_status(script.draw, script.number, script.number.campaign, sid, call, script.leg)
        # What is injected must be there to be found.
        received_at = self._delivery.send(script.draw, script.said_at, script.path, script.params, may_be_lost=False)
        if received_at < self.ends_at:
            self._incidents.append(script.incident(received_at))

    def _attempt(self, attempt: Attempt) -> None:
        number = attempt.number
        self._requests.send_status(
            attempt.draw, number, number.campaign, attempt.call_sid, attempt.call, attempt.leg, may_be_lost=False
        )


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
