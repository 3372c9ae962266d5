"""The DuckDB file that keeps everything: rows and the offsets they came from, in one transaction."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb
import msgspec
import pyarrow as pa

from schemas.log import Positions, Record
from sinks.history import columns
from sinks.history.calls import Origins, apply_facts, unseen
from sinks.history.database import open_database
from sinks.history.errors import HistoryError, one_line
from sinks.history.query import run_query
from sinks.history.rows import Rows, place_of, read_rows, set_aside

# Queries at once: more would leave the writer no processor; the others wait their turn.
_QUERIES_AT_ONCE = 2

# Queries notice an interrupt within milliseconds, but for those inside of one long function.
_CLOSE_SECONDS = 5.0
_GLANCE_SECONDS = 0.02

# What one record can be at fault for; the record is set aside, the others are written.
_DATA_ERRORS = (duckdb.DataError, ValueError, TypeError, OverflowError)


class Written(msgspec.Struct, frozen=True):
    """What a write did.

    Attributes:
        rows: rows added by table.
        skipped: records that were there before.
        set_aside: records that could not be read and went to `dead_letters`.
    """

    rows: dict[str, int]
    skipped: int = 0
    set_aside: int = 0


class History:
    """The history, for one writer and many readers of one process; made by `History.open`.

    DuckDB lets one process write a file. Queries run beside the writer, on connections of their own, and see whole
    transactions.
    """

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._connection = connection
        self._writing = threading.Lock()
        self._queries: set[duckdb.DuckDBPyConnection] = set()
        self._query_slots = threading.BoundedSemaphore(_QUERIES_AT_ONCE)
        self._offsets: Positions | None = None
        self._origins: Origins = {}
        self._invalid = False

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Self:
        """Open the file, making or migrating it unless read-only.

        Raises:
            HistoryMissingError: read-only, and there is no file.
            NewerHistoryError: written by a newer program; nothing is touched.
            HistoryDamagedError: no history, or a damaged one; nothing is touched.
            HistoryInUseError: another process has it open; nothing is touched.
            HistoryError: the system does not let it be opened.
        """
        return cls(path, open_database(path, read_only=read_only), read_only=read_only)

    def positions(self, topics: Mapping[str, int]) -> Positions:
        """Where to read on: the next offset of each topic's partitions, 0 where nothing was written yet.

        Args:
            topics: count of partitions by topic.
        """
        with self._writing:
            offsets = self._known_offsets()
            return {
                (topic, partition): offsets.get((topic, partition), 0)
                for topic, count in topics.items()
                for partition in range(count)
            }

    def write(self, records: Sequence[Record]) -> Written:
        """Write records, in order of offset per partition, and where to read on, in one transaction.

        A record below the stored offset is skipped. One that can't be read goes to `dead_letters` with the reason.

        Raises:
            duckdb.Error: nothing was written, or all of it was; the same call may be made again.
            HistoryError: the file can't be opened again after DuckDB gave it up.
        """
        if self.read_only:
            raise HistoryError(f"{self.path}: open for reading only")
        with self._writing:
            offsets = dict(self._known_offsets())
            fresh = []
            for record in records:
                lane = (record.topic, record.partition)
                if record.offset >= offsets.get(lane, 0):
                    offsets[lane] = record.offset + 1
                    fresh.append(record)
            totals: dict[str, int] = {}
            aside = self._write_or_split(fresh, totals) if fresh else 0
            return Written(totals, len(records) - len(fresh), aside)

    def query(self, sql: str, limit: int | None = None, seconds: float | None = None) -> pa.Table:
        """Answer one reading statement beside the writer; see `run_query` for what is refused.

        Args:
            sql: one SELECT, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN.
            limit: rows to return at most; None for all. The table's metadata `truncated` tells if there were more.
            seconds: how long it may run; None for ever.

        Raises:
            QueryError: refused, failed or timed out.
        """
        return run_query(self._connection, self._query_slots, self._queries, sql, limit, seconds)

    def close(self) -> None:
        """Interrupt queries, write everything into the file itself, and let go of it."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        while self._queries and time.monotonic() < deadline:
            for cursor in tuple(self._queries):
                cursor.interrupt()
            time.sleep(_GLANCE_SECONDS)
        with self._writing:
            if not self.read_only and not self._invalid:
                # Should it fail: what is committed is safe in the write-ahead log, and the next start replays it.
                with contextlib.suppress(duckdb.Error):
                    self._connection.execute("CHECKPOINT")
            # A query inside of one endless function can't be interrupted, and holds on to its connection.
            with contextlib.suppress(duckdb.Error):
                self._connection.close()

    def _reopen(self) -> None:
        self._connection.close()
        self._connection = open_database(self.path, read_only=False)
        self._offsets = None
        self._invalid = False

    def _known_offsets(self) -> Positions:
        if self._invalid:
            self._reopen()
        if self._offsets is None:
            cursor = self._connection.cursor()
            try:
                stored = cursor.execute("SELECT topic, partition, next_offset FROM source_offsets").fetchall()
                seen = cursor.execute("SELECT * FROM fact_origins").fetchall()
            finally:
                cursor.close()
            self._origins = {(lane, source): (offset, index) for lane, source, offset, index in seen}
            self._offsets = {(topic, partition): offset for topic, partition, offset in stored}
        return self._offsets

    def _write_or_split(self, records: Sequence[Record], totals: dict[str, int]) -> int:
        """Write in one transaction; where a record's data is refused, halve until it stands alone, and set it aside."""
        rows = read_rows(records)
        try:
            return self._commit(records, rows, totals)
        except _DATA_ERRORS as error:
            if len(records) == 1:
                (record,) = records
                letter = set_aside(record, one_line(error))
                alone = Rows([], [], [], [], [], [(record, letter)])
                return self._commit(records, alone, totals)
        middle = len(records) // 2
        return self._write_or_split(records[:middle], totals) + self._write_or_split(records[middle:], totals)

    def _commit(self, records: Sequence[Record], rows: Rows, totals: dict[str, int]) -> int:
        offsets = dict(self._known_offsets())
        offsets.update({(record.topic, record.partition): record.offset + 1 for record in records})
        origins = dict(self._origins)
        facts = unseen(rows.facts, origins)
        cursor = self._connection.cursor()
        try:
            cursor.execute("BEGIN TRANSACTION")
            added = {
                "callbacks": _append(cursor, "callbacks", columns.callback_table, rows.callbacks),
                "call_facts": _append(cursor, "call_facts", columns.fact_table, facts),
                "alerts": _append(cursor, "alerts", columns.alert_table, rows.alerts, _NEW_TRANSITIONS),
                "suppression_records": _append(
                    cursor, "suppression_records", columns.suppression_table, rows.suppressions
                ),
                "opt_outs": _append(cursor, "opt_outs", columns.opt_out_table, rows.opt_outs),
                "dead_letters": _append(
                    cursor, "dead_letters", columns.dead_letter_table, rows.dead_letters, _NEW_LETTERS
                ),
            }
            apply_facts(cursor, [fact for _, fact in facts])
            _replace(cursor, "source_offsets", [(*lane, offset) for lane, offset in offsets.items()])
            if facts:
                _replace(cursor, "fact_origins", [(*lane, *origin) for lane, origin in origins.items()])
            cursor.execute("COMMIT")
        except BaseException as error:
            # Whether a failed commit reached the disk only the file knows.
            self._offsets = None
            self._invalid = isinstance(error, (duckdb.FatalException, duckdb.InternalException))
            raise
        finally:
            # A transaction that was not committed ends with its connection.
            cursor.close()
        self._offsets, self._origins = offsets, origins
        for table, count in added.items():
            if count:
                totals[table] = totals.get(table, 0) + count
        return sum(letter.source == place_of(record) for record, letter in rows.dead_letters)


# A transition or letter that was emitted again after a crash has another offset, and is not written again.
_NEW_TRANSITIONS = """
    WHERE NOT EXISTS (FROM alerts AS old WHERE old.alert_id = batch.alert_id AND old.sequence = batch.sequence)
    QUALIFY row_number() OVER (PARTITION BY alert_id, sequence ORDER BY log_offset) = 1
"""
_NEW_LETTERS = """
    WHERE NOT contains(source, ']@') OR source NOT IN (SELECT old.source FROM dead_letters AS old)
    QUALIFY NOT contains(source, ']@') OR row_number() OVER (PARTITION BY source ORDER BY log_topic, log_offset) = 1
"""


def _append(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    build: Callable[[Sequence[Any]], pa.Table],
    rows: Sequence[object],
    condition: str = "",
) -> int:
    """Insert rows and return how many were new; columns are matched by name."""
    if not rows:
        return 0
    cursor.register("batch", build(rows))
    result = cursor.execute(f"INSERT INTO {table} BY NAME SELECT * FROM batch {condition}").fetchone()  # noqa: S608 - constants of this file
    cursor.unregister("batch")
    return int(result[0]) if result else 0


def _replace(cursor: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[str | int, ...]]) -> None:
    """Write a small table anew; it has no index, so that what is deleted is reclaimed."""
    cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - constants of this file
    names = [str(place) for place in range(len(rows[0]))]
    cursor.register(
        "batch", pa.table(dict(zip(names, (list(column) for column in zip(*rows, strict=True)), strict=True)))
    )
    cursor.execute(f"INSERT INTO {table} SELECT * FROM batch")  # noqa: S608 - constants of this file
    cursor.unregister("batch")
