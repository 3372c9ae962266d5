"""Rows as Arrow tables: column by column, which is what DuckDB takes fastest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from schemas.alert import Alert
from schemas.call import CallFact
from schemas.dead_letter import DeadLetter
from schemas.log import Record
from schemas.opt_out import OptOut
from schemas.suppression import Suppression, offset_of_cause, read_cause, time_of_cause
from sinks.history.rows import LAST_TIME, Lifted, StoredCallback

_TIME = pa.timestamp("us", tz="UTC")


def _texts(values: Iterable[str | None]) -> pa.Array:
    return pa.array(list(values), pa.string())


def _numbers(values: Iterable[int | None]) -> pa.Array:
    return pa.array(list(values), pa.int64())


def _codes(values: Iterable[int | None]) -> pa.Array:
    return pa.array(list(values), pa.int32())


def _flags(values: Iterable[bool]) -> pa.Array:
    return pa.array(list(values), pa.bool_())


def _times(values: Iterable[int | None]) -> pa.Array:
    milliseconds = _numbers(values)
    bounds = pc.min_max(milliseconds)
    lowest, highest = bounds["min"].as_py(), bounds["max"].as_py()
    if lowest is not None and (lowest < 0 or highest > LAST_TIME):
        raise ValueError(f"a time of {lowest if lowest < 0 else highest} ms lies outside the years 1970 to 9999")
    return milliseconds.cast(pa.timestamp("ms", tz="UTC")).cast(_TIME)


def _documents(values: Sequence[bytes]) -> pa.Array:
    """JSON texts as one array, laid out by hand: an array of many long texts is slow to build one by one."""
    offsets = [0]
    total = 0
    for value in values:
        total += len(value)
        offsets.append(total)
    joined = pa.py_buffer(b"".join(values))
    array = pa.LargeStringArray.from_buffers(
        len(values), pa.py_buffer(pa.array(offsets, pa.int64()).buffers()[1]), joined
    )
    array.validate(full=True)
    return array


def _places(records: Sequence[Record]) -> dict[str, pa.Array]:
    return {
        "log_partition": _codes(record.partition for record in records),
        "log_offset": _numbers(record.offset for record in records),
    }


def callback_table(rows: Sequence[tuple[Record, StoredCallback]]) -> pa.Table:
    """The columns of `callbacks`."""
    of = [callback for _, callback in rows]
    return pa.table(
        {
            **_places([record for record, _ in rows]),
            "received_at": _times([row.received_at for row in of]),
            "call_sid": _texts([row.call_sid for row in of]),
            "account_sid": _texts([row.account_sid or None for row in of]),
            "kind": _texts([row.kind for row in of]),
            "endpoint": _texts([row.endpoint for row in of]),
            "campaign": _texts([row.campaign for row in of]),
            "happened_at": _times([row.happened_at for row in of]),
            "status": _texts([row.status for row in of]),
            "sequence": _numbers([row.sequence for row in of]),
            "number": _texts([row.number for row in of]),
            "contact": _texts([row.contact for row in of]),
            "direction": _texts([row.direction for row in of]),
            "parent_call_sid": _texts([row.parent_call_sid for row in of]),
            "call_duration": _numbers([row.call_duration for row in of]),
            "sip_code": _codes([row.sip_code for row in of]),
            "answered_by": _texts([row.answered_by for row in of]),
            "stir_status": _texts([row.stir_status for row in of]),
            "event_id": _texts([row.event_id for row in of]),
            "problems": pa.array([row.problems for row in of], pa.list_(pa.string())),
            "params": _documents([bytes(row.params) for row in of]),
        }
    )


def _call_columns(facts: Sequence[CallFact]) -> dict[str, pa.Array]:
    return {
        "call_sid": _texts([fact.call_sid for fact in facts]),
        "account_sid": _texts([fact.account_sid or None for fact in facts]),
        "number": _texts([fact.number or None for fact in facts]),
        "contact": _texts([fact.contact or None for fact in facts]),
        "campaign": _texts([fact.campaign or None for fact in facts]),
        "direction": _texts([fact.direction for fact in facts]),
        "status": _texts([fact.status for fact in facts]),
        "answered_by": _texts([fact.answered_by for fact in facts]),
        "sip_code": _codes([fact.sip_code for fact in facts]),
        "stir_status": _texts([fact.stir_status for fact in facts]),
        "placed_at": _times([fact.placed_at for fact in facts]),
        "answered_at": _times([fact.answered_at for fact in facts]),
        "ended_at": _times([fact.ended_at for fact in facts]),
        "ring_seconds": _numbers([fact.ring_seconds for fact in facts]),
        "talk_seconds": _numbers([fact.talk_seconds for fact in facts]),
        "disposition": _texts([fact.after.disposition for fact in facts]),
        "parent_call_sid": _texts([fact.parent_call_sid for fact in facts]),
        "counted": _flags([fact.counted for fact in facts]),
        "revision": _numbers([fact.revision for fact in facts]),
    }


def fact_table(rows: Sequence[tuple[Record, CallFact]]) -> pa.Table:
    """The columns of `call_facts`."""
    facts = [fact for _, fact in rows]
    return pa.table(
        {
            **_places([record for record, _ in rows]),
            "fact": _texts([fact.fact for fact in facts]),
            "happened_at": _times([fact.at for fact in facts]),
            "origin_partition": _codes([fact.origin.partition for fact in facts]),
            "origin_offset": _numbers([fact.origin.offset for fact in facts]),
            "origin_index": _numbers([fact.origin.index for fact in facts]),
            **_call_columns(facts),
        }
    )


def call_table(facts: Sequence[CallFact]) -> pa.Table:
    """The columns of `open_calls` and `ended_calls`; `settled_at` is null while a call lasts."""
    return pa.table({**_call_columns(facts), "settled_at": _times([fact.after.ended_at for fact in facts])})


def alert_table(rows: Sequence[tuple[Record, Alert]]) -> pa.Table:
    """The columns of `alerts`."""
    alerts = [alert for _, alert in rows]
    return pa.table(
        {
            **_places([record for record, _ in rows]),
            "alert_id": _texts([alert.alert_id for alert in alerts]),
            "sequence": _numbers([alert.sequence for alert in alerts]),
            "rule": _texts([alert.rule for alert in alerts]),
            "subject_kind": _texts([alert.subject.kind for alert in alerts]),
            "subject_value": _texts([alert.subject.value for alert in alerts]),
            "state": _texts([alert.state for alert in alerts]),
            "severity": _texts([alert.severity for alert in alerts]),
            "happened_at": _times([alert.at for alert in alerts]),
            "since": _times([alert.since for alert in alerts]),
            "evidence": _documents([msgspec.json.encode(alert.evidence) for alert in alerts]),
            "message": _texts([alert.message for alert in alerts]),
        }
    )


def suppression_table(rows: Sequence[tuple[Record, Suppression | Lifted]]) -> pa.Table:
    """The columns of `suppression_records`; of a lifted one only which it was and when it ended."""
    verdicts = [verdict if isinstance(verdict, Suppression) else None for _, verdict in rows]
    causes = [read_cause(record.headers) for record, _ in rows]
    return pa.table(
        {
            **_places([record for record, _ in rows]),
            "recorded_at": _times([record.timestamp for record, _ in rows]),
            "subject_kind": _texts([verdict.subject.kind for _, verdict in rows]),
            "subject_value": _texts([verdict.subject.value for _, verdict in rows]),
            "lifted": _flags([verdict is None for verdict in verdicts]),
            "rule": _texts([verdict.rule for _, verdict in rows]),
            "scope": _texts([verdict.scope or None for _, verdict in rows]),
            "alert_id": _texts([verdict.alert_id if verdict else None for verdict in verdicts]),
            "starts_at": _times([verdict.at if verdict else None for verdict in verdicts]),
            "ends_at": _times([verdict.until if verdict else None for verdict in verdicts]),
            "reason": _texts([verdict.reason if verdict else None for verdict in verdicts]),
            "evidence": _texts(
                [msgspec.json.encode(verdict.evidence).decode() if verdict else None for verdict in verdicts]
            ),
            "allows": _flags([verdict is not None and verdict.allows for verdict in verdicts]),
            "author": _texts([verdict.author for _, verdict in rows]),
            "cause_offset": _numbers([offset_of_cause(cause) for cause in causes]),
            "cause_at": _numbers([time_of_cause(cause) for cause in causes]),
        }
    )


def opt_out_table(rows: Sequence[tuple[Record, OptOut]]) -> pa.Table:
    """The columns of `opt_outs`."""
    signals = [signal for _, signal in rows]
    return pa.table(
        {
            **_places([record for record, _ in rows]),
            "received_at": _times([signal.at for signal in signals]),
            "contact": _texts([signal.contact for signal in signals]),
            "opted_out": _flags([signal.opted_out for signal in signals]),
            "source": _texts([signal.source for signal in signals]),
            "channel": _texts([signal.channel for signal in signals]),
            "number": _texts([signal.number for signal in signals]),
            "campaign": _texts([signal.campaign for signal in signals]),
            "account_sid": _texts([signal.account_sid or None for signal in signals]),
            "sid": _texts([signal.sid for signal in signals]),
            "said": _texts([signal.said for signal in signals]),
            "endpoint": _texts([signal.endpoint for signal in signals]),
        }
    )


def dead_letter_table(rows: Sequence[tuple[Record, DeadLetter]]) -> pa.Table:
    """The columns of `dead_letters`."""
    letters = [letter for _, letter in rows]
    return pa.table(
        {
            "log_topic": _texts([record.topic for record, _ in rows]),
            **_places([record for record, _ in rows]),
            "source": _texts([letter.source for letter in letters]),
            "reason": _texts([letter.reason for letter in letters]),
            "set_aside_at": _times([letter.at for letter in letters]),
            "key": pa.array([letter.key for letter in letters], pa.binary()),
            "body": pa.array([letter.body for letter in letters], pa.binary()),
        }
    )
