"""Files of the register: CSV with a header, or TOML with `[[numbers]]`, `[[campaigns]]` and `[[contacts]]` tables."""

from __future__ import annotations

import csv
import re
import tomllib
from array import array
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from schemas.register.problems import Problems
from schemas.register.rows import SCHEMAS, Kind, Rows, Schema, Values
from schemas.settings import ConfigurationError

FORMATS = (".csv", ".toml")
"""How a file of the register may be named."""

_BOM = b"\xef\xbb\xbf"
_EXAMPLES = {
    Kind.NUMBERS: "write the number as E.164, e.g. +14155550123",
    Kind.CAMPAIGNS: "write the campaign's name, e.g. spring-sale",
    Kind.CONTACTS: "write the person's number as E.164, e.g. +14155550123",
}


def read_file(path: Path, setting: str, only: Kind | None = None) -> Rows:
    """Read one file of the register; it is never held whole in memory if it is CSV.

    Args:
        path: named `.csv` or `.toml`.
        setting: which setting names it, for the error.
        only: the one kind of rows it may hold; None for any.

    Raises:
        ConfigurationError: a file, row or value that can't be used; the text has a line for each problem, with file,
            line and column, and says what to write instead.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path}: name the register with .csv or .toml")
    try:
        with path.open("rb") as lines:
            return read_rows(str(path), path.suffix.lower(), lines, only)
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file; write the register's path in {setting}") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a file that can be read") from error


def read_rows(where: str, suffix: str, lines: Iterable[bytes], only: Kind | None = None) -> Rows:
    """Read the lines of a file.

    Args:
        where: its name, for the errors.
        suffix: one of `FORMATS`.
        lines: its lines, with their ends.
        only: the one kind of rows it may hold; None for any.

    Raises:
        ConfigurationError: as `read_file`.
    """
    if suffix == ".toml":
        return _read_toml(where, b"".join(lines), only)
    return _read_csv(where, lines, only)


class _Table:
    """The rows of one kind as they are read, and on which line each key came first."""

    def __init__(self, kind: Kind, problems: Problems) -> None:
        self.rows: dict[str, Any] = {}
        self._kind = kind
        self._schema: Schema = SCHEMAS[kind]
        self._problems = problems
        # A million lines in four megabytes; they are wanted only when a key comes twice.
        self._lines = array("L")

    def add(self, line: int, values: Values) -> None:
        key = values.get(self._schema.key)
        if key is None:
            self._problems.add(line, f"{self._schema.key}: missing; {_EXAMPLES[self._kind]}")
        elif key not in self.rows:
            self.rows[key] = self._schema.make(values)
            self._lines.append(line)
        elif self._problems.is_full:
            self._problems.add(line, "")
        else:
            place = next(place for place, known in enumerate(self.rows) if known == key)
            first = self._lines[place]
            self._problems.add(line, f"{self._schema.key}: {key} is already on line {first}; keep one of them")


def _read_csv(where: str, lines: Iterable[bytes], only: Kind | None) -> Rows:
    problems = Problems(where)
    reader = csv.reader(decoded(lines), strict=True)
    line = 1
    rows = Rows()
    try:
        for header in reader:
            if _is_blank(header):
                line = reader.line_num + 1
                continue
            columns = [column.strip() for column in header]
            kind = _kind_of(where, line, columns, only)
            table = _Table(kind, problems)
            rows = Rows(**{kind.value: table.rows})
            readers = [(column, SCHEMAS[kind].columns[column]) for column in columns]
            line = reader.line_num + 1
            for fields in reader:
                if not _is_blank(fields):
                    values = _csv_values(readers, line, fields, problems)
                    if values is not None:
                        table.add(line, values)
                line = reader.line_num + 1
    except csv.Error as error:
        problems.add(line, f"{error}; close the quotes")
    except UnicodeDecodeError:
        problems.add(reader.line_num + 1, "not UTF-8; save the file as UTF-8")
    problems.refuse()
    return rows


def _is_blank(fields: list[str]) -> bool:
    return not fields or (not fields[0] and not any(map(str.strip, fields)))


def _csv_values(
    readers: list[tuple[str, Callable[[str], Any]]], line: int, fields: list[str], problems: Problems
) -> Values | None:
    if len(fields) > len(readers):
        problems.add(line, f"{len(fields)} fields under {len(readers)} columns; quote a field that has a comma")
        return None
    values: Values = {}
    sound = True
    for (column, read), field in zip(readers, fields, strict=False):
        text = field.strip()
        if text:
            try:
                values[column] = read(text)
            except ValueError as error:
                problems.add(line, f"{column}: {error} (got {text!r})")
                sound = False
    return values if sound else None


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Give lines as text, the first without a byte order mark; each is decoded when it is wanted."""
    rest = iter(lines)
    for first in islice(rest, 1):
        yield first.removeprefix(_BOM).decode()
    for line in rest:
        yield line.decode()


def _kind_of(where: str, line: int, header: list[str], only: Kind | None) -> Kind:
    """Tell what rows a header announces: the first of `number` and `contact`, else `campaign`."""
    kind = only
    if kind is None:
        keys = [column for column in header if column in {"number", "contact"}] or ["campaign"]
        kind = next(kind for kind, schema in SCHEMAS.items() if schema.key == keys[0])
        if keys[0] not in header:
            kind = Kind.NUMBERS
    schema = SCHEMAS[kind]
    columns = ", ".join(schema.columns)
    for column in header:
        if column not in schema.columns:
            raise ConfigurationError(f"{where}:{line}: {column or 'empty'}: no such column; the columns are {columns}")
        if header.count(column) > 1:
            raise ConfigurationError(f"{where}:{line}: {column}: the column is there twice; keep one of them")
    if schema.key not in header:
        text = f"{schema.key}: no such column in the header; the columns are {columns}"
        raise ConfigurationError(f"{where}:{line}: {text}")
    return kind


_TOML_HEADER = re.compile(r"\s*\[\[\s*(\w+)\s*\]\]")


def _read_toml(where: str, body: bytes, only: Kind | None) -> Rows:
    kinds = list(Kind) if only is None else [only]
    wanted = " and ".join(f"[[{kind}]]" for kind in kinds) + " tables"
    try:
        text = body.removeprefix(_BOM).decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{where}:{line}: not UTF-8; save the file as UTF-8") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        # Endless digits and endless nesting are no TOML that anybody meant.
        raise ConfigurationError(f"{where}: {error}; write {wanted}") from error
    for key, tables in document.items():
        if key not in set(kinds):
            raise ConfigurationError(f"{where}: {key}: no such key; write {wanted}")
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise ConfigurationError(f"{where}: {key}: write [[{key}]] tables")
    problems = Problems(where)
    # tomllib keeps no lines: the n-th table is under the n-th header, unless the tables are written inline.
    headers = [
        (line, found[1]) for line, said in enumerate(text.splitlines(), 1) if (found := _TOML_HEADER.match(said))
    ]
    read: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        tables = document.get(kind.value, [])
        lines = [line for line, name in headers if name == kind.value]
        table = _Table(kind, problems)
        for index, given in enumerate(tables):
            line = lines[index] if len(lines) == len(tables) else index + 1
            values = _toml_values(SCHEMAS[kind], line, given, problems)
            if values is not None:
                table.add(line, values)
        read[kind.value] = table.rows
    problems.refuse()
    return Rows(**read)


def _toml_values(schema: Schema, line: int, given: dict[str, Any], problems: Problems) -> Values | None:
    values: Values = {}
    sound = True
    for column, value in given.items():
        try:
            read = _toml_value(schema, column, value)
        except ValueError as error:
            problems.add(line, f"{column}: {error} (got {value!r})")
            sound = False
        else:
            if read is not None:
                values[column] = read
    return values if sound else None


def _toml_value(schema: Schema, column: str, value: object) -> Any:
    if column not in schema.columns:
        raise ValueError(f"no such column; the columns are {', '.join(schema.columns)}")
    if isinstance(value, str):
        text = value.strip()
    # A time of day would make a day something else.
    elif isinstance(value, date) and not isinstance(value, datetime):
        text = value.isoformat()
    else:
        raise ValueError("write text in quotes, or an ISO date, e.g. 2026-11-23")  # noqa: TRY004 - a value of the file
    return schema.columns[column](text) if text else None
