"""Looks at a log's file before anything is allowed to write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from streams.transports.local.errors import LogDamagedError, NewerLogError

# "RING" in ASCII: tells a log of ringwatch from any other SQLite file.
APPLICATION_ID = 0x52494E47
VERSION = 1

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_TABLES = frozenset({"topics", "partitions", "blocks", "committed"})
# quick_check reads the whole file, about 1 GiB in 3 s from a cold disk; beyond that a restart would take too long, and
# the checksum of each block finds damage when it is read.
_CHECKED_WHOLE_BYTES = 1024**3


def is_new(path: Path) -> bool:
    """Tell whether there is no log yet: no file, or one whose making was interrupted before its first commit.

    Raises:
        LogDamagedError: the file is no log, or damaged.
        NewerLogError: a newer ringwatch wrote it.
    """
    if not path.exists() or path.stat().st_size == 0:
        wal = _wal_of(path)
        if wal.exists() and wal.stat().st_size > 0:
            raise LogDamagedError(f"{path} is gone but {wal.name} is there; put {path.name} back, or move both away")
        return True
    _check_header(path)
    try:
        with closing(_open_untouched(path)) as connection:
            return _check_inside(path, connection)
    except sqlite3.DatabaseError as error:
        raise _damaged(path, str(error)) from error


def _wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _damaged(path: Path, reason: str) -> LogDamagedError:
    return LogDamagedError(
        f"{path} can't be used as the log: {reason}; restore it with its -wal file from a copy, "
        "or move both away to begin anew"
    )


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise _damaged(path, "it is not an SQLite file")


def _open_untouched(path: Path) -> sqlite3.Connection:
    # An immutable file gets no -shm and -wal beside it; with a -wal that holds commits they must be read along.
    wal = _wal_of(path)
    mode = "mode=ro" if wal.exists() and wal.stat().st_size > 0 else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, isolation_level=None)


def _check_inside(path: Path, connection: sqlite3.Connection) -> bool:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if not tables and application == 0 and version == 0:
        return True
    if application != APPLICATION_ID:
        raise _damaged(path, "it is an SQLite file of another program")
    if version > VERSION:
        raise NewerLogError(
            f"{path} was written by a newer ringwatch (layout {version}, this one knows {VERSION}); "
            "install that version"
        )
    if version < 1 or not tables >= _TABLES:
        raise _damaged(path, "its tables are not those of a log")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    if pages * page_bytes <= _CHECKED_WHOLE_BYTES:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _damaged(path, str(verdict).replace("\n", " "))
    elif not _wal_of(path).exists() and path.stat().st_size < pages * page_bytes:
        raise _damaged(path, "it is shorter than it says")
    return False
