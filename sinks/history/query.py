"""Queries from people: one reading statement, no files, no network, an end in time and in size."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator

import duckdb
import pyarrow as pa

from sinks.history.errors import QueryError, one_line

# What the joins and sorts of one query may hold; well below the memory of the whole history.
_QUERY_MEMORY = "1GB"
# Rows fetched at a time, DuckDB's own step; the limits are checked in between.
_FETCH_ROWS = 2_048
# An answer is held in memory whole, here and at its reader.
_ANSWER_BYTES = 256 * 1024 * 1024

# Table functions that only compute or describe. All others read files, change the process, or may one day.
_HARMLESS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "summary",
        "unnest",
    }
)

_EXPLAIN = re.compile(r"\s*explain\s+(analyze\s+)?", re.IGNORECASE)
_READS_ONLY = "only one reading statement is answered: SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN"


def run_query(
    connection: duckdb.DuckDBPyConnection,
    slots: threading.BoundedSemaphore,
    running: set[duckdb.DuckDBPyConnection],
    sql: str,
    limit: int | None,
    seconds: float | None,
) -> pa.Table:
    """Answer a query on a connection of its own, in a read-only transaction.

    Refused are writes in whatever guise, several statements, settings, and table functions that do more than compute.

    Args:
        connection: the database's.
        slots: bounds how many run at once.
        running: the cursors of queries under way, for who wants to interrupt them.
        sql: the statement.
        limit: rows to return at most; None for all.
        seconds: how long it may wait and run; None for ever.

    Raises:
        QueryError: refused, failed or timed out; the text is one line.
    """
    if limit is not None and limit < 0:
        raise QueryError(f"limit: {limit} is below zero; write how many rows to return at most")
    if not slots.acquire(timeout=seconds):
        raise QueryError(f"other queries kept this one waiting for {seconds:g} s; try again")
    try:
        cursor = connection.cursor()
    except duckdb.Error as error:
        slots.release()
        raise QueryError(f"the history is closed or unavailable: {one_line(error)}") from error
    timed_out = threading.Event()

    def stop() -> None:
        timed_out.set()
        cursor.interrupt()

    timer = threading.Timer(seconds, stop) if seconds is not None else None
    running.add(cursor)
    try:
        if timer:
            timer.daemon = True
            timer.start()
        _check(cursor, sql)
        cursor.execute(f"SET operator_memory_limit = '{_QUERY_MEMORY}'")
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        return _collect(cursor.sql(sql).to_arrow_reader(_FETCH_ROWS), limit)
    except (duckdb.Error, pa.ArrowException, OSError, RuntimeError, ValueError) as error:
        if timed_out.is_set():
            raise QueryError(f"stopped after {seconds:g} s; ask for less, e.g. a shorter time") from error
        raise QueryError(one_line(error)) from error
    finally:
        if timer:
            timer.cancel()
            timer.join()
        running.discard(cursor)
        cursor.close()
        slots.release()


def _check(cursor: duckdb.DuckDBPyConnection, sql: str) -> None:
    try:
        statements = cursor.extract_statements(sql)
    except ValueError as error:  # a kind of statement that the client library has no name for
        raise QueryError(_READS_ONLY) from error
    if len(statements) != 1:
        raise QueryError(f"{len(statements)} statements; {_READS_ONLY}")
    text = sql
    if statements[0].type == duckdb.StatementType.EXPLAIN:
        text, found = _EXPLAIN.subn("", sql, count=1)
        if not found or _EXPLAIN.match(sql) is None:
            raise QueryError("write EXPLAIN or EXPLAIN ANALYZE first, then the SELECT")
    elif statements[0].type != duckdb.StatementType.SELECT:
        raise QueryError(_READS_ONLY)
    row = cursor.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree.get("error"):
        raise QueryError(_READS_ONLY)
    for function in _table_functions(tree):
        if function.lower() not in _HARMLESS:
            raise QueryError(f"{function}() is not available here; query the history's own tables: SHOW TABLES")


def _table_functions(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "TABLE_FUNCTION":
            yield str(node.get("function", {}).get("function_name"))
        for child in node.values():
            yield from _table_functions(child)
    elif isinstance(node, list):
        for child in node:
            yield from _table_functions(child)


def _collect(reader: pa.RecordBatchReader, limit: int | None) -> pa.Table:
    batches = []
    rows = size = 0
    truncated = False
    for batch in reader:
        if limit is not None and rows + batch.num_rows > limit:
            batches.append(batch.slice(0, limit - rows))
            truncated = True
            break
        batches.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if size > _ANSWER_BYTES:
            raise QueryError(f"the answer is larger than {_ANSWER_BYTES // 1024**2} MiB; ask for less or add a LIMIT")
    table = pa.Table.from_batches(batches, reader.schema)
    return table.replace_schema_metadata({**(table.schema.metadata or {}), "truncated": str(truncated).lower()})


def is_truncated(result: pa.Table) -> bool:
    """Whether a query had more rows than its limit."""
    return (result.schema.metadata or {}).get(b"truncated") == b"true"
