"""From facts to one row a call: the fact with the highest revision stands, whatever order they came in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from schemas.call import CallFact
from schemas.log import Record
from sinks.history.columns import call_table

Origins = dict[tuple[int, int], tuple[int, int]]
"""The highest origin (offset, index) seen, by partition of `calls` and of `callbacks`."""


def unseen(rows: Sequence[tuple[Record, CallFact]], origins: Origins) -> list[tuple[Record, CallFact]]:
    """Leave out facts that were made again after a crash: their origin does not ascend. Updates `origins`."""
    fresh = []
    for record, fact in rows:
        lane = (record.partition, fact.origin.partition)
        origin = (fact.origin.offset, fact.origin.index)
        seen = origins.get(lane)
        if seen is None or origin > seen:
            origins[lane] = origin
            fresh.append((record, fact))
    return fresh


def apply_facts(cursor: duckdb.DuckDBPyConnection, facts: Sequence[CallFact]) -> None:
    """Bring `open_calls` and `ended_calls` up to the facts, inside the caller's transaction."""
    latest: dict[str, CallFact] = {}
    for fact in facts:
        held = latest.get(fact.call_sid)
        if held is None or fact.revision > held.revision:
            latest[fact.call_sid] = fact
    if not latest:
        return
    # `ended_calls` lies in order of time, roughly: nothing before the earliest time these calls know of need be read.
    since = datetime.fromtimestamp(min(_earliest(fact) for fact in latest.values()) / 1_000, UTC)
    cursor.register("incoming", pa.table({"call_sid": list(latest)}))
    standing: dict[str, int] = dict(
        cursor.execute(
            """
            SELECT call_sid, revision FROM open_calls WHERE call_sid IN (SELECT call_sid FROM incoming)
            UNION ALL
            SELECT call_sid, revision FROM ended_calls
            WHERE settled_at >= ? AND call_sid IN (SELECT call_sid FROM incoming)
            """,
            [since],
        ).fetchall()
    )
    cursor.unregister("incoming")
    newer = [fact for fact in latest.values() if fact.revision > standing.get(fact.call_sid, -1)]
    replaced = [fact.call_sid for fact in newer if fact.call_sid in standing]
    if replaced:
        cursor.register("replaced", pa.table({"call_sid": replaced}))
        cursor.execute("DELETE FROM open_calls WHERE call_sid IN (SELECT call_sid FROM replaced)")
        cursor.execute(
            "DELETE FROM ended_calls WHERE settled_at >= ? AND call_sid IN (SELECT call_sid FROM replaced)", [since]
        )
        cursor.unregister("replaced")
    if newer:
        cursor.register("newer", call_table(newer))
        cursor.execute("INSERT INTO open_calls SELECT * EXCLUDE settled_at FROM newer WHERE settled_at IS NULL")
        cursor.execute("INSERT INTO ended_calls SELECT * FROM newer WHERE settled_at IS NOT NULL")
        cursor.unregister("newer")


def _earliest(fact: CallFact) -> int:
    earliest = fact.after.attempted_at
    if fact.after.ended_at is not None:
        earliest = min(earliest, fact.after.ended_at)
    if fact.before is not None:
        earliest = min(earliest, fact.before.attempted_at)
        if fact.before.ended_at is not None:
            earliest = min(earliest, fact.before.ended_at)
    return max(earliest, 0)
