from __future__ import annotations

import re
from collections import defaultdict
from email.utils import parsedate_to_datetime

import pytest

from schemas.times import SECOND
from streams.ingest.simulator import Line, Scenario, Truth, simulate

LEG = frozenset({"Called", "Caller", "CallSid", "AccountSid", "From", "To", "ApiVersion", "Direction"}) | {
    side + field for side in ("To", "From", "Called", "Caller") for field in ("City", "State", "Zip", "Country")
}
PROGRESS = LEG | {"CallStatus", "Timestamp", "CallbackSource", "SequenceNumber"}
TERMINAL = PROGRESS | {"CallDuration", "Duration"}
UNANSWERED = {"busy", "no-answer", "failed", "canceled"}


def status_lines(lines: list[Line]) -> list[Line]:
    """The status callbacks among the lines."""
    return [line for line in lines if line.path.startswith("/twilio/voice/")]


@pytest.mark.parametrize(
    ("status", "required", "allowed"),
    [
        ("initiated", PROGRESS, PROGRESS),
        ("ringing", PROGRESS | {"StirStatus"}, PROGRESS | {"StirStatus"}),
        ("in-progress", PROGRESS | {"StirStatus"}, PROGRESS | {"StirStatus"}),
        ("completed", TERMINAL | {"SipResponseCode"}, TERMINAL | {"SipResponseCode", "AnsweredBy"}),
        ("busy", TERMINAL | {"SipResponseCode"}, TERMINAL | {"SipResponseCode"}),
        ("no-answer", TERMINAL | {"SipResponseCode"}, TERMINAL | {"SipResponseCode"}),
        ("canceled", TERMINAL | {"SipResponseCode"}, TERMINAL | {"SipResponseCode"}),
        ("failed", TERMINAL, TERMINAL | {"SipResponseCode"}),
    ],
)
def test_each_event_has_its_keys(
    clean: tuple[list[Line], Truth], status: str, required: frozenset[str], allowed: frozenset[str]
) -> None:
    """A status callback carries the keys that are documented or captured for its event, and no others."""
    bodies = [line.params for line in status_lines(clean[0]) if line.params["CallStatus"] == status]
    assert len(bodies) > 20
    for body in bodies:
        assert required <= body.keys() <= allowed


def test_values_have_twilios_formats(clean: tuple[list[Line], Truth]) -> None:
    """Identifiers, numbers, times and durations are written as Twilio writes them."""
    for line in status_lines(clean[0]):
        body = line.params
        assert re.fullmatch(r"CA[0-9a-f]{32}", body["CallSid"])
        assert re.fullmatch(r"AC[0-9a-f]{32}", body["AccountSid"])
        assert re.fullmatch(r"\+1\d{3}555\d{4}", body["From"])
        assert re.fullmatch(r"\+1\d{3}555\d{4}", body["To"])
        assert (body["Called"], body["Caller"]) == (body["To"], body["From"])
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", body["Timestamp"])
        assert body["CallbackSource"] == "call-progress-events"
        assert body["Direction"] == "outbound-api"
        if "CallDuration" in body:
            seconds = int(body["CallDuration"])
            assert int(body["Duration"]) == -(-seconds // 60)
            assert (seconds == 0) == (body["CallStatus"] in UNANSWERED)


def test_look_ups_leave_blanks(clean: tuple[list[Line], Truth]) -> None:
    """Some numbers have no city or zip, and a toll-free caller has only a country."""
    bodies = [line.params for line in status_lines(clean[0])]
    assert any(body["ToCity"] == "" and body["ToState"] for body in bodies)
    toll_free = [body for body in bodies if body["From"].startswith("+1888")]
    assert toll_free
    assert all(body["FromCity"] == body["FromState"] == body["FromZip"] == "" for body in toll_free)
    assert all(body["FromCountry"] == "US" for body in toll_free)


def test_sequence_counts_subscribed_events(faultless_run: tuple[list[Line], Truth]) -> None:
    """A leg's callbacks number from 0 in the order they happened; a number with `completed` alone sends only 0."""
    legs: dict[str, list[Line]] = defaultdict(list)
    for line in status_lines(faultless_run[0]):
        legs[line.params["CallSid"]].append(line)
    stages = ("initiated", "ringing", "in-progress")
    lengths = set()
    unfinished = 0
    for lines in legs.values():
        lines.sort(key=lambda line: int(line.params["SequenceNumber"]))
        bodies = [line.params for line in lines]
        last = bodies[-1]
        if last["CallStatus"] in stages or len(bodies) <= int(last["SequenceNumber"]):
            unfinished += 1  # the end of the simulation cut it off
            continue
        assert [int(body["SequenceNumber"]) for body in bodies] == list(range(len(bodies)))
        assert [body["CallStatus"] for body in bodies[:-1]] == [
            stage for stage in stages if stage in {body["CallStatus"] for body in bodies}
        ]
        times = [parsedate_to_datetime(body["Timestamp"]) for body in bodies]
        assert times == sorted(times)
        lengths.add((bodies[-1]["CallStatus"], len(bodies)))
    assert {("completed", 1), ("completed", 4), ("no-answer", 3), ("busy", 2), ("failed", 1)} <= lengths
    assert unfinished < 20


def test_completed_only_numbers_send_one_callback(faultless_run: tuple[list[Line], Truth]) -> None:
    """The numbers that subscribe to `completed` alone are as many as the campaign says."""
    by_number: dict[str, set[str]] = defaultdict(set)
    for line in status_lines(faultless_run[0]):
        by_number[line.params["From"]].add(line.params["CallStatus"])
    silent = [number for number, statuses in by_number.items() if "initiated" not in statuses]
    assert len(silent) == 2
    assert len(by_number) == 6


def test_call_duration_fits_the_timestamps(faultless_run: tuple[list[Line], Truth]) -> None:
    """CallDuration is the time from in-progress to completed, to the second."""
    answered = {}
    checked = 0
    for line in status_lines(faultless_run[0]):
        body = line.params
        if body["CallStatus"] == "in-progress":
            answered[body["CallSid"]] = parsedate_to_datetime(body["Timestamp"])
        elif body["CallStatus"] == "completed" and body["CallSid"] in answered:
            lasted = (parsedate_to_datetime(body["Timestamp"]) - answered[body["CallSid"]]).total_seconds()
            assert abs(lasted - int(body["CallDuration"])) <= 1
            checked += 1
    assert checked > 500


def test_asynchronous_verdicts_have_four_fields(clean: tuple[list[Line], Truth]) -> None:
    """A verdict of its own carries four fields, for a call whose end carries no verdict."""
    verdicts = [line.params for line in clean[0] if line.path == "/twilio/amd"]
    assert len(verdicts) > 100
    ended = {
        line.params["CallSid"]: line.params
        for line in status_lines(clean[0])
        if line.params["CallStatus"] == "completed"
    }
    for verdict in verdicts:
        assert verdict.keys() == {"MachineDetectionDuration", "CallSid", "AnsweredBy", "AccountSid"}
        assert int(verdict["MachineDetectionDuration"]) > 0
        assert "AnsweredBy" not in ended.get(verdict["CallSid"], {})


def test_callbacks_follow_what_they_tell_of(clean: tuple[list[Line], Truth]) -> None:
    """A callback is received 0.2 to 60 seconds after what it tells of, and some overtake others."""
    overtaken = 0
    latest: dict[str, int] = {}
    for line in status_lines(clean[0]):
        happened_at = int(parsedate_to_datetime(line.params["Timestamp"]).timestamp() * SECOND)
        assert 0.2 * SECOND <= line.received_at - happened_at < 60 * SECOND
        sid, sequence = line.params["CallSid"], int(line.params["SequenceNumber"])
        overtaken += sequence < latest.get(sid, 0)
        latest[sid] = max(sequence, latest.get(sid, 0))
    assert overtaken > 50


def test_opt_outs_come_as_four_kinds_of_request(small: Scenario) -> None:
    """Opt-outs come as a message with OptOutType, a bare word, a key pressed and words said."""
    lines = [line for line in simulate(small, 2) if line.path in {"/twilio/messaging", "/twilio/gather"}]
    once = {line.params.get("MessageSid") or line.params["CallSid"]: line for line in lines}
    typed, word, keyed, spoken = (line.params for line in once.values())
    assert (typed["OptOutType"], typed["Body"]) == ("STOP", "STOP")
    assert "OptOutType" not in word
    assert word["Body"] == "Stop"
    assert keyed["Digits"] == "9"
    assert "stop calling" in spoken["SpeechResult"]
    for body in (keyed, spoken):
        assert body["CallStatus"] == "in-progress"
        assert body.keys() >= LEG
        assert not {"CallbackSource", "Timestamp", "SequenceNumber"} & body.keys()
