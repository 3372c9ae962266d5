from __future__ import annotations

import msgspec
import pytest

from schemas.do_not_call import list_of, read_contacts, read_json_contacts, record_of
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.settings import ConfigurationError
from schemas.times import from_iso

PERSON, OTHER = "+12025550123", "+12025550124"


@pytest.mark.parametrize(
    "text",
    [
        f"{PERSON}\n\n {OTHER} \n{PERSON}\n",
        f"\ufeffcontact\r\n{PERSON}\r\n{OTHER}\r\n",
        f'name,contact,note\n"Doe, Ann",{PERSON},\nBob,{OTHER}\n',
    ],
)
def test_numbers_alone_and_csv_are_read_alike(text: str) -> None:
    """One number a line, a header, or a column among others: each person once, in order."""
    assert read_contacts("list.csv", text.encode().splitlines(keepends=True)) == [PERSON, OTHER]


def test_json_lines_are_read() -> None:
    """Each line is an object with the person; empty lines are left out."""
    lines = [f'{{"contact": "{PERSON}", "note": 1}}\n'.encode(), b"\n", f'{{"contact": "{OTHER}"}}'.encode()]
    assert read_json_contacts("body", lines) == [PERSON, OTHER]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{PERSON}\n2025550124\n".encode(), "list.csv:2: contact: write the number as E.164"),
        (b"name,phone\nAnn,+12025550123\n", "list.csv:1: contact: no such column"),
        (f"name,contact\nAnn\nBob,{PERSON}\n".encode(), "list.csv:2: contact: write the number"),
        (b"+12025550123\n\xff\n", "list.csv:2: not UTF-8"),
        (b'+12025550123\n"+1\n', "list.csv:2:"),
    ],
)
def test_a_bad_line_refuses_the_whole_list(text: bytes, says: str) -> None:
    """Nobody of a list with a bad line is taken, and the line is named."""
    with pytest.raises(ConfigurationError) as refused:
        read_contacts("list.csv", text.splitlines(keepends=True))
    assert str(refused.value).startswith(says)


def test_a_bad_json_line_is_named() -> None:
    """What is no JSON, no object, or no number has its line in the error."""
    with pytest.raises(ConfigurationError) as refused:
        read_json_contacts("body", [b"{\n", b"[]\n", b'{"contact": 1}\n', b'{"contact": "1"}\n'])
    assert [line.partition(": ")[0] for line in str(refused.value).splitlines()] == [
        f"body:{line}" for line in range(1, 5)
    ]


def test_a_listed_person_is_opted_out_of_calls() -> None:
    """The record names list and day, and is the same each time."""
    record = record_of(list_of("national", "2026-11-23"), PERSON)
    assert (record.topic, record.key) == ("optouts", PERSON.encode())
    assert record == record_of(list_of("national", "2026-11-23"), PERSON)
    assert record.value is not None
    assert OptOut.decode(record.value) == OptOut(
        contact=PERSON,
        opted_out=True,
        source=OptOutSource.DO_NOT_CALL_LIST,
        channel=Channel.VOICE,
        at=from_iso("2026-11-23T00:00:00Z"),
        sid=f"national:{PERSON}",
        said="national",
        endpoint="/v1/optouts/import",
    )


def test_who_leaves_a_list_is_opted_out_by_it_no_longer() -> None:
    """The record differs from that of the import in what it says and where it came in."""
    listed = list_of("national", "2026-11-23")
    on, off = (OptOut.decode(record_of(listed, PERSON, removed=removed).value or b"") for removed in (False, True))
    assert off == msgspec.structs.replace(on, opted_out=False, endpoint="/v1/optouts/remove")


@pytest.mark.parametrize(
    ("name", "day", "says"), [("a list", "2026-11-23", "list:"), ("national", "23.11.2026", "date:")]
)
def test_a_list_needs_a_name_and_a_day(name: str, day: str, says: str) -> None:
    """The error says which of the two, and what to write."""
    with pytest.raises(ConfigurationError, match=f"^{says} write"):
        list_of(name, day)
