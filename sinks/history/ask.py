"""A query from the command line: to the program that runs on the data folder, else to the file itself."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import msgspec
import pyarrow as pa

from sinks.history.errors import HistoryError, QueryError
from sinks.history.routes import ARROW_STREAM
from sinks.history.store import History

HISTORY_FILE = "history.duckdb"
RUNNING_FILE = "running.json"

# How much longer than the query itself the answer may take to arrive.
_GRACE_SECONDS = 10.0


class Running(msgspec.Struct, frozen=True):
    """What `ringwatch up` writes into its data folder for the time it runs."""

    pid: int
    http: str
    token: str = ""


def ask(data: Path, sql: str, *, limit: int | None = None, seconds: float | None = None) -> pa.Table:
    """Answer a query on a data folder, whether or not ringwatch runs on it.

    DuckDB lets one process hold a file that is written, so a running program is asked over HTTP, under its own limits
    of rows and time.

    Args:
        data: the data folder.
        sql: one reading statement.
        limit: rows to return at most; None for all (over HTTP, for the program's limit).
        seconds: how long the query may take; None for ever (over HTTP, for the program's limit).

    Raises:
        QueryError: the query was refused, failed or took too long.
        HistoryMissingError: there is no history yet.
        HistoryError: the history can't be read.
    """
    running = find_running(data)
    if running is not None:
        try:
            return _ask_program(running, sql, limit, seconds)
        except httpx.ConnectError:
            # Its number belongs to another process by now, or it is only just starting: the file knows.
            pass
        except httpx.HTTPError as error:
            raise HistoryError(
                f"{running.http}: no answer ({error}); see whether ringwatch still runs there"
            ) from error
    history = History.open(data / HISTORY_FILE, read_only=True)
    try:
        return history.query(sql, limit, seconds)
    finally:
        history.close()


def find_running(data: Path) -> Running | None:
    """The program that runs on a data folder; None if none does, whatever a killed one left behind.

    Raises:
        HistoryError: the note it left can't be read.
    """
    path = data / RUNNING_FILE
    try:
        running = msgspec.json.decode(path.read_bytes(), type=Running)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HistoryError(f"{path}: {error.strerror}; run as the user who runs `ringwatch up`") from error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # half written: the program is only just starting
    try:
        os.kill(running.pid, 0)
    except PermissionError:
        return running
    except (ProcessLookupError, OverflowError):
        return None
    return running


def _ask_program(running: Running, sql: str, limit: int | None, seconds: float | None) -> pa.Table:
    answer = httpx.post(
        f"{running.http}/v1/sql",
        json={"sql": sql, "limit": limit},
        headers={"Authorization": f"Bearer {running.token}", "Accept": ARROW_STREAM},
        timeout=httpx.Timeout(None if seconds is None else seconds + _GRACE_SECONDS, connect=_GRACE_SECONDS),
        trust_env=False,  # a proxy would see the token, and can't reach this machine's loopback
    )
    if answer.status_code == httpx.codes.BAD_REQUEST:
        raise QueryError(_reason(answer))
    if answer.status_code != httpx.codes.OK:
        raise HistoryError(f"{running.http}/v1/sql answered {answer.status_code}: {_reason(answer)}")
    with pa.ipc.open_stream(answer.content) as reader:
        return reader.read_all()


def _reason(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200] or answer.reason_phrase
