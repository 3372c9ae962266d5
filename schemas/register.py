"""The register of the company's own numbers and their campaigns, read from CSV or TOML and checked line by line."""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.settings import ConfigurationError

# A campaign travels in URLs, record keys and page addresses; this much fits all of them unescaped or nearly so.
_CAMPAIGN = re.compile(r"[\w.\-]{1,100}")
_NUMBER = re.compile(r"\+[1-9][0-9]{1,14}")

# Enough to mend a file in one go without filling the screen.
_PROBLEMS_SHOWN = 20


def is_campaign_name(name: str) -> bool:
    """Tell whether a name can be a campaign's: 1 to 100 letters, digits, hyphens, underscores and dots.

    >>> is_campaign_name("spring-sale"), is_campaign_name("spring sale")
    (True, False)
    """
    return _CAMPAIGN.fullmatch(name) is not None


class TrustHub(StrEnum):
    """How far Twilio's Trust Hub has got with a number's business profile, in Twilio's words."""

    DRAFT = "draft"
    PENDING_REVIEW = "pending-review"
    IN_REVIEW = "in-review"
    TWILIO_REJECTED = "twilio-rejected"
    TWILIO_APPROVED = "twilio-approved"


def _check_number(number: str) -> str:
    if _NUMBER.fullmatch(number) is None:
        raise ValueError("write the number as E.164, e.g. +14155550123")
    return number


def _check_campaign(name: str) -> str:
    if not is_campaign_name(name):
        raise ValueError("write 1 to 100 letters, digits, hyphens, underscores or dots, e.g. spring-sale")
    return name


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("write an IANA time zone, e.g. America/New_York") from None
    return name


def _read_date(given: object) -> object:
    # pydantic alone would take "20261123" for seconds since the epoch.
    if isinstance(given, str):
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise ValueError("write an ISO date, e.g. 2026-11-23") from None
    if given is not None and (not isinstance(given, date) or isinstance(given, datetime)):
        raise ValueError("write an ISO date, e.g. 2026-11-23")
    return given


def _read_trust_hub(given: object) -> object:
    if given is not None and given not in set(TrustHub):
        raise ValueError(f"write one of {', '.join(TrustHub)}, or leave it empty")
    return given


class RegisteredNumber(BaseModel):
    """One row of the register; what the row leaves empty is None."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    number: Annotated[str, AfterValidator(_check_number)] = Field(description="The company's own number, E.164.")
    campaign: Annotated[str, AfterValidator(_check_campaign)] | None = Field(None, description="Its campaign.")
    purpose: str | None = Field(None, max_length=100, description="What the campaign calls for, e.g. telemarketing.")
    since: Annotated[date | None, BeforeValidator(_read_date)] = Field(None, description="First day of this use.")
    cnam: str | None = Field(None, max_length=100, description="The caller name that carriers show.")
    trust_hub: Annotated[TrustHub | None, BeforeValidator(_read_trust_hub)] = Field(
        None, description="Trust Hub state."
    )
    time_zone: Annotated[str, AfterValidator(_check_zone)] | None = Field(None, description="IANA time zone.")


COLUMNS: tuple[str, ...] = tuple(RegisteredNumber.model_fields)


class Register:
    """The company's own numbers; an empty register knows none and says so.

    Args:
        rows: one for each number; a number twice is the caller's error.

    Attributes:
        numbers: the rows by number, in the order given.
    """

    def __init__(self, rows: Iterable[RegisteredNumber] = ()) -> None:
        self.numbers: Mapping[str, RegisteredNumber] = MappingProxyType({row.number: row for row in rows})

    def campaign_of(self, number: str) -> str | None:
        """Give the campaign a number is registered for; None if it is not registered or has none."""
        row = self.numbers.get(number)
        return None if row is None else row.campaign

    def __contains__(self, number: object) -> bool:
        return number in self.numbers

    def __len__(self) -> int:
        return len(self.numbers)


def load_register(path: Path | None) -> Register:
    """Read a register from a `.csv` file with a header, or from a `.toml` file with `[[numbers]]` tables.

    Args:
        path: the file; None gives an empty register.

    Raises:
        ConfigurationError: a file, row or value that can't be used; the text names file, line and column and says what
            to write instead.
    """
    if path is None:
        return Register()
    readers = {".csv": _csv_rows, ".toml": _toml_rows}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigurationError(f"{path}: name the register with .csv or .toml")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file; write the register's path in register_file") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; name a file that can be read") from error
    return Register(_checked(path, reader(path, text)))


def _checked(path: Path, rows: Iterator[tuple[int, dict[str, Any]]]) -> list[RegisteredNumber]:
    checked: list[RegisteredNumber] = []
    first_line: dict[str, int] = {}
    problems: list[str] = []
    for line, values in rows:
        try:
            row = RegisteredNumber.model_validate(values)
        except ValidationError as error:
            problems += [f"{path}:{line}: {_explain(problem)}" for problem in error.errors()]
            continue
        if row.number in first_line:
            problems.append(
                f"{path}:{line}: number: {row.number} is already on line {first_line[row.number]}; keep one of them"
            )
            continue
        first_line[row.number] = line
        checked.append(row)
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        raise ConfigurationError("\n".join(problems[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])))
    return checked


def _explain(problem: Any) -> str:
    column = ".".join(str(part) for part in problem["loc"]) or "row"
    if problem["type"] == "extra_forbidden":
        return f"{column}: no such column; the columns are {', '.join(COLUMNS)}"
    if problem["type"] == "missing":
        return f"{column}: missing; write the number as E.164, e.g. +14155550123"
    hint = problem["msg"].removeprefix("Value error, ")
    return f"{column}: {hint} (got {problem['input']!r})"


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                pass
            elif header is None:
                header = _checked_header(path, line, [field.strip() for field in fields])
            elif len(fields) > len(header):
                raise ConfigurationError(
                    f"{path}:{line}: {len(fields)} fields under {len(header)} columns; quote a field that has a comma"
                )
            else:
                given = zip(header, (field.strip() for field in fields), strict=False)
                yield line, {column: field for column, field in given if field}
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(f"{path}:{line}: {error}; close the quotes") from error


def _checked_header(path: Path, line: int, header: list[str]) -> list[str]:
    columns = ", ".join(COLUMNS)
    for column in header:
        if column not in COLUMNS:
            raise ConfigurationError(f"{path}:{line}: {column or 'empty'}: no such column; the columns are {columns}")
        if header.count(column) > 1:
            raise ConfigurationError(f"{path}:{line}: {column}: the column is there twice; keep one of them")
    if "number" not in header:
        raise ConfigurationError(f"{path}:{line}: number: no such column in the header; the columns are {columns}")
    return header


_TOML_HEADER = re.compile(r"\s*\[\[\s*numbers\s*\]\]")


def _toml_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}; write [[numbers]] tables") from error
    for key in document:
        if key != "numbers":
            raise ConfigurationError(f"{path}: {key}: no such key; write [[numbers]] tables")
    tables = document.get("numbers", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{path}: numbers: write [[numbers]] tables")
    # tomllib keeps no lines: the n-th table is under the n-th header, unless the tables are written inline.
    lines = [line for line, content in enumerate(text.splitlines(), 1) if _TOML_HEADER.match(content)]
    for index, table in enumerate(tables):
        line = lines[index] if len(lines) == len(tables) else index + 1
        yield line, {column: value for column, value in table.items() if value != ""}
