from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sinks.history.store import History


@pytest.fixture(scope="module")
def history(told: Any) -> Iterator[History]:
    """The history that the told folder has."""
    opened = History.open(told.folder / "data" / "history.duckdb", read_only=True)
    yield opened
    opened.close()


def test_the_history_answers_while_ringwatch_runs(told: Any) -> None:
    """`ringwatch sql` is answered by the running program."""
    assert told.sql_while_running.code == 0, told.sql_while_running.err
    header, calls = told.sql_while_running.out.split()
    assert (header, int(calls) > 50) == ("calls", True)


def test_every_sql_example_is_answered(pages: list[Any], history: History) -> None:
    """Each SQL query of the documentation runs against a history with data."""
    queries = [(page.path.name, query) for page in pages for query in page.fenced("sql")]
    queries += [
        (page.path.name, words[-1])
        for page in pages
        for words in page.commands()
        if words[0] == "sql" and " " in words[-1]
    ]
    assert len(queries) >= 9
    for name, query in queries:
        assert history.query(query).num_columns > 0, f"{name}: {query}"


def test_the_useful_queries_say_something(page: Callable[[str], Any], history: History) -> None:
    """The six queries of docs/sql.md have rows, but for numbers suppressed and opt-outs of a week that is over."""
    queries = page("docs/sql.md").fenced("sql")
    assert len(queries) == 6
    for query in queries:
        found = history.query(query)
        if "suppressions_now" not in query:
            assert found.num_rows > 0, query
        assert len(set(found.column_names)) == found.num_columns


def test_the_asr_of_the_example_is_a_share(page: Callable[[str], Any], history: History) -> None:
    """The ASR per number and day lies between 0 and 1 and agrees with its own counts."""
    [query] = [query for query in page("docs/sql.md").fenced("sql") if "asr" in query]
    for row in history.query(query).to_pylist():
        assert 0 <= row["answered_calls"] <= row["seizures"]
        assert row["asr"] is None or abs(row["asr"] - row["answered_calls"] / row["seizures"]) < 0.001


def test_the_columns_are_those_of_the_history(page: Callable[[str], Any], history: History) -> None:
    """docs/sql.md lists every column of the tables it describes, in order and with its type."""
    text = page("docs/sql.md").text
    types = {
        (row["table_name"], row["column_name"]): row["data_type"].replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
        for row in history.query("select table_name, column_name, data_type from duckdb_columns()").to_pylist()
    }
    sections = re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    described = []
    for name, body in sections:
        rows = re.findall(r"^\| `(\w+)` \| ([A-Z\[\]]+) \|", body, re.MULTILINE)
        if rows:
            described.append(name)
            assert rows == [(column, kind) for (table, column), kind in types.items() if table == name], name
    assert described == ["calls", "callbacks", "alerts", "opt_outs", "suppressions", "dead_letters"]


def test_every_table_is_named(page: Callable[[str], Any], history: History) -> None:
    """docs/sql.md names every table and view that SHOW TABLES gives."""
    text = page("docs/sql.md").text
    for row in history.query("show tables").to_pylist():
        assert f"`{row['name']}`" in text or f"## {row['name']}\n" in text, row["name"]
