from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
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
from sinks.history.errors import (
    HistoryDamagedError,
    HistoryError,
    HistoryInUseError,
    HistoryMissingError,
    NewerHistoryError,
)
from sinks.history.migrations import CURRENT, MIGRATIONS, migrate
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


def test_a_failed_write_leaves_nothing(history: History, rows: Any, make: Any) -> None:
    """When the transaction fails, neither rows nor offsets stay, and the same write succeeds afterwards."""
    records = make.records("callbacks", [make.callback(1).encode()])
    history.positions({})
    history._connection.execute("ALTER TABLE source_offsets RENAME TO hidden")
    with pytest.raises(duckdb.Error):
        history.write(records)
    history._connection.execute("ALTER TABLE hidden RENAME TO source_offsets")
    assert rows("from callbacks") == []
    assert history.positions({"callbacks": 1}) == {("callbacks", 0): 0}
    assert history.write(records).rows == {"callbacks": 1}


def test_positions_outlive_the_program(path: Path, make: Any) -> None:
    """A file opened again says where to read on, and knows the facts it has."""
    first = History.open(path)
    first.write(make.records("calls", [make.fact(1, 0, 0).encode()], partition=1))
    first.close()
    assert not path.with_name(path.name + ".wal").exists()
    second = History.open(path)
    try:
        assert second.positions({"calls": 2, "alerts": 1}) == {("calls", 0): 0, ("calls", 1): 1, ("alerts", 0): 0}
        second.write(make.records("calls", [make.fact(1, 0, 0).encode()], first=1, partition=1))
        assert second.query("from call_facts").num_rows == 1
    finally:
        second.close()


def test_a_reader_can_not_write(path: Path, make: Any) -> None:
    """A history open for reading answers, and refuses to write."""
    History.open(path).close()
    history = History.open(path, read_only=True)
    try:
        assert history.query("from calls").num_rows == 0
        with pytest.raises(HistoryError, match="reading only"):
            history.write(make.records("callbacks", [b""]))
    finally:
        history.close()


def test_a_missing_file_is_not_made_for_a_reader(path: Path) -> None:
    """A reader of no file is told to start ringwatch, and none is made."""
    with pytest.raises(HistoryMissingError, match="ringwatch up"):
        History.open(path, read_only=True)
    assert not path.exists()


# What the first released program made; never edited.
VERSION_1 = MIGRATIONS[:1]


def test_an_older_file_is_migrated_whole_or_not_at_all(path: Path) -> None:
    """A file of version 1 gets the later steps in one transaction: a failing step leaves version 1 and its rows."""
    path.parent.mkdir()
    connection = duckdb.connect(path)
    try:
        migrate(connection, VERSION_1)
        connection.execute("INSERT INTO source_offsets VALUES ('callbacks', 0, 17)")
        later = (*VERSION_1, ("ALTER TABLE callbacks ADD COLUMN later VARCHAR",), ("CREATE TABLE broken (",))
        with pytest.raises(duckdb.Error):
            migrate(connection, later)
        assert "later" not in [name for name, *_ in connection.execute("DESCRIBE callbacks").fetchall()]
        assert connection.execute("SELECT max(version) FROM schema_version").fetchall() == [(1,)]
        migrate(connection, later[:2])
        migrate(connection, later[:2])
        assert "later" in [name for name, *_ in connection.execute("DESCRIBE callbacks").fetchall()]
        assert connection.execute("SELECT version FROM schema_version ORDER BY 1").fetchall() == [(1,), (2,)]
        assert connection.execute("SELECT next_offset FROM source_offsets").fetchall() == [(17,)]
    finally:
        connection.close()


def test_an_empty_database_is_filled(path: Path) -> None:
    """A DuckDB file without tables becomes a history."""
    path.parent.mkdir()
    duckdb.connect(path).close()
    history = History.open(path)
    assert history.query("select max(version) as v from schema_version").to_pylist() == [{"v": CURRENT}]
    history.close()


def refused(path: Path, kind: type[Exception], match: str) -> None:
    """Check that the file is refused, for reading and for writing, and stays byte for byte."""
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    for read_only in (True, False):
        with pytest.raises(kind, match=match):
            History.open(path, read_only=read_only)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


NEWER_PROGRAM = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute('INSERT INTO schema_version VALUES (99, now())')
os._exit(9)
"""


def test_a_newer_schema_is_refused_and_untouched(path: Path) -> None:
    """A file of a newer program is refused, and not one byte of it changes, not even its write-ahead log."""
    History.open(path).close()
    # A crash leaves a write-ahead log, which opening for writing would fold into the file.
    subprocess.run(
        [
            sys.executable,
            "-c",
            NEWER_PROGRAM,
            str(path),
        ],
        check=False,
    )
    assert path.with_name(path.name + ".wal").exists()
    refused(path, NewerHistoryError, "upgrade ringwatch")


@pytest.mark.parametrize("content", [b"", b"junk" * 5_000, b"SQLite format 3\0" + b"\0" * 8_000])
def test_what_is_no_duckdb_file_is_refused_and_untouched(path: Path, content: bytes) -> None:
    """A file of another kind is refused as damaged, and stays as it is."""
    path.parent.mkdir()
    path.write_bytes(content)
    refused(path, HistoryDamagedError, "damaged or no DuckDB file")


def test_a_damaged_file_is_refused_and_untouched(path: Path, make: Any) -> None:
    """A file whose catalogue was overwritten is refused as damaged, and stays as it is."""
    history = History.open(path)
    history.write(make.records("callbacks", [make.callback(n).encode() for n in range(100)]))
    history.close()
    content = bytearray(path.read_bytes())
    content[12_288:] = b"\x5a" * (len(content) - 12_288)
    path.write_bytes(content)
    refused(path, HistoryDamagedError, "damaged")


def test_somebody_elses_tables_are_refused_and_untouched(path: Path) -> None:
    """A DuckDB file with other tables is not written into."""
    path.parent.mkdir()
    connection = duckdb.connect(path)
    connection.execute("CREATE TABLE mine (a INTEGER)")
    connection.close()
    refused(path, HistoryDamagedError, "not ringwatch's")


def test_a_file_in_use_is_refused(path: Path) -> None:
    """While another process has the file open, it is refused as in use."""
    History.open(path).close()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        for read_only in (True, False):
            with pytest.raises(HistoryInUseError, match="in use by another process"):
                History.open(path, read_only=read_only)
    finally:
        holder.communicate()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import a_callback, a_fact, in_log
from sinks.history.store import History
history = History.open(Path(sys.argv[1]))
total = int(sys.argv[3])
print("open", flush=True)
while True:
    start = history.positions({"callbacks": 1})["callbacks", 0]
    if start >= total:
        break
    numbers = range(start, min(start + 50, total))
    facts = history.positions({"calls": 1})["calls", 0]
    assert facts == 2 * start, (facts, start)
    history.write(
        in_log("callbacks", [a_callback(n).encode() for n in numbers], first=start)
        + in_log("calls", [a_fact(n, r, 2 * n + r).encode() for n in numbers for r in (0, 1)], first=facts)
    )
history.close()
"""


def test_killed_at_any_instant_each_record_is_there_once(path: Path) -> None:
    """A writer killed with SIGKILL several times and started again leaves each record exactly once."""
    total = 3_000
    command = [sys.executable, "-c", WRITER, str(path), str(Path(__file__).parent), str(total)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for delay in (0.02, 0.11, 0.23):
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"open\n"
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert writer.returncode == -signal.SIGKILL
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
    history = History.open(path, read_only=True)
    try:
        count = "select count(*) as n, count(distinct {}) as d from {}"
        for table, identity, expected in (
            ("callbacks", "log_offset", total),
            ("call_facts", "log_offset", 2 * total),
            ("calls", "call_sid", total),
        ):
            assert history.query(count.format(identity, table)).to_pylist() == [{"n": expected, "d": expected}]
        assert history.query("from calls where revision <> 1").num_rows == 0
    finally:
        history.close()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import duckdb
from conftest import a_callback, in_log
from sinks.history.store import History
history = History.open(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
values = [a_callback(n, params={"Noise": f"{n * 7919:x}" * 40}).encode() for n in range(30_000)]
failed = 0
start = 0
while start < len(values):
    try:
        history.write(in_log("callbacks", values[start : start + 3_000], first=start))
        start += 3_000
    except duckdb.Error:
        failed += 1
        if failed == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert failed < 10
    start = history.positions({"callbacks": 1})["callbacks", 0]
history.close()
print(failed)
"""


def test_a_full_disk_is_outlived(path: Path) -> None:
    """Writes that fail for want of room fail whole; once there is room, the same history goes on, nothing doubled."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    history = History.open(path, read_only=True)
    try:
        found = history.query("select count(*) as n, count(distinct log_offset) as d from callbacks").to_pylist()
        assert found == [{"n": 30_000, "d": 30_000}]
    finally:
        history.close()


def test_a_database_that_gave_up_is_opened_again(path: Path, make: Any) -> None:
    """After DuckDB declared the database invalid, the next look at it opens the file anew and goes on."""
    history = History.open(path)
    history.write(make.records("callbacks", [make.callback(1).encode()]))
    history._connection.close()
    history._invalid, history._offsets = True, None
    assert history.positions({"callbacks": 1}) == {("callbacks", 0): 1}
    assert history.write(make.records("callbacks", [make.callback(2).encode()], first=1)).rows == {"callbacks": 1}
    history.close()


def test_a_file_that_may_not_be_made_says_why(tmp_path: Path) -> None:
    """Where the folder can't be made, the error names the path and the system's reason."""
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(HistoryError, match="can't be made"):
        History.open(tmp_path / "data" / "history.duckdb")
