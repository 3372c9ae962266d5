"""Records read into the rows of their tables; what can't be read becomes a dead letter."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.alert import Alert, Subject
from schemas.call import CallFact
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.log import Record
from schemas.opt_out import OptOut
from schemas.suppression import Suppression, read_author, read_suppression_key
from schemas.topics import ALERTS, CALLBACKS, CALLS, DEADLETTERS, OPTOUTS, SUPPRESSIONS
from schemas.wire import UnreadableRecordError

LAST_TIME = 253_402_300_799_999
"""The last millisecond that every client can show: Python's datetime ends with the year 9999."""


class StoredCallback(Callback, frozen=True, kw_only=True):
    """A callback whose parameters stay the JSON they came as: half the cost of reading and writing them anew."""

    params: msgspec.Raw  # type: ignore[assignment]  # the same bytes, unread


class Lifted(msgspec.Struct, frozen=True):
    """The end of one suppression of a subject: a record without a value; `author` is who ended it, if a person did."""

    subject: Subject
    rule: str
    scope: str
    author: str | None = None


class Rows(msgspec.Struct, frozen=True):
    """Rows by table, each beside the record it came in."""

    callbacks: list[tuple[Record, StoredCallback]]
    facts: list[tuple[Record, CallFact]]
    alerts: list[tuple[Record, Alert]]
    suppressions: list[tuple[Record, Suppression | Lifted]]
    opt_outs: list[tuple[Record, OptOut]]
    dead_letters: list[tuple[Record, DeadLetter]]


def read_rows(records: Sequence[Record]) -> Rows:
    """Read every record; none stops the others.

    Ticks are no requests and have no row. The tombstone of any topic but `suppressions` says nothing to the history.
    """
    rows = Rows([], [], [], [], [], [])
    for record in records:
        if record.value is None and record.topic != SUPPRESSIONS.name:
            continue
        try:
            _read(rows, record)
        except UnreadableRecordError as error:
            rows.dead_letters.append((record, set_aside(record, str(error))))
    return rows


def place_of(record: Record) -> str:
    """Where a record lies, as the source of a dead letter says it."""
    return f"{record.topic}[{record.partition}]@{record.offset}"


def set_aside(record: Record, reason: str) -> DeadLetter:
    """Make the dead letter of a record that has no row."""
    return DeadLetter(
        source=place_of(record),
        reason=reason,
        at=min(max(record.timestamp, 0), LAST_TIME),
        key=record.key,
        body=record.value or b"",
    )


def _read(rows: Rows, record: Record) -> None:
    value = record.value or b""
    topic = record.topic
    if topic == CALLBACKS.name:
        callback = StoredCallback.decode(value)
        if not bytes(callback.params).startswith(b"{"):
            raise UnreadableRecordError("no Callback: params is no object")
        if callback.kind is not CallbackKind.TICK:
            rows.callbacks.append((record, callback))
    elif topic == CALLS.name:
        rows.facts.append((record, CallFact.decode(value)))
    elif topic == ALERTS.name:
        rows.alerts.append((record, Alert.decode(value)))
    elif topic == SUPPRESSIONS.name:
        verdict = _read_lifted(record) if record.value is None else Suppression.decode(value)
        rows.suppressions.append((record, verdict))
    elif topic == OPTOUTS.name:
        rows.opt_outs.append((record, OptOut.decode(value)))
    elif topic == DEADLETTERS.name:
        rows.dead_letters.append((record, DeadLetter.decode(value)))
    else:
        raise UnreadableRecordError(f"the history has no table for the topic {topic!r}")


def _read_lifted(record: Record) -> Lifted:
    """Read the key of a tombstone, the only thing that says which suppression it lifts."""
    try:
        return Lifted(*read_suppression_key(record.key or b""), read_author(record.headers))
    except ValueError as error:
        raise UnreadableRecordError(f"no tombstone of a suppression: {error}") from error
