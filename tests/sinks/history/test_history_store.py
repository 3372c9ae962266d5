"""What the history keeps of each record, once."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alert import Alert, AlertState, Severity, Subject, SubjectKind
from schemas.call import Origin
from schemas.callback import CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.suppression import Suppression, suppression_key
from sinks.history.store import History

PUBLIC_CALLS = [
    "call_sid",
    "account_sid",
    "number",
    "contact",
    "campaign",
    "direction",
    "status",
    "answered_by",
    "sip_code",
    "stir_status",
    "placed_at",
    "answered_at",
    "ended_at",
    "ring_seconds",
    "talk_seconds",
]


NUMBER = Subject(SubjectKind.NUMBER, "+12025550100")


def an_alert(sequence: int, **changes: object) -> Alert:
    """A transition of one alert."""
    told: dict[str, Any] = {
        "alert_id": "a1",
        "sequence": sequence,
        "rule": "volume_spike",
        "subject": NUMBER,
        "state": AlertState.FIRING,
        "severity": Severity.WARNING,
        "at": 1_795_442_401_000,
        "since": 1_795_442_400_000,
        "evidence": {"attempts": 40, "limit": 12.5},
        "message": "40 calls in 5 minutes",
    }
    return Alert(**{**told, **changes})


def a_suppression(at: int, until: int | None = None) -> Suppression:
    """A verdict on one number."""
    return Suppression(
        subject=NUMBER, rule="volume_spike", alert_id="a1", at=at, until=until, reason="too many", evidence={"n": 1}
    )


def test_a_callback_is_kept_with_every_parameter(history: History, rows: Any, make: Any) -> None:
    """A callback's row holds what was understood and every parameter as it came, blank and repeated ones too."""
    history.write(make.records("callbacks", [make.callback(7).encode()], first=3, partition=1))
    (row,) = rows("select * from callbacks")
    assert (row["log_partition"], row["log_offset"], row["sequence"]) == (1, 3, 2)
    assert row["received_at"].isoformat() == "2026-11-23T12:00:07+00:00"
    assert row["happened_at"].isoformat() == "2026-11-23T12:00:06.750000+00:00"
    assert row["sip_code"] is None
    assert row["problems"] == ["SequenceNumber: no number"]
    assert rows("select params->>'Blank' as blank, params->>'$.Twice[1]' as twice from callbacks") == [
        {"blank": "", "twice": "b"}
    ]


def test_ticks_have_no_row(history: History, rows: Any, make: Any) -> None:
    """A tick is no request: it moves the offset and leaves no row."""
    history.write(make.records("callbacks", [make.callback(1, kind=CallbackKind.TICK, call_sid="").encode()]))
    assert rows("select * from callbacks") == []
    assert history.positions({"callbacks": 1}) == {("callbacks", 0): 1}


def test_calls_begin_with_the_public_columns(rows: Any) -> None:
    """The view `calls` has the columns that other programs rely on, in their order, first."""
    names = [row["column_name"] for row in rows("describe calls")]
    assert names[: len(PUBLIC_CALLS)] == PUBLIC_CALLS


def test_no_column_is_a_reserved_word(rows: Any) -> None:
    """Every column can be written without quotes."""
    assert (
        rows(
            "select column_name from duckdb_columns() where not internal and column_name in"
            " (select keyword_name from duckdb_keywords() where keyword_category = 'reserved')"
        )
        == []
    )


def test_a_call_is_one_row_of_its_highest_revision(history: History, rows: Any, make: Any) -> None:
    """A call placed, ended and revised is one row with the last word, while every fact is kept."""
    history.write(make.records("calls", [make.fact(1, revision, revision).encode() for revision in (0, 1, 2)]))
    (row,) = rows("select * from calls")
    assert (row["disposition"], row["status"], row["talk_seconds"]) == ("machine", "completed", 5)
    assert [fact["fact"] for fact in rows("select fact from call_facts order by log_offset")] == [
        "placed",
        "ended",
        "revised",
    ]


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_calls_do_not_depend_on_order_or_batches(
    tmp_path_factory: pytest.TempPathFactory, make: Any, data: Any
) -> None:
    """Facts of many calls over several partitions, in any order and any batches, leave the highest revisions."""
    facts = [(call, revision) for call in range(6) for revision in range(data.draw(st.integers(1, 3)))]
    shuffled = data.draw(st.permutations(facts))
    records = [
        # Each fact comes from a partition of its own, as when a call's number is learnt late.
        record
        for place, (call, revision) in enumerate(shuffled)
        for record in make.records(
            "calls", [make.fact(call, revision, place, origin=Origin(0, 0, 0)).encode()], partition=place
        )
    ]
    history = History.open(tmp_path_factory.mktemp("any") / "history.duckdb")
    try:
        while records:
            size = data.draw(st.integers(1, len(records)))
            history.write(records[:size])
            del records[:size]
        held = {row["call_sid"]: row["revision"] for row in history.query("from calls").to_pylist()}
        assert history.query("from calls").num_rows == len(held)
        expected: dict[str, int] = {}
        for call, revision in facts:
            expected[f"CA{call:032x}"] = max(revision, expected.get(f"CA{call:032x}", 0))
        assert held == expected
    finally:
        history.close()


def test_records_written_before_are_skipped(history: History, rows: Any, make: Any) -> None:
    """The same records again are skipped and counted as such."""
    records = make.records("callbacks", [make.callback(n).encode() for n in range(3)])
    assert history.write(records).rows == {"callbacks": 3}
    assert history.write([*records, *make.records("callbacks", [make.callback(9).encode()], first=3)]).skipped == 3
    assert rows("select count(*) as n from callbacks") == [{"n": 4}]


def test_facts_made_again_after_a_crash_are_not_written_twice(history: History, rows: Any, make: Any) -> None:
    """A fact that comes again under another offset has an origin that does not ascend, and leaves no second row."""
    values = [make.fact(1, 0, 0).encode(), make.fact(1, 1, 1).encode()]
    history.write(make.records("calls", values))
    history.write(make.records("calls", [*values, make.fact(2, 0, 2).encode()], first=2))
    assert rows("select count(*) as n from call_facts") == [{"n": 3}]
    assert rows("select count(*) as n from calls") == [{"n": 2}]


def test_alerts_emitted_again_are_not_written_twice(history: History, rows: Any, make: Any) -> None:
    """A transition is one row, whether it comes again in one batch or in a later one."""
    first, second = an_alert(1).encode(), an_alert(2, state=AlertState.RESOLVED).encode()
    history.write(make.records("alerts", [first, first, second]))
    history.write(make.records("alerts", [second, an_alert(1, alert_id="a2").encode()], first=3))
    found = rows("select alert_id, sequence, state, subject_value from alerts order by 1, 2")
    assert [(row["alert_id"], row["sequence"]) for row in found] == [("a1", 1), ("a1", 2), ("a2", 1)]
    assert found[1]["state"] == "resolved"
    assert rows("select evidence->>'limit' as bound from alerts limit 1") == [{"bound": "12.5"}]


def test_suppressions_tell_each_change_and_what_holds_now(history: History, rows: Any, make: Any) -> None:
    """Suppressed, repeated, lifted and suppressed again are three changes; the last one that has not ended holds."""
    key = suppression_key(NUMBER, "volume_spike")
    first, again = a_suppression(1_000).encode(), a_suppression(9_000).encode()
    history.write(make.records("suppressions", [first, first], key=key))
    assert [row["starts_at"].timestamp() for row in rows("from suppressions_now")] == [1.0]
    history.write(make.records("suppressions", [None], first=2, key=key))
    assert rows("from suppressions_now") == []
    history.write(make.records("suppressions", [again], first=3, key=key))
    changes = rows("select lifted, subject_kind, subject_value from suppressions order by log_offset")
    assert [row["lifted"] for row in changes] == [False, True, False]
    assert {(row["subject_kind"], row["subject_value"]) for row in changes} == {("number", "+12025550100")}
    assert [row["starts_at"].timestamp() for row in rows("from suppressions_now")] == [9.0]
    history.write(make.records("suppressions", [a_suppression(10_000, until=20_000).encode()], first=4, key=key))
    assert rows("from suppressions_now") == []


def test_one_campaigns_lifting_leaves_the_others_suppression(history: History, rows: Any, make: Any) -> None:
    """A number suppressed by two campaigns and another rule stays so until the last of them lifts it."""
    scopes = (("answer_rate_collapse", "spring"), ("answer_rate_collapse", "autumn"), ("volume_spike", ""))
    keys = [suppression_key(NUMBER, rule, scope) for rule, scope in scopes]
    for offset, (key, (rule, scope)) in enumerate(zip(keys, scopes, strict=True)):
        verdict = msgspec.structs.replace(a_suppression(1_000), rule=rule, scope=scope)
        history.write(make.records("suppressions", [verdict.encode()], first=offset, key=key))
    left = [[(rule, scope or None) for rule, scope in scopes[gone:]] for gone in range(4)]
    for gone in range(4):
        found = rows("from suppressions_now order by log_offset")
        assert [(row["rule"], row["scope"]) for row in found] == left[gone]
        if gone < 3:
            history.write(make.records("suppressions", [None], first=3 + gone, key=keys[gone]))
    changes = rows("select lifted, rule, scope from suppressions order by log_offset")
    assert [row["lifted"] for row in changes] == [False] * 3 + [True] * 3
    assert [(row["rule"], row["scope"]) for row in changes] == left[0] * 2


def test_opt_outs_are_kept_with_what_was_said(history: History, rows: Any, make: Any) -> None:
    """An opt-out's row says who, where and by which words."""
    signal = OptOut(
        contact="+13035550199",
        opted_out=True,
        source=OptOutSource.SPEECH,
        channel=Channel.VOICE,
        at=1_795_442_401_000,
        said="don't call me",
    )
    history.write(make.records("optouts", [signal.encode()], key=b"+13035550199"))
    (row,) = rows("from opt_outs")
    assert (row["contact"], row["opted_out"], row["source"], row["said"]) == (
        "+13035550199",
        True,
        "speech",
        "don't call me",
    )
    assert row["number"] is None


def test_unreadable_records_are_set_aside(history: History, rows: Any, make: Any) -> None:
    """What can't be read, in whichever topic, goes to `dead_letters` with the reason, and the offset moves on."""
    junk = [b"", b"junk\xff", b"[]", b'{"v": 99}']
    for topic in ("callbacks", "calls", "alerts", "suppressions", "optouts", "deadletters", "unknown"):
        assert history.write(make.records(topic, junk, first=5, key=b"k")).rows == {"dead_letters": 4}
        letters = rows(f"select * from dead_letters where log_topic = '{topic}' order by log_offset")
        assert [letter["source"] for letter in letters] == [f"{topic}[0]@{offset}" for offset in range(5, 9)]
        assert [letter["body"] for letter in letters] == junk
        assert {letter["key"] for letter in letters} == {b"k"}
        assert all(letter["reason"] for letter in letters)
        assert history.positions({topic: 1}) == {(topic, 0): 9}


def test_a_record_whose_values_fit_no_column_stands_alone(history: History, rows: Any, make: Any) -> None:
    """A time past all calendars or a number past all columns sets aside its own record and no other."""
    good = [make.callback(n).encode() for n in range(40)]
    bad = [
        make.callback(90, happened_at=10**17).encode(),
        make.callback(91, sequence=2**70).encode(),
        make.callback(92).encode().replace(b'"Blank":""', b'"Blank":"\\ud800"'),
        make.callback(93, params={}).encode().replace(b'"params":{}', b'"params":7'),
    ]
    written = history.write(make.records("callbacks", [*good[:20], *bad, *good[20:]]))
    assert (written.rows, written.set_aside) == ({"callbacks": 40, "dead_letters": 4}, 4)
    assert len(rows("from callbacks")) == 40
    assert {row["source"] for row in rows("from dead_letters")} == {f"callbacks[0]@{n}" for n in range(20, 24)}


def test_dead_letters_of_one_record_are_one_row(history: History, rows: Any, make: Any) -> None:
    """The record that agents set aside as well is one row; requests at one endpoint are each their own."""
    history.write(make.records("callbacks", [b"junk"], first=5))
    of_agent = DeadLetter(source="callbacks[0]@5", reason="no Callback", at=1, body=b"junk").encode()
    of_gateway = DeadLetter(source="/twilio/events", reason="not understood", at=1, body=b"\xff\x00").encode()
    history.write(make.records("deadletters", [of_agent, of_gateway, of_gateway]))
    assert [row["source"] for row in rows("from dead_letters order by source")] == [
        "/twilio/events",
        "/twilio/events",
        "callbacks[0]@5",
    ]
