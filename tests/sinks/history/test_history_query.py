from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinks.history.errors import QueryError
from sinks.history.query import is_truncated
from sinks.history.store import History


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """An empty history that no test may change."""
    history = History.open(tmp_path_factory.mktemp("query") / "data" / "history.duckdb")
    yield history
    history.close()


ENDLESS = "with recursive t as (select 1 as n union all select n + 1 from t) select count(*) from t"


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from calls",
        "SELECT 1;",
        "from callbacks",
        "values (1), (2)",
        "with a as (select 1 as n) select n from a",
        "describe calls",
        "show tables",
        "summarize calls",
        "explain select * from calls",
        "explain analyze select 1",
        "select * from range(3)",
        "select unnest([1, 2])",
        "select column_name from information_schema.columns",
        "select count(*) from calls where placed_at > now() - interval 1 hour",
        "select date_trunc('hour', placed_at) as hour, count(*) from calls group by 1",
        "-- a comment\nselect 1",
    ],
)
def test_reading_statements_are_answered(untouched: History, sql: str) -> None:
    """SELECT in all its forms, DESCRIBE, SHOW, SUMMARIZE and EXPLAIN are answered."""
    assert untouched.query(sql, 100, 10).num_columns > 0


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "-- nothing",
        "selec 1",
        "select 1; select 2",
        "select 1; drop table callbacks",
        "copy callbacks to '{folder}/stolen.csv'",
        "copy (select 1) to '{folder}/stolen.parquet'",
        "copy callbacks from '/etc/passwd'",
        "explain copy (select 1) to '{folder}/stolen.csv'",
        "explain analyze copy (select 1) to '{folder}/stolen.csv'",
        "explain analyze insert into source_offsets values ('x', 0, 1)",
        "explain analyze delete from callbacks",
        "explain analyze create table stolen (a integer)",
        "/* explain */ explain analyze checkpoint",
        "export database '{folder}/stolen'",
        "import database '{folder}'",
        "attach '{folder}/stolen.duckdb'",
        "detach history",
        "use memory",
        "install httpfs",
        "load httpfs",
        "update extensions",
        "pragma enable_profiling",
        "pragma table_info('calls')",
        "call pragma_version()",
        "checkpoint",
        "force checkpoint",
        "vacuum",
        "analyze",
        "set threads = 1",
        "set operator_memory_limit = '100GB'",
        "set lock_configuration = false",
        "reset memory_limit",
        "set variable a = 1",
        "begin",
        "commit",
        "rollback",
        "prepare p as select 1",
        "execute p",
        "create table stolen as select 1",
        "create temp table stolen as select 1",
        "create or replace view calls as select 1",
        "create macro stolen() as 1",
        "create secret (type s3)",
        "drop table callbacks",
        "alter table callbacks drop column params",
        "comment on table callbacks is 'x'",
        "insert into source_offsets values ('x', 0, 1)",
        "update source_offsets set next_offset = 0",
        "delete from callbacks",
        "truncate callbacks",
        "merge into source_offsets using source_offsets as s on true when matched then delete",
        "with w as (insert into source_offsets values ('x', 0, 1) returning *) select * from w",
        "with w as (delete from callbacks returning *) select * from w",
        "select * from read_csv('/etc/passwd')",
        "select * from read_text('/etc/passwd')",
        "select * from read_blob('{folder}/data/history.duckdb')",
        "select * from read_duckdb('{folder}/data/history.duckdb')",
        "from '/etc/passwd'",
        "from '{folder}/data/history.duckdb'",
        "select (select count(*) from read_text('/etc/passwd'))",
        "describe select * from read_text('/etc/passwd')",
        "summarize from read_csv('/etc/passwd')",
        "explain analyze select * from READ_TEXT('/etc/passwd')",
        "select * from system.main.read_text('/etc/passwd')",
        "select * from \"read_text\"('/etc/passwd')",
        "select * from query('select * from read_text(''/etc/passwd'')')",
        "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
        "select * from parquet_scan('http://127.0.0.1:1/x')",
        "select * from glob('/*')",
        "select * from sniff_csv('/etc/passwd')",
        "select * from checkpoint()",
        "select * from force_checkpoint()",
        "select * from enable_logging()",
        "select * from duckdb_secrets()",
        "select * from history",
        "select getenv('HOME')",
        "pivot calls on status",
    ],
)
def test_hostile_statements_are_refused(untouched: History, sql: str) -> None:
    """Writes, settings, files, network and several statements are refused with one line, and nothing happens."""
    history, folder = untouched, untouched.path.parent.parent
    before = {file.name for file in folder.rglob("*")}
    with pytest.raises(QueryError) as refusal:
        history.query(sql.format(folder=folder), 100, 10)
    assert "\n" not in str(refusal.value)
    assert {file.name for file in folder.rglob("*")} == before
    assert history.query("select count(*) as n from source_offsets").to_pylist() == [{"n": 0}]
    assert history.query("select current_setting('lock_configuration') as locked").to_pylist() == [{"locked": True}]


@pytest.mark.parametrize(
    "sql",
    [
        ENDLESS,
        "select count(*) from range(1000000000) as a(i), range(1000000000) as b(j) where a.i <> b.j",
        "select pg_sleep(60)",
        "explain analyze " + ENDLESS,
        "select i from range(100000000000) as t(i) where i < 0",
    ],
)
def test_an_endless_query_is_stopped(untouched: History, sql: str) -> None:
    """A query past its time is interrupted and says so, and the next one is answered."""
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"stopped after 0\.2 s"):
        untouched.query(sql, 10, 0.2)
    assert time.monotonic() - started < 3
    assert untouched.query("select 1 as n", 10, 5).to_pylist() == [{"n": 1}]


def test_a_giant_result_is_cut_at_the_limit(untouched: History) -> None:
    """More rows than the limit are not fetched, and the result says that there were more."""
    started = time.monotonic()
    result = untouched.query("select i, repeat('x', 1000) as wide from range(100000000000) as t(i)", 25_000, 20)
    assert (result.num_rows, is_truncated(result)) == (25_000, True)
    assert time.monotonic() - started < 10
    exact = untouched.query("from range(25)", 25)
    assert (exact.num_rows, is_truncated(exact)) == (25, False)


def test_a_giant_cell_is_refused(untouched: History) -> None:
    """An answer too large for memory is refused, be it few rows."""
    with pytest.raises(QueryError, match=r"larger than|Out of Memory|memory"):
        untouched.query("select repeat('x', 20000) as wide from range(100000)", None, 30)


def test_a_negative_limit_is_refused(untouched: History) -> None:
    """A limit below zero is refused with what to write instead."""
    with pytest.raises(QueryError, match="how many rows"):
        untouched.query("select 1", -1)


def test_variables_of_the_program_are_no_tables(untouched: History) -> None:
    """A query can't reach into the program's own variables."""
    batch = {"secret": [1]}
    assert batch
    with pytest.raises(QueryError, match="does not exist"):
        untouched.query("select * from batch")


def test_queries_answer_while_ingest_runs(history: History, make: Any) -> None:
    """Readers on other threads see whole transactions only, and neither side ever fails."""
    stop = threading.Event()
    failures: list[Exception] = []
    seen: list[int] = []

    def read() -> None:
        try:
            while not stop.is_set():
                (row,) = history.query(
                    "select (select count(*) from callbacks) as n, (select count(*) from calls) as c,"
                    " (select coalesce(sum(next_offset), 0)::bigint from source_offsets where topic = 'callbacks')"
                    " as o",
                    10,
                    30,
                ).to_pylist()
                assert row["n"] == row["o"] == 50 * row["c"], row
                seen.append(row["n"])
        except (AssertionError, QueryError) as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(30):
        history.write(
            make.records("callbacks", [make.callback(n).encode() for n in range(50)], first=50 * turn)
            + make.records("calls", [make.fact(turn, 0, turn).encode()], first=turn)
        )
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert seen == sorted(seen) or len(set(seen)) > 1
    assert history.query("select count(*) as n from callbacks").to_pylist() == [{"n": 1_500}]


def test_more_queries_than_places_wait_their_time(untouched: History) -> None:
    """With every place taken by long queries, one more says after its time that others kept it waiting."""

    def hold() -> None:
        with pytest.raises(QueryError):
            untouched.query(ENDLESS, 1, 1.0)

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for holder in holders:
        holder.start()
    time.sleep(0.2)
    with pytest.raises(QueryError, match=r"waiting for 0\.1 s"):
        untouched.query("select 1", 1, 0.1)
    for holder in holders:
        holder.join()
    assert untouched.query("select 1 as n", 1, 1).num_rows == 1


def test_a_closed_history_says_so(path: Path) -> None:
    """A query of a closed history is refused with a clear line."""
    history = History.open(path)
    history.close()
    with pytest.raises(QueryError, match="closed"):
        history.query("select 1")


def test_closing_interrupts_a_query_that_runs(tmp_path: Path) -> None:
    """A history that is closed while a long query runs stops the query and closes."""
    history = History.open(tmp_path / "history.duckdb")
    said: list[BaseException] = []

    def ask() -> None:
        try:
            history.query("select count(*) from range(1000000000) a, range(1000000000) b")
        except QueryError as error:
            said.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    deadline = time.monotonic() + 20
    while not history._queries and time.monotonic() < deadline:
        time.sleep(0.01)
    history.close()
    asking.join(20)
    assert not asking.is_alive()
    assert said
    History.open(tmp_path / "history.duckdb").close()
