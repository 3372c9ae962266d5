"""A result as people and programs want it: table, CSV, JSON, Parquet."""

from __future__ import annotations

import base64
import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table
from rich.text import Text

FORMATS = ("table", "csv", "json", "parquet")

# Wide enough that nothing is cut where no terminal sets a width: `ringwatch sql … | less -S`.
_UNBOUNDED = 10_000
# Rows turned into Python values at a time; the whole of a large answer would not fit twice.
_CHUNK_ROWS = 10_000


def write_result(result: pa.Table, form: str, stream: BinaryIO, *, width: int | None = None) -> None:
    """Write a result.

    Args:
        result: as `History.query` gives it.
        form: one of `FORMATS`. Times are ISO 8601 with a Z; unknown values are empty in table and CSV, null in JSON.
        stream: bytes go here.
        width: columns of the terminal, for `table`; None for as wide as it takes.

    Raises:
        ValueError: no such format.
    """
    if form == "parquet":
        pq.write_table(_plain(result), stream)
    elif form == "csv":
        _write_csv(result, stream)
    elif form == "json":
        _write_json(result, stream)
    elif form == "table":
        _write_table(result, stream, width)
    else:
        raise ValueError(f"format: {form!r} is not known; write one of {', '.join(FORMATS)}")


def _plain(result: pa.Table) -> pa.Table:
    """Types of DuckDB's own, such as JSON, as what they are stored in."""
    return pa.Table.from_arrays([_plain_column(column) for column in result.columns], names=result.column_names)


def _plain_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if pa.types.is_interval(column.type):
        # Months, days and nanoseconds: no file format and no JSON has them.
        return pa.chunked_array(
            [[None if item is None else _interval(item) for item in column.to_pylist()]], pa.string()
        )
    return column


def _interval(item: pa.MonthDayNano) -> str:
    """ISO 8601's words for an interval."""
    return f"P{item.months}M{item.days}DT{item.nanoseconds / 1e9:g}S"


def _rows(result: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows as JSON values; by position, since two columns may share a name."""
    plain = _plain(result)
    for batch in plain.to_batches(max_chunksize=_CHUNK_ROWS):
        columns = [[_value(item) for item in _items(column)] for column in batch.columns]
        yield from zip(*columns, strict=True)


def _items(column: pa.Array) -> list[Any]:
    # Python knows no nanoseconds.
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=column.type.tz), safe=False)
    items: list[Any] = column.to_pylist()
    return items


def _value(item: Any) -> Any:  # noqa: PLR0911 - one return a type reads best
    match item:
        case None | bool() | int() | str():
            return item
        case float():
            return item if math.isfinite(item) else None
        case Decimal():
            return int(item) if item == item.to_integral_value() else float(item)
        case datetime():
            return _iso(item)
        case date() | time():
            return item.isoformat()
        case timedelta():
            return item.total_seconds()
        case bytes():
            return _text(item)
        case dict():
            return {str(key): _value(child) for key, child in item.items()}
        case list() | tuple():
            return [_value(child) for child in item]
        case _:
            return str(item)


def _iso(moment: datetime) -> str:
    precision = "milliseconds" if moment.microsecond % 1_000 == 0 else "microseconds"
    if moment.tzinfo is None:
        return moment.isoformat(timespec=precision)
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(raw).decode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _write_csv(result: pa.Table, stream: BinaryIO) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(result.column_names)
        writer.writerows([_cell(value) for value in row] for row in _rows(result))
    finally:
        text.detach()  # the stream is the caller's to close


def _write_json(result: pa.Table, stream: BinaryIO) -> None:
    names = _unique(result.column_names)
    separator = b"[\n"
    for row in _rows(result):
        stream.write(separator + msgspec.json.encode(dict(zip(names, row, strict=True))))
        separator = b",\n"
    stream.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _unique(names: list[str]) -> list[str]:
    """A second column of one name gets a number, so that an object holds both."""
    taken: dict[str, int] = {}
    unique = []
    for name in names:
        taken[name] = taken.get(name, 0) + 1
        unique.append(name if taken[name] == 1 else f"{name}_{taken[name]}")
    return unique


def _write_table(result: pa.Table, stream: BinaryIO, width: int | None) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", write_through=True)
    try:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, kind in zip(result.column_names, result.schema.types, strict=True):
            numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
            # In a narrow terminal a cell is folded, never cut: a phone number without its end is another number.
            table.add_column(
                _safe(name), justify="right" if numeric else "left", overflow="fold", no_wrap=width is None
            )
        for row in _rows(result):
            table.add_row(*(_safe(_cell(value)) for value in row))
        Console(file=text, width=width or _UNBOUNDED, highlight=False, markup=False).print(table)
    finally:
        text.detach()  # the stream is the caller's to close


def _safe(text: str) -> Text:
    """Text of strangers, unable to steer the terminal."""
    if text.isprintable():
        return Text(text)
    return Text("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text))
