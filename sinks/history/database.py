"""Opening the DuckDB file: refused with one clear line where it can't be used, and then with nothing touched."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from sinks.history.errors import (
    HistoryDamagedError,
    HistoryError,
    HistoryInUseError,
    HistoryMissingError,
    NewerHistoryError,
    one_line,
)
from sinks.history.migrations import CURRENT, migrate, version_of

_CONFIGURATION: dict[str, str | bool | int | float | list[str]] = {
    # Queries come from people and over HTTP: no files, no network, no extensions, no variables of this program.
    "enable_external_access": False,
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    # The one thing set per connection, by the program alone: what a query may hold in memory.
    "allowed_configs": ["operator_memory_limit"],
    # History shares its process with everything else; beyond this DuckDB spills to disk.
    "memory_limit": "2GB",
    # A runaway sort stops before it fills the disk that the log needs.
    "max_temp_directory_size": "20GB",
    # 16 MB, the default, would checkpoint twice a second at full speed; this is replayed in a few seconds.
    "wal_autocheckpoint": "128MB",
}

_IN_USE = ("Could not set lock", "Unique file handle conflict", "already attached", "different configuration")
_NEWER = ("database file with version", "newer version of DuckDB", "storage version")


def open_database(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Open the file, making or migrating it if it may be written.

    Raises:
        HistoryMissingError: read-only, and there is no file.
        NewerHistoryError: the schema or the file is newer than this program.
        HistoryDamagedError: no DuckDB file, a damaged one, or somebody else's.
        HistoryInUseError: another process has it open.
        HistoryError: the system does not let the file be read or written.
    """
    if not path.exists():
        if read_only:
            raise HistoryMissingError(f"{path}: no history yet; start `ringwatch up` to make one")
        _create(path)
    # A writer replays the write-ahead log into the file as it opens, so what can't be used is found out before.
    reading = _connect(path, read_only=True)
    version = _checked_version(path, reading, read_only=read_only)
    if read_only:
        return reading
    reading.close()
    connection = _connect(path, read_only=False)
    try:
        if version < CURRENT:
            migrate(connection)
    except duckdb.Error as error:
        connection.close()
        raise _explained(path, error) from error
    connection.execute("SET GLOBAL lock_configuration = true")
    return connection


def _create(path: Path) -> None:
    """Make the file beside its place and move it there whole: one that a crash left half made is never found."""
    unfinished = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        Path(f"{unfinished}.wal").unlink(missing_ok=True)
        connection = _connect(unfinished, read_only=False)
        try:
            migrate(connection)
            connection.execute("CHECKPOINT")
        finally:
            connection.close()
        os.replace(unfinished, path)  # noqa: PTH105 - says that it is one step
    except (OSError, duckdb.Error) as error:
        raise HistoryError(f"{path}: can't be made: {one_line(error)}") from error


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(path, read_only=read_only, config=_CONFIGURATION)
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        if read_only:
            connection.execute("SET GLOBAL lock_configuration = true")
    except duckdb.Error as error:
        raise _explained(path, error) from error
    return connection


def _checked_version(path: Path, connection: duckdb.DuckDBPyConnection, *, read_only: bool) -> int:
    try:
        version = version_of(connection)
    except duckdb.Error as error:
        connection.close()
        raise _explained(path, error) from error
    problem = _unusable(path, version, read_only=read_only)
    if version is None or problem is not None:
        connection.close()
        raise problem or HistoryDamagedError(f"{path}: without a version")
    return version


def _unusable(path: Path, version: int | None, *, read_only: bool) -> HistoryError | None:
    if version is None:
        return HistoryDamagedError(f"{path}: a DuckDB file, but not ringwatch's; name another folder with --data")
    if version > CURRENT:
        return NewerHistoryError(f"{path}: schema {version} is newer than this program's {CURRENT}; upgrade ringwatch")
    if read_only and version < CURRENT:
        return HistoryError(f"{path}: schema {version} is older than {CURRENT}; start `ringwatch up` to migrate it")
    return None


def _explained(path: Path, error: duckdb.Error) -> HistoryError:
    text = str(error)
    if any(sign in text for sign in _IN_USE):
        return HistoryInUseError(f"{path}: in use by another process; stop that first ({one_line(error)})")
    if any(sign in text for sign in _NEWER):
        return NewerHistoryError(f"{path}: written by a newer DuckDB; upgrade ringwatch ({one_line(error)})")
    if "Permission denied" in text or "Read-only file system" in text or "No space left" in text:
        return HistoryError(f"{path}: {one_line(error)}")
    return HistoryDamagedError(
        f"{path}: damaged or no DuckDB file; move it away and start again: what the log still holds is written anew"
        f" ({one_line(error)})"
    )
