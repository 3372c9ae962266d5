"""The register as a file: CSV or TOML text, and files that are replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from stat import S_IMODE

from schemas.register.rows import SCHEMAS, Kind, Rows
from schemas.settings import ConfigurationError

# What others may do with a file that was not there before: the owner writes, the group reads.
_MODE_OF_NEW = 0o640


class UnwritableFileError(ConfigurationError):
    """A file can't be written; the text says what to do."""


def write_rows(suffix: str, kind: Kind, rows: Rows) -> bytes:
    """Write rows as a file that `reading.read_rows` reads back.

    Args:
        suffix: `.csv` or `.toml`.
        kind: what CSV holds; TOML holds all kinds.
        rows: the rows.
    """
    if suffix == ".toml":
        return "\n".join(text for each in Kind for text in _toml_tables(each, rows)).encode()
    schema = SCHEMAS[kind]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(schema.columns)
    for key, row in rows.of(kind).items():
        values = schema.take_apart(row) | {schema.key: key}
        writer.writerow([values[column] for column in schema.columns])
    return text.getvalue().encode()


def _toml_tables(kind: Kind, rows: Rows) -> Iterator[str]:
    schema = SCHEMAS[kind]
    for key, row in rows.of(kind).items():
        values = schema.take_apart(row) | {schema.key: key}
        lines = [f"{name} = {_toml(values[name])}" for name in schema.columns if values[name] is not None]
        yield "\n".join([f"[[{kind}]]", *lines, ""])


def _toml(value: str | date) -> str:
    # Texts of the register are printable, and of such text JSON's string is a basic string of TOML.
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def replace_file(path: Path, content: bytes) -> os.stat_result:
    """Put content in a file's place: on disk and whole, or the old one stays.

    A symbolic link stays one, and the file's permissions stay as they were.

    Returns:
        What the system says of the file that was written, whatever comes in its place later.

    Raises:
        UnwritableFileError: it can't be written.
    """
    target = path.resolve()
    fresh: str | None = None
    try:
        mode = S_IMODE(target.stat().st_mode) if target.exists() else _MODE_OF_NEW
        descriptor, fresh = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
            written = os.fstat(file.fileno())
        Path(fresh).replace(target)
        fresh = None
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise UnwritableFileError(
            f"{path}: can't be written ({error.strerror}); let the user who runs ringwatch write in its folder"
        ) from error
    finally:
        if fresh is not None:
            with contextlib.suppress(OSError):
                Path(fresh).unlink()
    return written
