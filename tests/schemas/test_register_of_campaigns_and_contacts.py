from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.register import (
    SCHEMAS,
    Kind,
    Register,
    RegisteredCampaign,
    RegisteredNumber,
    Rows,
    TrustHub,
    load_register,
    read_rows,
    replace_file,
    write_rows,
)
from schemas.registration import Consent, ContactDetails, NumberRegistration
from schemas.settings import ConfigurationError

CONTACTS = "contact,time_zone,state,zip,consent,consent_at,consent_source\n"
NUMBER = "+14155550123"
PERSON = "+12025550123"


def write(folder: Path, text: str, name: str) -> Path:
    """Write a file of the register."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def midnight(day: date, zone: str | None = None) -> int:
    """The first moment of a day, in milliseconds since the epoch."""
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone) if zone else UTC)
    return int(moment.timestamp()) * 1_000


def test_one_toml_file_holds_all_three(tmp_path: Path) -> None:
    """Numbers, campaigns and contacts are read from the tables of one TOML file."""
    text = (
        f'[[numbers]]\nnumber = "{NUMBER}"\ncampaign = "spring-sale"\n'
        '[[campaigns]]\ncampaign = "spring-sale"\npurpose = "telemarketing"\nsince = 2026-10-01\n'
        f'[[contacts]]\ncontact = "{PERSON}"\nstate = "ca"\nzip = "94105-1234"\nconsent = "Written"\n'
        'consent_at = "2025-02-03"\nconsent_source = "web form"\n'
    )
    register = load_register(write(tmp_path, text, "register.toml"))
    assert register.campaigns["spring-sale"] == RegisteredCampaign(
        campaign="spring-sale", purpose="telemarketing", since=date(2026, 10, 1)
    )
    assert register.details_of(PERSON) == ContactDetails(
        state="CA",
        zip="94105",
        consent=Consent.WRITTEN,
        consent_at=midnight(date(2025, 2, 3)),
        consent_source="web form",
    )
    assert register.details_of(NUMBER) is None


def test_files_of_their_own_give_the_same_register(tmp_path: Path) -> None:
    """The header of a CSV file tells its rows, and three files read to what one would."""
    numbers = write(tmp_path, f"campaign,number\nspring-sale,{NUMBER}\n", "numbers.csv")
    campaigns = write(tmp_path, "campaign,purpose\nspring-sale,telemarketing\n", "campaigns.csv")
    contacts = write(tmp_path, f"{CONTACTS}{PERSON},America/Denver,,,express,2025-02-03,\n", "contacts.csv")
    register = load_register(numbers, campaigns, contacts)
    assert (len(register), len(register.campaigns), len(register.contacts)) == (1, 1, 1)
    details = register.details_of(PERSON)
    assert details is not None
    assert details.consent_at == midnight(date(2025, 2, 3), "America/Denver")
    assert len(load_register(contacts).contacts) == 1
    assert len(load_register(campaigns).campaigns) == 1


def test_the_registration_says_what_number_and_campaign_say() -> None:
    """The campaign's purpose comes before the number's; a day begins in the number's own zone."""
    register = Register(
        [
            RegisteredNumber(
                number=NUMBER,
                purpose="surveys",
                since=date(2026, 11, 1),
                cnam="ACME",
                trust_hub=TrustHub.TWILIO_APPROVED,
                time_zone="America/New_York",
            )
        ],
        [
            RegisteredCampaign(campaign="sale", purpose="telemarketing", since=date(2026, 10, 1)),
            RegisteredCampaign(campaign="bare"),
        ],
    )
    since = midnight(date(2026, 11, 1), "America/New_York")
    assert register.registration_of(NUMBER, "sale") == NumberRegistration(
        True, "telemarketing", since, "ACME", "twilio-approved", midnight(date(2026, 10, 1))
    )
    for campaign in ("bare", "unknown", None):
        assert register.registration_of(NUMBER, campaign) == NumberRegistration(
            True, "surveys", since, "ACME", "twilio-approved"
        )
    assert register.registration_of("+14155550199", "sale") == NumberRegistration(
        registered=False, purpose="telemarketing", campaign_since=midnight(date(2026, 10, 1))
    )


def test_what_no_register_could_know_is_unknown() -> None:
    """Without numbers nothing is said of any; a client's name is no number that could be missing."""
    assert Register().registration_of(NUMBER, "sale") is None
    only_campaigns = Register([], [RegisteredCampaign(campaign="sale", purpose="telemarketing")])
    assert only_campaigns.registration_of(NUMBER, "sale") is None
    assert Register([RegisteredNumber(number=NUMBER)]).registration_of("client:alice", None) is None


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{PERSON},Mars/Base,,,,,", "time_zone: write an IANA time zone"),
        (f"{PERSON},,XX,,,,", "state: write the two letters"),
        (f"{PERSON},,,9410,,,", "zip: write the five digits"),
        (f"{PERSON},,,,yes,,", "consent: write one of none, express, written"),
        (f"{PERSON},,,,,3.2.2025,", "consent_at: write an ISO date"),
        (f"{PERSON},,,,,2205-02-03,", "consent_at: write a year"),
        (f"{PERSON},,,,,,{'x' * 101}", "consent_source: write at most 100"),
        ("2025550123,,,,,,", "contact: write the number as E.164"),
        (",America/Denver,,,,,", "contact: missing"),
    ],
)
def test_a_bad_contact_is_refused_with_its_place(tmp_path: Path, row: str, says: str) -> None:
    """The error names file, line and column and says what to write."""
    path = write(tmp_path, f"{CONTACTS}+12025550100,,,,,,\n{row}\n", "contacts.csv")
    with pytest.raises(ConfigurationError) as refused:
        load_register(None, None, path)
    assert str(refused.value).startswith(f"{path}:3: {says}")


def test_all_problems_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Wrong values, too many fields and a person who is there twice are told together, each with its line."""
    text = f"{CONTACTS}{PERSON},,XX,1,,,\n{PERSON},,,,,,\n{PERSON},,,,,,\n{PERSON},,,,,,,,\n"
    with pytest.raises(ConfigurationError) as refused:
        load_register(write(tmp_path, text, "contacts.csv"))
    lines = [line.partition("contacts.csv:")[2] for line in str(refused.value).splitlines()]
    assert [line.partition(" (got")[0].partition(";")[0] for line in lines] == [
        "2: state: write the two letters of a US state or Canadian province, e.g. CA, or leave it empty",
        "2: zip: write the five digits of a US ZIP code, with its leading zeros, or leave it empty",
        f"4: contact: {PERSON} is already on line 3",
        "5: 9 fields under 7 columns",
    ]


def test_a_row_in_two_files_is_refused(tmp_path: Path) -> None:
    """A campaign that two files speak of names both."""
    register = write(tmp_path, '[[campaigns]]\ncampaign = "sale"\n', "register.toml")
    campaigns = write(tmp_path, "campaign\nsale\n", "campaigns.csv")
    with pytest.raises(ConfigurationError, match=f"{campaigns}: campaign: sale is already in {register}"):
        load_register(register, campaigns)


def test_a_file_of_contacts_holds_nothing_else(tmp_path: Path) -> None:
    """Numbers in the file that `contacts_file` names are refused, be it CSV or TOML."""
    with pytest.raises(ConfigurationError, match=":1: number: no such column"):
        load_register(None, None, write(tmp_path, f"number\n{NUMBER}\n", "contacts.csv"))
    with pytest.raises(ConfigurationError, match="numbers: no such key"):
        load_register(None, None, write(tmp_path, f'[[numbers]]\nnumber = "{NUMBER}"\n', "contacts.toml"))


_text = (
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(str.isprintable).map(str.strip).filter(bool)
)
_days = st.dates(date(1970, 1, 2), date(2099, 12, 30))
_zones = st.none() | st.sampled_from(["America/New_York", "America/Havana", "Pacific/Apia", "America/St_Johns"])
_numbers = st.from_regex(r"\+[1-9][0-9]{1,14}", fullmatch=True)
_states = st.none() | st.sampled_from(TrustHub)
_rows = st.builds(
    lambda numbers, campaigns, contacts: Rows(
        numbers={row.number: row for row in numbers},
        campaigns={row.campaign: row for row in campaigns},
        contacts=contacts,
    ),
    st.lists(
        st.builds(
            RegisteredNumber,
            number=_numbers,
            campaign=st.none() | st.just("sale"),
            purpose=st.none() | _text,
            since=st.none() | _days,
            cnam=st.none() | _text,
            trust_hub=_states,
            time_zone=_zones,
            voice_integrity=_states,
            shaken=_states,
        ),
        max_size=3,
    ),
    st.lists(
        st.builds(
            RegisteredCampaign, campaign=st.sampled_from(["a", "b"]), purpose=st.none() | _text, since=st.none() | _days
        ),
        max_size=2,
    ),
    st.dictionaries(
        _numbers,
        st.builds(
            lambda zone, day, **values: ContactDetails(
                time_zone=zone, consent_at=None if day is None else midnight(day, zone), **values
            ),
            zone=_zones,
            day=st.none() | _days,
            state=st.none() | st.sampled_from(["CA", "ON"]),
            zip=st.none() | st.just("02134"),
            consent=st.none() | st.sampled_from(Consent),
            consent_source=st.none() | _text,
        ),
        max_size=3,
    ),
)


@given(_rows)
def test_what_is_written_is_read_back(rows: Rows) -> None:
    """TOML holds all rows and CSV those of a kind, and both read back to the same."""
    toml = write_rows(".toml", Kind.NUMBERS, rows)
    assert read_rows("register", ".toml", toml.splitlines(keepends=True)) == rows
    for kind in Kind:
        csv = write_rows(".csv", kind, rows)
        assert read_rows("register", ".csv", csv.split(b"\n"), kind).of(kind) == rows.of(kind)
        assert csv.splitlines()[0].decode().split(",") == list(SCHEMAS[kind].columns)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    """A link stays a link, permissions stay, and where nothing can be written nothing is left behind."""
    target = write(tmp_path, "old", "numbers.csv")
    target.chmod(0o600)
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    found = replace_file(link, b"new")
    assert (link.is_symlink(), target.read_bytes(), target.stat().st_mode & 0o777) == (True, b"new", 0o600)
    assert found.st_ino == target.stat().st_ino
    folder = tmp_path / "folder"
    (folder / "numbers.csv").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="can't be written"):
        replace_file(folder / "numbers.csv", b"new")
    assert [path.name for path in folder.iterdir()] == ["numbers.csv"]
