"""Overrides and overtaken verdicts in the history: it agrees with the feed on who is suppressed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from schemas.alert import Subject, SubjectKind
from schemas.log import Headers, Record
from schemas.suppression import OVERRIDE, Suppression, cause_header, read_cause, suppression_key, words_header
from sinks.feed.events import Lifted
from sinks.feed.suppressions import HeldSuppressions
from sinks.history.migrations import MIGRATIONS, migrate
from sinks.history.store import History

PERSON = Subject(SubjectKind.CONTACT, "+12025550123")


def a_verdict(rule: str = "opt_out", *, at: int = 1_000, until: int | None = None, allows: bool = False) -> Suppression:
    """A verdict on the person."""
    return Suppression(
        subject=PERSON,
        rule=rule,
        alert_id="a1" if rule != OVERRIDE else "",
        at=at,
        until=until,
        reason="said so",
        evidence={},
        allows=allows,
        author="ada" if rule == OVERRIDE else None,
    )


def a_record(offset: int, rule: str, verdict: Suppression | None, headers: Headers = ()) -> Record:
    """Its record."""
    value = None if verdict is None else verdict.encode()
    return Record("suppressions", 0, offset, 1_000 + offset, suppression_key(PERSON, rule), value, headers)


def test_a_word_that_allows_takes_the_subject_out_of_what_holds_now(history: History, rows: Any) -> None:
    """While somebody's word allows a person, `suppressions_now` does not have them; the changes say who said what."""
    allow = a_verdict(OVERRIDE, at=2_000, allows=True)
    history.write([a_record(0, "opt_out", a_verdict())])
    assert [row["rule"] for row in rows("from suppressions_now")] == ["opt_out"]
    history.write([a_record(1, OVERRIDE, allow, words_header("ada", 2_000))])
    assert rows("from suppressions_now") == []
    history.write([a_record(2, OVERRIDE, None, words_header("bob", 3_000))])
    assert [row["rule"] for row in rows("from suppressions_now")] == ["opt_out"]
    found = rows("select rule, lifted, allows, author from suppressions order by log_offset")
    assert [tuple(row.values()) for row in found] == [
        ("opt_out", False, False, None),
        ("override", False, True, "ada"),
        ("override", True, False, "bob"),
    ]
    expired = msgspec.structs.replace(allow, until=5_000)
    history.write([a_record(3, OVERRIDE, expired, words_header("ada", 4_000))])
    assert [row["rule"] for row in rows("from suppressions_now")] == ["opt_out"]


def test_what_was_overtaken_changes_nothing(history: History, rows: Any) -> None:
    """A verdict whose cause lies before the last one's is neither a change nor what holds now."""
    stop, start = cause_header(10, 1_000), cause_header(11, 2_000)
    history.write(
        [
            a_record(0, "opt_out", a_verdict(), stop),
            a_record(1, "opt_out", None, start),
            a_record(2, "opt_out", a_verdict(at=9_000), stop),
        ]
    )
    assert rows("from suppressions_now") == []
    assert [row["lifted"] for row in rows("from suppressions order by log_offset")] == [False, True]
    assert rows("select count(*) as n from suppression_records") == [{"n": 3}]
    history.write([a_record(3, "opt_out", a_verdict(at=9_500), cause_header(12, 3_000))])
    assert [row["starts_at"].timestamp() for row in rows("from suppressions_now")] == [9.5]


def test_history_and_feed_agree(history: History, rows: Any) -> None:
    """After any order of verdicts, words and late repetitions, both say the same of who is suppressed."""
    choice = random.Random(7)
    held = HeldSuppressions()
    told: list[Record] = []
    for offset in range(100):
        rule = choice.choice(["opt_out", "repeat_calls", OVERRIDE])
        lifted = choice.random() < 0.4
        verdict = (
            None if lifted else a_verdict(rule, at=1_000 + offset, allows=rule == OVERRIDE and choice.random() < 0.7)
        )
        late = choice.randrange(30) if choice.random() < 0.3 else 0
        record = a_record(offset, rule, verdict, cause_header(offset - late, 1_000 + offset - late))
        if choice.random() < 0.1 and told:
            record = msgspec.structs.replace(choice.choice(told), offset=offset)
        told.append(record)
        change = Lifted(PERSON, rule, "") if record.value is None else Suppression.decode(record.value)
        if isinstance(change, Lifted) and record.key is not None:
            change = Lifted(PERSON, record.key.decode().split("\x1f")[1], "")
        cause = read_cause(record.headers)
        if not held.is_overtaken(change, cause):
            if isinstance(change, Lifted):
                held.lift(PERSON, change.rule, "", record.timestamp, cause)
            else:
                held.apply(change, record.value or b"", record.timestamp, cause)
        history.write([record])
        suppressed = held.standing(PERSON, record.timestamp).suppressed
        assert bool(rows("from suppressions_now")) == suppressed, offset


def test_a_history_of_before_is_migrated_with_its_rows(path: Path) -> None:
    """A file of version 1 with verdicts keeps them, and shows them as before."""
    path.parent.mkdir()
    connection = duckdb.connect(path)
    migrate(connection, MIGRATIONS[:1])
    for offset, lifted in enumerate((False, True, False)):
        connection.execute(
            "INSERT INTO suppression_records VALUES (0, ?, now(), 'contact', '+1', ?, 'opt_out', NULL, 'a', "
            "to_timestamp(?), NULL, 'r', '{}')",
            [offset, lifted, offset],
        )
    connection.close()
    history = History.open(path)
    try:
        changes = history.query("select lifted, allows, author from suppressions order by log_offset").to_pylist()
        assert changes == [{"lifted": lifted, "allows": False, "author": None} for lifted in (False, True, False)]
        assert history.query("from suppressions_now").num_rows == 1
    finally:
        history.close()
