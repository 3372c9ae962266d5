"""Do-not-call lists: files of people who are not to be called, or may be again, and the records they become."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date

import msgspec

from schemas.log import NewRecord
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.register.problems import Problems
from schemas.register.reading import decoded
from schemas.register.values import first_moment, is_campaign_name, read_date, read_number
from schemas.settings import ConfigurationError
from schemas.topics import OPTOUTS

IMPORT_PATH = "/v1/optouts/import"
"""Where the API takes a list."""

REMOVAL_PATH = "/v1/optouts/remove"
"""Where the API takes the people who are on a list no longer."""


class DoNotCallList(msgspec.Struct, frozen=True):
    """Which list people are on.

    Attributes:
        name: as a campaign's is written.
        day: the day from which it holds, or from which people are off it.
    """

    name: str
    day: date


def list_of(name: str, day: str) -> DoNotCallList:
    """Name a list by what a person wrote.

    Raises:
        ConfigurationError: the name or the day can't be used.
    """
    if not is_campaign_name(name):
        raise ConfigurationError("list: write 1 to 100 letters, digits, hyphens, underscores or dots, e.g. national")
    try:
        return DoNotCallList(name, read_date(day))
    except ValueError as error:
        raise ConfigurationError(f"date: {error} (got {day!r})") from None


def read_contacts(where: str, lines: Iterable[bytes]) -> list[str]:
    r"""Read the people of a list: one number a line, or CSV with a column `contact`.

    Args:
        where: the list's name in errors.
        lines: its lines, with their ends.

    Returns:
        Each person once, in order.

    Raises:
        ConfigurationError: lines that can't be used, each with its number; nobody is taken then.

    >>> read_contacts("list.csv", [b"name,contact\n", b"Ann,+14155550123\n"])
    ['+14155550123']
    """
    people = _People(where)
    reader = csv.reader(decoded(lines), strict=True)
    column: int | None = None
    line = 1
    try:
        for fields in reader:
            texts = [field.strip() for field in fields]
            if not any(texts):
                pass
            elif column is not None:
                people.add(line, texts[column] if column < len(texts) else "")
            elif "contact" in texts:
                column = texts.index("contact")
            elif len(texts) == 1:
                column = 0
                people.add(line, texts[0])
            else:
                raise ConfigurationError(f"{where}:{line}: contact: no such column in the header; name one of them so")
            line = reader.line_num + 1
    except csv.Error as error:
        people.problems.add(line, f"{error}; close the quotes")
    except UnicodeDecodeError:
        people.problems.add(reader.line_num + 1, "not UTF-8; save the file as UTF-8")
    return people.all()


def read_json_contacts(where: str, lines: Iterable[bytes]) -> list[str]:
    """Read the people of a list of JSON lines, each `{"contact": "+14155550123"}`.

    Raises:
        ConfigurationError: as `read_contacts`.
    """
    people = _People(where)
    for line, text in enumerate(lines, 1):
        if text.strip():
            try:
                people.add(line, _decoder.decode(text).contact)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                people.problems.add(line, f'{error}; write {{"contact": "+14155550123"}}')
    return people.all()


class _Listed(msgspec.Struct, frozen=True):
    contact: str


_decoder = msgspec.json.Decoder(_Listed)


class _People:
    def __init__(self, where: str) -> None:
        self.problems = Problems(where)
        # Each once, in order.
        self._contacts: dict[str, None] = {}

    def add(self, line: int, text: str) -> None:
        try:
            self._contacts[read_number(text)] = None
        except ValueError as error:
            self.problems.add(line, f"contact: {error} (got {text!r})")

    def all(self) -> list[str]:
        self.problems.refuse()
        return list(self._contacts)


def record_of(listed: DoNotCallList, contact: str, *, removed: bool = False) -> NewRecord:
    """Make the opt-out of a person on a list; it is the same however often the list is imported.

    Args:
        listed: the list.
        contact: the person.
        removed: whether the person is on it no longer; other lists and opt-outs of the person's own stand.
    """
    opt_out = OptOut(
        contact=contact,
        opted_out=not removed,
        source=OptOutSource.DO_NOT_CALL_LIST,
        channel=Channel.VOICE,
        at=first_moment(listed.day, None),
        sid=f"{listed.name}:{contact}",
        said=listed.name,
        endpoint=REMOVAL_PATH if removed else IMPORT_PATH,
    )
    return NewRecord(OPTOUTS.name, contact.encode(), opt_out.encode())
