from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt

import pytest

from schemas.alert import SubjectKind
from schemas.times import DAY, HOUR, MINUTE, hour_of_week
from streams.ingest.simulator import DEFAULT_END, SCENARIOS, Line, Scenario, Simulation, Truth
from streams.ingest.simulator.draws import exponential, gamma, lognormal, normal, stream
from streams.ingest.simulator.traffic import WEEK

TERMINAL = {"completed", "busy", "no-answer", "failed", "canceled"}
SEIZURES = TERMINAL - {"canceled"}


def ended(lines: list[Line]) -> dict[str, Line]:
    """The terminal callback of each call."""
    return {line.params["CallSid"]: line for line in lines if line.params.get("CallStatus") in TERMINAL}


def seized(line: Line) -> bool:
    """Whether a call counts in the denominator of the answer rate."""
    return line.params["CallStatus"] in SEIZURES and "SipResponseCode" in line.params


def answer_share(lines: list[Line]) -> float:
    """Answers per seizure."""
    counted = [line for line in lines if seized(line)]
    return sum(line.params["CallStatus"] == "completed" for line in counted) / len(counted)


def within(share: float, expected: float, trials: int) -> bool:
    """Whether a share of trials is within five standard deviations of what is expected."""
    return abs(share - expected) < 5 * sqrt(expected * (1 - expected) / trials)


def test_losses_and_duplicates_come_at_their_rates(clean: tuple[list[Line], Truth]) -> None:
    """Callbacks are lost and repeated as often as the transport says, and the truth counts each."""
    lines, told = clean
    transport = SCENARIOS["clean"].transport
    seen = Counter(str(line.params) for line in lines)
    assert told.callbacks == len(lines)
    assert told.duplicates == len(lines) - len(seen)
    sent = len(seen) + told.lost
    assert within(told.duplicates / sent, transport.duplicate_share, sent)
    assert within(told.lost / sent, transport.loss_share, sent)


def test_sequence_gaps_show_the_losses(clean: tuple[list[Line], Truth]) -> None:
    """Calls whose end came but not all before it are as many as lost callbacks explain."""
    legs: dict[str, set[int]] = defaultdict(set)
    last: dict[str, int] = {}
    for line in clean[0]:
        if "SequenceNumber" in line.params:
            legs[line.params["CallSid"]].add(int(line.params["SequenceNumber"]))
            if line.params["CallStatus"] in TERMINAL:
                last[line.params["CallSid"]] = int(line.params["SequenceNumber"])
    gaps = sum(len(legs[sid]) <= sequence for sid, sequence in last.items())
    assert 0.3 * clean[1].lost < gaps <= clean[1].lost


def test_a_faultless_transport_loses_nothing(faultless_run: tuple[list[Line], Truth]) -> None:
    """With rates of zero each callback comes once, and every call but those cut off has its end."""
    lines, told = faultless_run
    assert told.lost == told.duplicates == 0
    assert len({str(line.params) for line in lines}) == len(lines)
    assert 0 <= told.calls - len(ended(lines)) < 20


def test_answer_rates_are_the_campaigns(clean: tuple[list[Line], Truth]) -> None:
    """Each campaign's share of answers is near its rate, whose noise from day to day is small."""
    calls = list(ended(clean[0]).values())
    for campaign in SCENARIOS["clean"].campaigns:
        own = [line for line in calls if line.path.endswith(campaign.name)]
        assert answer_share(own) == pytest.approx(campaign.answer_rate, abs=0.03)


def test_endings_have_their_codes(clean: tuple[list[Line], Truth]) -> None:
    """Every way for a call to end occurs, with the SIP codes it is seen with."""
    calls = ended(clean[0]).values()
    codes = Counter((line.params["CallStatus"], line.params.get("SipResponseCode")) for line in calls)
    assert set(codes) == {
        ("completed", "200"),
        ("no-answer", "487"),
        ("no-answer", "480"),
        ("no-answer", "603"),
        ("busy", "486"),
        ("busy", "487"),
        ("failed", "404"),
        ("failed", "603"),
        ("failed", "503"),
        ("failed", None),
        ("canceled", "487"),
    }
    scenario = SCENARIOS["clean"]
    assert within(codes["failed", None] / len(calls), scenario.unplaced_share, len(calls))
    assert within(codes["canceled", "487"] / len(calls), scenario.cancel_share, len(calls))
    assert codes["failed", "404"] > codes["failed", "603"] > 0


def test_machines_and_verdicts_have_their_shares(faultless: Scenario, faultless_run: tuple[list[Line], Truth]) -> None:
    """Of the answers, so many are detected, so many of them in a request of its own, and so many are machines."""
    lines = faultless_run[0]
    answered = [line.params for line in ended(lines).values() if line.params["CallStatus"] == "completed"]
    verdicts = [line.params["AnsweredBy"] for line in lines if line.path == "/twilio/amd"]
    told = [body["AnsweredBy"] for body in answered if "AnsweredBy" in body] + verdicts
    assert within(len(told) / len(answered), faultless.detection_share, len(answered))
    assert within(len(verdicts) / len(told), faultless.asynchronous_share, len(told))
    known = [verdict for verdict in told if verdict != "unknown"]
    machines = sum(verdict != "human" for verdict in known)
    assert within(machines / len(known), faultless.campaigns[0].machine_share, len(known))


def test_volume_follows_the_week(clean: tuple[list[Line], Truth]) -> None:
    """Numbers call in the hours of their week, about as often as they are told, and less on weekends."""
    lines, told = clean
    placed = [line.received_at for line in ended(lines).values()]
    # A call may end, and be told of, up to an hour and some after it was placed.
    assert all(
        WEEK[hour_of_week(at)] or WEEK[hour_of_week(at - HOUR)] or WEEK[hour_of_week(at - 2 * HOUR)] for at in placed
    )
    hours = range(told.starts_at, told.ends_at, HOUR)
    expected = sum(
        campaign.numbers * campaign.calls_per_day * WEEK[hour_of_week(hour)]
        for campaign in SCENARIOS["clean"].campaigns
        for hour in hours
    )
    assert told.calls == pytest.approx(expected, rel=0.12)
    assert sum(WEEK) == pytest.approx(5.7)


def collapsed_shares(name: str, seed: int) -> tuple[Truth, float, float, float]:
    """Truth, and answer shares of the subject before the onset and after, and of all others after."""
    simulation = Simulation(SCENARIOS[name], seed)
    calls = list(ended(list(simulation.lines())).values())
    told = simulation.truth()
    (incident,) = told.incidents
    subject = incident.subject

    def is_subject(line: Line) -> bool:
        if subject.kind is SubjectKind.NUMBER:
            return line.params["From"] == subject.value
        return line.path.endswith("/" + subject.value)

    # Calls placed just before the onset end just after it.
    settled = incident.onset + 5 * MINUTE
    before = [line for line in calls if line.received_at < incident.onset and is_subject(line)]
    after = [line for line in calls if line.received_at >= settled and is_subject(line)]
    others = [line for line in calls if line.received_at >= settled and not is_subject(line)]
    assert sum(map(seized, before)) >= 300
    assert sum(map(seized, after)) >= 120
    return told, answer_share(before), answer_share(after), answer_share(others)


def test_a_collapse_shows_on_its_number_alone() -> None:
    """After the onset the number's answers fall to a third or less, and nobody else's do."""
    told, before, after, others = collapsed_shares("collapse", 2)
    assert told.incidents[0].rule == "answer_rate_collapse"
    assert told.incidents[0].subject.kind is SubjectKind.NUMBER
    assert 0.28 < before < 0.45
    assert after < 0.17
    assert others > 0.33


def test_a_campaign_collapse_shows_on_its_campaign_alone() -> None:
    """After the onset the campaign's answers fall to a third or less, and the other's do not."""
    told, before, after, others = collapsed_shares("campaign-collapse", 1)
    assert told.incidents[0].subject.kind is SubjectKind.CAMPAIGN
    assert 0.3 < before < 0.42
    assert after < 0.14
    assert others > 0.34


def test_the_seed_turns_the_collapse_to_another_number() -> None:
    """Seeds in a row hit each number of the campaign once."""
    subjects = {Simulation(SCENARIOS["collapse"], seed)._incidents[0].subject.value for seed in range(6)}
    assert len(subjects) == 6


@pytest.mark.parametrize(("name", "factor"), [("spike", 40.0), ("campaign-spike", 5.0)])
def test_a_spike_shows_in_its_buckets(name: str, factor: float) -> None:
    """While a spike lasts, nearly every five minutes have far more calls of its subject than an hour before."""
    simulation = Simulation(SCENARIOS[name], 3)
    lines = list(simulation.lines())
    (incident,) = simulation.truth().incidents
    assert incident.end is not None
    buckets: Counter[int] = Counter()
    seen = set()
    for line in lines:
        sid = line.params.get("CallSid")
        mine = incident.subject.value in (line.params.get("From"), line.path.rpartition("/")[2])
        if mine and sid not in seen:
            seen.add(sid)
            buckets[line.received_at // (5 * MINUTE)] += 1
    during = range(incident.onset // (5 * MINUTE), incident.end // (5 * MINUTE))
    assert len(during) == 12
    usual = sum(buckets[bucket - 12] for bucket in during) / len(during)
    spiked = sum(buckets[bucket] for bucket in during) / len(during)
    assert spiked == pytest.approx(factor * usual, rel=0.35)
    # Ten more than expected is what the rule asks for.
    assert sum(buckets[bucket] > usual + 10 for bucket in during) >= 10


def test_an_incident_can_end() -> None:
    """A demo's spike ends, and its collapse lasts; both begin in the stretch, on the grid of five minutes."""
    told = Simulation(SCENARIOS["demo"], 1, DEFAULT_END + 1_234_567).truth()
    by_rule = {incident.rule: incident for incident in told.incidents}
    assert [incident.rule for incident in told.incidents].count("opt_out") == 3
    assert by_rule["answer_rate_collapse"].end is None
    spike = by_rule["volume_spike"]
    assert spike.end is not None
    assert spike.end - spike.onset == 35 * MINUTE
    assert by_rule["answer_rate_collapse"].subject != spike.subject
    assert all(told.ends_at - 6 * HOUR <= incident.onset < told.ends_at for incident in told.incidents)
    assert spike.onset % (5 * MINUTE) == 0


@pytest.mark.parametrize("hours_later", [31, 101])
def test_the_demo_is_busy_at_any_time_of_the_week(hours_later: int) -> None:
    """Whenever a demo ends, its collapsed number has calls enough for the fall to be found."""
    simulation = Simulation(SCENARIOS["demo"], 4, DEFAULT_END + hours_later * HOUR)
    calls = ended([line for line in simulation.lines() if line.received_at >= simulation.stretch_from])
    incident = next(one for one in simulation.truth().incidents if one.rule == "answer_rate_collapse")
    own = [line for line in calls.values() if line.params["From"] == incident.subject.value]
    assert len([line for line in own if line.received_at > incident.onset]) > 70


def test_opt_outs_name_the_contact_and_the_moment(small: Scenario) -> None:
    """Each opt-out of the truth is a request received at its onset from its contact, whom nobody calls afterwards."""
    simulation = Simulation(small, 2)
    lines = list(simulation.lines())
    told = simulation.truth()
    assert len(told.incidents) == 4
    for incident in told.incidents:
        assert incident.subject.kind is SubjectKind.CONTACT
        (said,) = [
            line
            for line in lines
            if line.received_at == incident.onset and line.path in {"/twilio/messaging", "/twilio/gather"}
        ]
        assert incident.subject.value in {said.params["From"], said.params["To"]}
        placed = [
            line
            for line in lines
            if line.params.get("CallStatus") == "initiated" and line.params["To"] == incident.subject.value
        ]
        assert all(line.received_at < incident.onset for line in placed)


def test_the_truth_is_written_as_json(small: Scenario) -> None:
    """The truth has its documented keys, and times in ISO 8601."""
    public = Simulation(small, 2).truth().as_public()
    assert list(public) == [
        "scenario", "seed", "from", "to", "incidents", "calls", "callbacks", "duplicates", "lost", "false_alarms",
    ]  # fmt: skip
    assert public["to"] == "2026-11-23T14:00:00.000Z"
    incidents = public["incidents"]
    assert isinstance(incidents, list)
    assert list(incidents[0]) == [
        "rule", "subject", "onset", "end", "note", "tolerance_seconds", "also", "touches",
    ]  # fmt: skip


def test_every_scenario_is_told_in_one_line() -> None:
    """Scenarios are found by their names and say in one line what they are."""
    assert {"clean", "collapse", "campaign-collapse", "spike", "campaign-spike", "opt-out", "demo"} < SCENARIOS.keys()
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert scenario.description
        assert "\n" not in scenario.description
        assert scenario.past + scenario.stretch >= DAY


def test_distributions_have_their_moments() -> None:
    """The distributions made from uniform draws have the means and spreads they are named for."""
    draw = stream(1, "moments")
    count = 20_000
    normals = [normal(draw) for _ in range(count)]
    assert sum(normals) / count == pytest.approx(0.0, abs=0.04)
    assert sum(x * x for x in normals) / count == pytest.approx(1.0, abs=0.05)
    gammas = [gamma(draw, 0.2) for _ in range(count)]
    assert sum(gammas) / count == pytest.approx(1.0, abs=0.01)
    assert sum((x - 1.0) ** 2 for x in gammas) / count == pytest.approx(0.04, rel=0.06)
    assert sum(exponential(draw, 3.0) for _ in range(count)) / count == pytest.approx(3.0, rel=0.04)
    assert sorted(lognormal(draw, 11.0, 0.5) for _ in range(count))[count // 2] == pytest.approx(11.0, rel=0.03)
