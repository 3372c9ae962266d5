from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sinks.history.output import FORMATS, write_result
from sinks.history.store import History

RESULT = pa.table(
    {
        "number": ["+12025550100", None],
        "calls": [3, 0],
        "asr": [0.25, float("nan")],
        "placed_at": pa.array([datetime(2026, 11, 23, 14, 0, 1, 250_000, UTC), None], pa.timestamp("us", tz="UTC")),
        "total": pa.array([Decimal(7), Decimal("1.5")], pa.decimal128(38, 1)),
    }
)


def written(result: pa.Table, form: str, width: int | None = None) -> bytes:
    """A result in a format."""
    stream = io.BytesIO()
    write_result(result, form, stream, width=width)
    assert not stream.closed
    return stream.getvalue()


def test_json_is_an_array_of_objects_with_times_in_utc() -> None:
    """JSON is an array of objects; times end in Z, numbers are numbers, unknown is null."""
    assert json.loads(written(RESULT, "json")) == [
        {"number": "+12025550100", "calls": 3, "asr": 0.25, "placed_at": "2026-11-23T14:00:01.250Z", "total": 7},
        {"number": None, "calls": 0, "asr": None, "placed_at": None, "total": 1.5},
    ]
    assert json.loads(written(RESULT.slice(0, 0), "json")) == []


def test_csv_has_a_header_and_empty_unknowns() -> None:
    """CSV has the columns' names first, and nothing where nothing is known: never 0."""
    assert written(RESULT, "csv").decode().splitlines() == [
        "number,calls,asr,placed_at,total",
        "+12025550100,3,0.25,2026-11-23T14:00:01.250Z,7",
        ",0,,,1.5",
    ]
    awkward = pa.table({"a,b": ['say "hi"\nthere']})
    assert list(csv.reader(io.StringIO(written(awkward, "csv").decode(), newline=""))) == [["a,b"], ['say "hi"\nthere']]


def test_parquet_is_read_back_the_same() -> None:
    """Parquet keeps names, types and values."""
    back = pq.read_table(io.BytesIO(written(RESULT.drop_columns(["asr"]), "parquet")))
    assert back.to_pylist() == RESULT.drop_columns(["asr"]).to_pylist()


def test_a_table_is_aligned_and_whole() -> None:
    """Without a terminal's width a table is as wide as it takes; a narrow one folds and cuts nothing."""
    lines = written(RESULT, "table").decode().splitlines()
    assert lines[0].split() == ["number", "calls", "asr", "placed_at", "total"]
    assert lines[1].split() == ["+12025550100", "3", "0.25", "2026-11-23T14:00:01.250Z", "7"]
    narrow = written(RESULT, "table", width=30).decode()
    assert max(len(line.rstrip()) for line in narrow.splitlines()) <= 30
    long = pa.table({"message": ["x" * 500]})
    assert "x" * 500 in written(long, "table").decode()
    assert written(long, "table", width=40).decode().count("x") == 500


def test_a_table_is_safe_for_the_terminal() -> None:
    """What strangers sent can't steer the terminal, nor is it taken for markup."""
    shown = written(pa.table({"said": ["\x1b[2Jstop [bold]now[/bold]"]}), "table").decode()
    assert "\x1b" not in shown
    assert "[bold]now[/bold]" in shown


def test_every_type_of_the_database_can_be_shown(history: History) -> None:
    """Each of DuckDB's own types can be written in each format."""
    types = history.query(
        "select 1::hugeint as h, 1.50::decimal(9, 2) as d, current_date as day, time '10:00:00' as t,"
        " interval 1 hour as i, uuid() as u, blob '\\xFF' as b, [1, 2] as l, {'a': 1, 'b': [now()]} as s,"
        " map {'k': 1} as m, '{\"a\": 1}'::json as j, '101'::bit as bits, timestamp_ns '2026-01-01 00:00:00.123456789'"
        " as ns, null as nothing, 'infinity'::double as inf, true as yes, timestamp '2026-01-01' as plain,"
        " 1 as twice, 2 as twice"
    )
    for form in FORMATS:
        assert written(types, form)
    (row,) = json.loads(written(types, "json"))
    assert (row["h"], row["d"], row["l"], row["inf"], row["nothing"], row["yes"]) == (1, 1.5, [1, 2], None, None, True)
    assert row["day"] == date.fromisoformat(row["day"]).isoformat()
    assert row["b"] == "base64:/w=="
    assert (row["plain"], row["ns"]) == ("2026-01-01T00:00:00.000", "2026-01-01T00:00:00.123456")
    assert row["twice"], row["twice_2"] == (1, 2)


def test_durations_are_seconds() -> None:
    """An elapsed time is its seconds."""
    table = pa.table({"took": pa.array([timedelta(seconds=90)], pa.duration("us"))})
    assert json.loads(written(table, "json")) == [{"took": 90.0}]


def test_unknown_formats_are_refused() -> None:
    """Another format is refused with the list of those there are."""
    with pytest.raises(ValueError, match="table, csv, json, parquet"):
        write_result(RESULT, "xml", io.BytesIO())
