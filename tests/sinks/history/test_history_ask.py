from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sinks.history.ask import HISTORY_FILE, RUNNING_FILE, ask
from sinks.history.errors import HistoryError, HistoryInUseError, HistoryMissingError, QueryError
from sinks.history.query import is_truncated
from sinks.history.routes import ARROW_STREAM, sql_routes
from sinks.history.store import History

TOKEN = "a secret"


def tell_running(data: Path, http: str, pid: int | None = None, token: str = TOKEN) -> None:
    """Leave the note that a running program leaves."""
    (data / RUNNING_FILE).write_text(json.dumps({"pid": pid or os.getpid(), "http": http, "token": token}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a history of three callbacks, closed."""
    return tmp_path / "data"


@contextlib.contextmanager
def serving(history: History) -> Iterator[str]:
    """A real server around the routes, with the check of the token that an app has."""

    async def check(request: Request, follow: RequestResponseEndpoint) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"detail": "no token"}, 401)
        return await follow(request)

    app = FastAPI(
        routes=sql_routes(history, rows=1_000, seconds=1.0), middleware=[Middleware(BaseHTTPMiddleware, dispatch=check)]
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def filled(data: Path, make: Any) -> Iterator[History]:
    """The history of the data folder, open, with three callbacks."""
    history = History.open(data / HISTORY_FILE)
    history.write(make.records("callbacks", [make.callback(n).encode() for n in range(3)]))
    yield history
    history.close()


def called(history: History, method: str = "POST", rows: int = 100_000, **request: Any) -> httpx.Response:
    """One request to the routes, without a server."""

    async def call() -> httpx.Response:
        transport = httpx.ASGITransport(FastAPI(routes=sql_routes(history, rows=rows)))
        async with httpx.AsyncClient(transport=transport, base_url="http://ringwatch") as client:
            return await client.request(method, "/v1/sql", **request)

    return asyncio.run(call())


COUNT = "select count(*) as n from callbacks"


def test_a_folder_without_history_says_what_to_start(data: Path) -> None:
    """Without a DuckDB file the error says to start ringwatch."""
    with pytest.raises(HistoryMissingError, match="ringwatch up"):
        ask(data, COUNT)


def test_the_file_is_asked_when_nothing_runs(data: Path, filled: History) -> None:
    """When no program runs, the file itself answers, and errors of the query are told."""
    filled.close()
    assert ask(data, COUNT).to_pylist() == [{"n": 3}]
    with pytest.raises(QueryError, match="nothing_here"):
        ask(data, "from nothing_here")
    with pytest.raises(QueryError, match="stopped after"):
        ask(data, "select pg_sleep(30)", seconds=0.2)


def test_the_program_is_asked_while_it_runs(data: Path, filled: History) -> None:
    """While the program holds the file, the same call is answered over HTTP, types and all."""
    with serving(filled) as http:
        tell_running(data, http)
        assert ask(data, COUNT).to_pylist() == [{"n": 3}]
        assert ask(data, "select received_at from callbacks").schema.types == [pa.timestamp("us", tz="UTC")]
        assert is_truncated(ask(data, "from range(10)", limit=3))
        assert ask(data, "from range(100000)").num_rows == 1_000
        with pytest.raises(QueryError, match="nothing_here"):
            ask(data, "from nothing_here")
        with pytest.raises(QueryError, match="stopped after 1 s"):
            ask(data, "select pg_sleep(30)")
        tell_running(data, http, token="wrong")
        with pytest.raises(HistoryError, match="401: no token"):
            ask(data, COUNT)


def test_what_a_killed_program_left_behind_is_passed_over(data: Path, filled: History) -> None:
    """The note of a program that is gone, or of a number that is another's by now, does not hinder."""
    filled.close()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tell_running(data, "http://127.0.0.1:1", pid=gone.pid)
    assert ask(data, COUNT).num_rows == 1
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        tell_running(data, f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert ask(data, COUNT).num_rows == 1
    (data / RUNNING_FILE).write_text('{"pid"')
    assert ask(data, COUNT).num_rows == 1


def test_a_file_held_by_a_silent_program_says_so(data: Path, filled: History) -> None:
    """A file that a process holds without telling of itself is refused as in use."""
    filled.close()
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()",
            str(data / HISTORY_FILE),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        with pytest.raises(HistoryInUseError, match="in use"):
            ask(data, COUNT)
    finally:
        holder.communicate()


def test_the_route_answers_as_asked(filled: History) -> None:
    """The route answers JSON by default, CSV or an Arrow stream on demand, and says when rows were left out."""
    plain = called(filled, json={"sql": COUNT})
    assert (plain.json(), plain.headers["x-truncated"]) == ([{"n": 3}], "false")
    cut = called(filled, rows=2, json={"sql": "from range(9)", "limit": 7}, headers={"Accept": "text/csv"})
    assert (cut.text, cut.headers["x-truncated"]) == ("range\n0\n1\n", "true")
    assert cut.headers["content-type"].startswith("text/csv")
    arrow = called(filled, json={"sql": COUNT, "limit": None}, headers={"Accept": ARROW_STREAM})
    assert arrow.headers["content-type"] == ARROW_STREAM
    with pa.ipc.open_stream(arrow.content) as reader:
        assert reader.read_all().to_pylist() == [{"n": 3}]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"select 1", 400),
        (b"\xff", 400),
        (b"{}", 400),
        (b'{"sql": 1}', 400),
        (b'{"sql": "select 1", "params": []}', 400),
        (b'{"sql": "select 1", "limit": -1}', 400),
        (b'{"sql": "drop table callbacks"}', 400),
        (b'{"sql": "' + b"x" * 300_000 + b'"}', 413),
    ],
)
def test_the_route_refuses_with_a_reason(filled: History, body: bytes, status: int) -> None:
    """A body or query that can't be answered gets 400 or 413 and one line that says why."""
    answer = called(filled, content=body)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert called(filled, "GET").status_code == httpx.codes.METHOD_NOT_ALLOWED
