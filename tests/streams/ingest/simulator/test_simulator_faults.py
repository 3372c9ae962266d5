from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from schemas.alert import SubjectKind
from schemas.rules import Rules
from schemas.times import DAY, HOUR, SECOND, WEEK
from streams.ingest.simulator import SCENARIOS, Companion, Incident, Line, Simulation, read_truth

TERMINAL = {"completed", "busy", "no-answer", "failed", "canceled"}
RUNS: dict[str, tuple[Simulation, list[Line]]] = {}


def lines_of(name: str) -> tuple[Simulation, list[Line]]:
    """A scenario's simulation and lines; each is run once for all tests."""
    if name not in RUNS:
        simulation = Simulation(SCENARIOS[name], 1)
        RUNS[name] = simulation, list(simulation.lines())
    return RUNS[name]


def incident_of(name: str, kind: SubjectKind) -> Incident:
    """The incident of a scenario about a subject of a kind."""
    rule = name.removeprefix("campaign-").replace("-", "_")
    return next(one for one in lines_of(name)[0].truth().incidents if (one.rule, one.subject.kind) == (rule, kind))


def around(name: str, incident: Incident) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The terminal callbacks of an incident's subject before its onset, and from then on."""
    parts: tuple[list[dict[str, str]], list[dict[str, str]]] = ([], [])
    for line in lines_of(name)[1]:
        mine = incident.subject.value in {line.params.get("From"), line.path.rpartition("/")[2]}
        if mine and line.params.get("CallStatus") in TERMINAL and line.params.get("CallbackSource"):
            parts[line.received_at >= incident.onset + 2 * SECOND].append(line.params)
    return parts


def share(bodies: list[dict[str, str]], field: str, value: str) -> float:
    """Share of the bodies that have a value in a field."""
    return sum(body.get(field) == value for body in bodies) / len(bodies)


def test_there_is_a_scenario_for_every_rule() -> None:
    """Every rule has a scenario that injects what it looks for."""
    rules = set()
    for scenario in SCENARIOS.values():
        rules |= {fault.rule for fault in scenario.faults} | {attempts.rule for attempts in scenario.attempts}
        rules |= {"opt_out"} if scenario.opt_outs else set()
        rules |= {"volume_spike"} if scenario.spikes else set()
    assert rules == set(Rules.model_fields)


@pytest.mark.parametrize(
    ("name", "kind", "code", "before", "after"),
    [
        ("blocked-calls", SubjectKind.NUMBER, "603", 0.02, 0.27),
        ("campaign-blocked-calls", SubjectKind.CAMPAIGN, "603", 0.02, 0.27),
        ("invalid-numbers", SubjectKind.CAMPAIGN, "404", 0.03, 0.22),
    ],
)
def test_codes_rise_with_the_onset(name: str, kind: SubjectKind, code: str, before: float, after: float) -> None:
    """From the onset on, so many more calls of the subject end with the code."""
    ordinary, faulty = around(name, incident_of(name, kind))
    assert share(ordinary, "SipResponseCode", code) == pytest.approx(before, abs=0.015)
    assert share(faulty, "SipResponseCode", code) == pytest.approx(after, abs=0.07)


@pytest.mark.parametrize("kind", [SubjectKind.NUMBER, SubjectKind.CAMPAIGN])
def test_the_dialer_gives_up(kind: SubjectKind) -> None:
    """From the onset on, most calls of the subject are canceled instead of left to ring."""
    ordinary, faulty = around("short-ring", incident_of("short-ring", kind))
    assert share(ordinary, "CallStatus", "canceled") < 0.05
    assert share(faulty, "CallStatus", "canceled") > 0.5
    assert share(faulty, "CallStatus", "no-answer") < 0.05


def test_nobody_answers_a_dead_number() -> None:
    """From the onset on, no call of the number is answered that was placed after it."""
    ordinary, faulty = around("no-answer-streak", incident_of("no-answer-streak", SubjectKind.NUMBER))
    assert share(ordinary, "CallStatus", "completed") > 0.25
    assert share(faulty, "CallStatus", "completed") == 0.0


def test_silence_is_told_by_summaries() -> None:
    """Each call that left Twilio gets a summary within half an hour; the subject's are silent more often."""
    simulation, lines = lines_of("silent-calls")
    incident = incident_of("silent-calls", SubjectKind.CAMPAIGN)
    silent: dict[bool, Counter[bool]] = defaultdict(Counter)
    summaries = [event for line in lines for event in line.events or ()]
    assert len(summaries) > 0.9 * simulation.truth().calls
    for event in summaries:
        data: Any = event["data"]
        assert event["type"] == "com.twilio.voice.insights.call-summary.complete"
        if data["call_state"] == "completed" and data["from"]["caller"] in simulation.numbers[incident.subject.value]:
            silent[data["start_time"] >= "2026-11-19T13:00"][data["tags"] == ["silence"]] += 1
    assert silent[False][True] / silent[False].total() < 0.03
    assert silent[True][True] / silent[True].total() == pytest.approx(0.25, abs=0.06)


def test_dials_tell_who_reached_an_agent() -> None:
    """People who answer are put through by a <Dial>, which is told on the campaign's path; some reach nobody."""
    incident = incident_of("abandonment", SubjectKind.CAMPAIGN)
    bridged: dict[bool, Counter[str]] = defaultdict(Counter)
    for line in lines_of("abandonment")[1]:
        if "DialCallStatus" not in line.params:
            continue
        assert line.params["CallStatus"] == "in-progress"
        assert line.params["DialCallSid"] != line.params["CallSid"]
        assert ("DialCallDuration" in line.params) == (line.params["DialBridged"] == "true")
        if line.path == f"/twilio/voice/{incident.subject.value}":
            bridged[line.received_at >= incident.onset][line.params["DialBridged"]] += 1
    assert bridged[False]["false"] / bridged[False].total() < 0.03
    assert bridged[True]["false"] / bridged[True].total() == pytest.approx(0.12, abs=0.05)


def test_ends_get_lost_for_hours() -> None:
    """While the fault lasts, some six of ten calls never tell of their end."""
    incident = incident_of("missing-callbacks", SubjectKind.ACCOUNT)
    assert incident.end is not None
    placed, ended = set(), set()
    for line in lines_of("missing-callbacks")[1]:
        status, sid = line.params.get("CallStatus"), line.params.get("CallSid", "")
        if status == "initiated" and incident.onset <= line.received_at < incident.end - HOUR:
            placed.add(sid)
        elif status in TERMINAL:
            ended.add(sid)
    assert len(placed - ended) / len(placed) == pytest.approx(0.6, abs=0.1)


def test_people_are_called_from_next_door() -> None:
    """From the onset on, who shares an exchange with a number is called from it; before it, only by chance."""
    incident = incident_of("neighbor-spoofing", SubjectKind.CAMPAIGN)
    simulation, lines = lines_of("neighbor-spoofing")
    own = {number[:8] for number in simulation.numbers[incident.subject.value]}
    same: dict[bool, list[bool]] = defaultdict(list)
    for line in lines:
        if line.params.get("CallStatus") == "initiated" and line.params["To"][:8] in own:
            later = line.received_at >= incident.onset + 2 * SECOND
            same[later].append(line.params["From"][:8] == line.params["To"][:8])
    assert len(own) == 24
    assert sum(same[False]) / len(same[False]) < 0.1
    assert sum(same[True]) / len(same[True]) > 0.98


def test_purposes_mix_or_follow_each_other() -> None:
    """A mixed number calls for both campaigns from its onset on; a rested one for the other alone, after two days."""
    for name, shares in (("mixed-purpose", (0.3, 0.7)), ("number-rest", (1.0, 1.0))):
        incident = incident_of(name, SubjectKind.NUMBER)
        paths: dict[bool, list[str]] = defaultdict(list)
        last = 0
        for line in lines_of(name)[1]:
            if line.params.get("From") == incident.subject.value and line.params.get("CallStatus") == "initiated":
                later = line.received_at >= incident.onset
                paths[later].append(line.path.rpartition("/")[2])
                last = last if later else line.received_at
        assert set(paths[False]) == {"spring-sale"}
        assert shares[0] <= paths[True].count("renewals") / len(paths[True]) <= shares[1]
        assert name != "number-rest" or incident.onset - last >= 2 * DAY


def test_stir_status_falls() -> None:
    """A number's calls are signed A until the onset and B from then on; all others stay at A."""
    incident = incident_of("attestation", SubjectKind.NUMBER)
    signed: dict[tuple[bool, bool], set[str]] = defaultdict(set)
    for line in lines_of("attestation")[1]:
        if "StirStatus" in line.params:
            mine = line.params["From"] == incident.subject.value
            signed[mine, line.received_at >= incident.onset + 60 * SECOND].add(line.params["StirStatus"])
    assert signed == {(True, False): {"A"}, (True, True): {"B"}, (False, False): {"A"}, (False, True): {"A"}}


def test_opt_outs_on_calls_are_true_and_final() -> None:
    """Each key 9 is an opt-out of the truth, and nobody who pressed it is called again."""
    simulation, lines = lines_of("opt-out-surge")
    told = {one.subject.value: one.onset for one in simulation.truth().incidents if one.rule == "opt_out"}
    pressed = {line.params["To"] for line in lines if line.path == "/twilio/gather"}
    assert pressed == set(told)
    assert len(told) > 20
    for line in lines:
        if line.params.get("CallStatus") == "initiated" and line.params["To"] in told:
            # A callback may come a minute late.
            assert line.received_at <= told[line.params["To"]] + 60 * SECOND


@pytest.mark.parametrize("name", ["clean", "demo", "spike", "opt-out-surge", "ramp-up", "bad-day"])
def test_people_are_called_rarely_and_from_one_number(name: str) -> None:
    """In no week is anybody called more than twice, on no day more than once, and by one number alone."""
    called: dict[str, list[int]] = defaultdict(list)
    callers: dict[str, set[str]] = defaultdict(set)
    seen = set()
    for line in lines_of(name)[1]:
        sid = line.params.get("CallSid")
        if sid is None or sid in seen or "To" not in line.params:
            continue
        seen.add(sid)
        called[line.params["To"]].append(line.received_at)
        callers[line.params["To"]].add(line.params["From"])
    assert all(len(numbers) == 1 for numbers in callers.values())
    for times in called.values():
        assert all(later - one > DAY for one, later in pairwise(times))
        assert all(later - one > WEEK for one, later in zip(times, times[2:], strict=False))


def test_attempts_are_placed_when_they_should_be() -> None:
    """A person too many times called is called at the times set, and the onset is the call that is one too many."""
    simulation, lines = lines_of("repeat-calls")
    for attempts, incident in zip(SCENARIOS["repeat-calls"].attempts, _repeats(simulation), strict=True):
        placed = [
            line.received_at
            for line in lines
            if line.params.get("CallStatus") == "initiated" and line.params["To"] == incident.subject.value
        ]
        wanted = [simulation.ends_at - starts for starts in attempts.starts]
        assert all(0 < at - want < 61 * SECOND for at, want in zip(placed, wanted, strict=True))
        assert incident.onset == wanted[attempts.breach]


def _repeats(simulation: Simulation) -> list[Incident]:
    return [one for one in simulation.truth().incidents if one.rule == "repeat_calls"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_register_knows_the_fleet(name: str) -> None:
    """The register has every number but one said to be missing, every campaign, and people who have moved."""
    simulation = Simulation(SCENARIOS[name], 1)
    register = tomllib.loads(simulation.register().decode())
    numbers = {row["number"]: row for row in register["numbers"]}
    fleet = {number for held in simulation.numbers.values() for number in held}
    missing = 1 if name == "unregistered-number" else 0
    assert set(numbers) <= fleet
    assert len(numbers) == len(fleet) - missing
    assert [row["campaign"] for row in register["campaigns"]] == list(simulation.numbers)
    assert ("contacts" in register) == (name == "calling-hours")
    new = [row for row in (*numbers.values(), *register["campaigns"]) if row["since"] > "2026"]
    assert [row["since"] for row in new] == (["2026-11-19"] if "ramp-up" in name else [])
    rejected = [row for row in numbers.values() if row["trust_hub"] != "twilio-approved"]
    assert len(rejected) == missing


def test_the_truth_reads_back() -> None:
    """A truth that was written is read back with all its incidents; other text is refused."""
    told = lines_of("opt-out-surge")[0].truth()
    assert read_truth(told.encode()) == told
    assert any(Companion("opt_out_surge", SubjectKind.NUMBER) in one.also for one in told.incidents)
    for text in (b"", b"{}", told.encode().replace(b"2026-11-", b"2026-13-")):
        with pytest.raises(ValueError, match=r"."):
            read_truth(text)
