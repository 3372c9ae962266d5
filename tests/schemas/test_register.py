from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.register import Register, TrustHub, load_register
from schemas.settings import ConfigurationError

HEADER = "number,campaign,purpose,since,cnam,trust_hub,time_zone\n"
ROW = "+14155550123,spring-sale,telemarketing,2026-11-01,ACME,twilio-approved,America/New_York\n"


def write(folder: Path, text: str, name: str = "numbers.csv") -> Path:
    """Write a register."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_and_toml_give_the_same_register(tmp_path: Path) -> None:
    """Both forms read to the same rows; empty fields are unknown."""
    by_csv = load_register(write(tmp_path, f"\ufeff{HEADER}\n{ROW}+14155550124,,,,,,\n"))
    by_toml = load_register(
        write(
            tmp_path,
            '[[numbers]]\nnumber = "+14155550123"\ncampaign = "spring-sale"\npurpose = "telemarketing"\n'
            "since = 2026-11-01\n"
            'cnam = "ACME"\ntrust_hub = "twilio-approved"\ntime_zone = "America/New_York"\n'
            '[[numbers]]\nnumber = "+14155550124"\ncampaign = ""\n',
            "numbers.toml",
        )
    )
    assert by_csv.numbers == by_toml.numbers
    row = by_csv.numbers["+14155550123"]
    assert (row.since, row.trust_hub, row.time_zone) == (
        date(2026, 11, 1),
        TrustHub.TWILIO_APPROVED,
        "America/New_York",
    )
    assert by_csv.numbers["+14155550124"].campaign is None
    assert (by_csv.campaign_of("+14155550123"), by_csv.campaign_of("+1")) == ("spring-sale", None)


def test_an_empty_register_knows_nobody(tmp_path: Path) -> None:
    """No file, an empty file and a bare header are registers without numbers."""
    for register in (
        Register(),
        load_register(None),
        load_register(write(tmp_path, "")),
        load_register(write(tmp_path, HEADER)),
        load_register(write(tmp_path, "", "none.toml")),
    ):
        assert len(register) == 0
        assert "+14155550123" not in register
        assert register.campaign_of("+14155550123") is None


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        (HEADER + ROW + "4155550123,,,,,,\n", ":3: number:", "write the number as E.164"),
        (HEADER + "+14155550123,spring sale,,,,,\n", ":2: campaign:", "write 1 to 100 letters"),
        (HEADER + "+14155550123,,,20261332,,,\n", ":2: since:", "write an ISO date"),
        (HEADER + "+14155550123,,,,,approved,\n", ":2: trust_hub:", "write one of draft"),
        (HEADER + "+14155550123,,,,,,Mars/Base\n", ":2: time_zone:", "write an IANA time zone"),
        (HEADER + "+14155550123,,,,,,America\n", ":2: time_zone:", "write an IANA time zone"),
        (HEADER + "+14155550123,,,,,,../../etc/passwd\n", ":2: time_zone:", "write an IANA time zone"),
        (HEADER + ",spring-sale,,,,,\n", ":2: number:", "missing"),
        (HEADER + ROW + ROW, ":3: number:", "already on line 2"),
        (HEADER + "+14155550123,a,b,,c,d,e,f\n", ":2: 8 fields", "quote a field"),
        (HEADER + '+14155550123,"a\n', ":2:", "close the quotes"),
        ("number,colour\n", ":1: colour:", "the columns are number, campaign"),
        ("purpose\n", ":1: number:", "no such column in the header"),
        ("purpose,contact\n", ":1: purpose:", "the columns are contact, time_zone"),
        ("number,number\n", ":1: number:", "twice"),
    ],
)
def test_a_bad_csv_line_is_refused_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """The error names file, line and column and says what to write."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load_register(path)
    assert f"{path}{place}" in str(refused.value)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("\n\n[[numbers]]\nnumber = 4\n", ":3: number:", "write text in quotes"),
        ('[[numbers]]\nnumber = "+14155550123"\nsince = 2026-11-01T00:00:00\n', ":1: since:", "ISO date"),
        ('[[numbers]]\nnumber = "+14155550123"\nage = 3\n', ":1: age:", "no such column"),
        (
            '[[rows]]\nnumber = "+14155550123"\n',
            ": rows:",
            "write [[numbers]] and [[campaigns]] and [[contacts]] tables",
        ),
        ("numbers = 3\n", ": numbers:", "write [[numbers]] tables"),
        ("[[numbers\n", ":", "line 1"),
    ],
)
def test_a_bad_toml_table_is_refused_with_its_place(tmp_path: Path, text: str, place: str, says: str) -> None:
    """The error names the line on which the table begins."""
    path = write(tmp_path, text, "numbers.toml")
    with pytest.raises(ConfigurationError) as refused:
        load_register(path)
    assert f"{path}{place}" in str(refused.value)
    assert says in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """A missing file, another ending, a folder and another encoding are told apart."""
    latin = tmp_path / "latin.csv"
    latin.write_bytes(HEADER.encode() + b"+14155550123,,Gr\xfc\xdfe,,,,\n")
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    for path, says in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path / "a.txt", ".csv or .toml"),
        (latin, "UTF-8"),
        (folder, "name a file"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            load_register(path)


def test_many_problems_are_shown_in_bounds(tmp_path: Path) -> None:
    """A file full of mistakes shows the first twenty and counts the rest."""
    with pytest.raises(ConfigurationError, match="and 5 more"):
        load_register(write(tmp_path, HEADER + "nonsense,,,,,,\n" * 25))


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "9" * 5_000], ids=["nested", "digits"])
def test_a_hostile_toml_is_refused(tmp_path: Path, text: str) -> None:
    """Endless nesting and endless numbers are refused like any other bad file, and end no program."""
    with pytest.raises(ConfigurationError, match=r"numbers\.toml"):
        load_register(write(tmp_path, text, "numbers.toml"))
