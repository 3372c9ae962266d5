from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.callback import Callback
from schemas.register import Kind, Register
from schemas.registration import ContactDetails, NumberRegistration
from schemas.settings import ConfigurationError, Settings
from streams.ingest import register_files
from streams.ingest.register_files import NoFileError, RegisterFiles

OWN = "+14155550123"
PERSON = "+12025550123"
STATUS = (
    f"CallSid=CA1&CallStatus=ringing&Direction=outbound-api&From=%2B{OWN[1:]}&To=%2B{PERSON[1:]}"
    "&Timestamp=Mon%2C+23+Nov+2026+14%3A00%3A00+%2B0000"
)


@pytest.fixture(autouse=True)
def _settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of these tests are written whole, so nobody waits for them to settle."""
    monkeypatch.setattr(register_files, "_SETTLED_SECONDS", 0.0)


def settings_of(**files: Path) -> Settings:
    """Settings that name the register's files."""
    return Settings(**files)


def opened(**files: Path) -> RegisterFiles:
    """The files, read for the first time."""
    found = RegisterFiles(settings_of(**files))
    found.load()
    return found


def change(path: Path, text: str) -> None:
    """Write a file, and make sure that its time of change differs, however coarse the clock of the file system."""
    path.write_text(text, encoding="utf-8")
    now = path.stat()
    os.utime(path, ns=(now.st_atime_ns, now.st_mtime_ns + 1_000_000))


def test_a_changed_file_is_taken_and_an_unchanged_one_left(tmp_path: Path) -> None:
    """A look takes what has changed, once; the other file's rows are not read anew."""
    numbers, contacts = tmp_path / "numbers.csv", tmp_path / "contacts.csv"
    change(numbers, f"number\n{OWN}\n")
    change(contacts, f"contact,state\n{PERSON},CA\n")
    taken: list[Register] = []
    files = RegisterFiles(settings_of(register_file=numbers, contacts_file=contacts), taken.append)
    before = files.load()
    assert (len(before), taken) == (1, [])
    assert not asyncio.run(files.refresh())
    change(numbers, f"number,purpose\n{OWN},surveys\n+14155550124,\n")
    assert asyncio.run(files.refresh())
    assert not asyncio.run(files.refresh())
    assert [len(register) for register in taken] == [2]
    assert files.register is taken[0]
    assert taken[0].contacts is before.contacts


def test_a_bad_file_changes_nothing_and_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The last good register stays, the error has its lines and is logged once, and a mended file is taken."""
    path = tmp_path / "numbers.csv"
    change(path, f"number\n{OWN}\n")
    files = opened(register_file=path)
    good = files.register
    change(path, "number\n4155550123\nnonsense\n")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert not asyncio.run(files.refresh())
    assert files.register is good
    assert files.error is not None
    assert [line.partition(" (got")[0] for line in files.error.splitlines()] == [
        f"{path}:{line}: number: write the number as E.164, e.g. +14155550123" for line in (2, 3)
    ]
    assert len(caplog.records) == 1
    assert f"{path}:3:" in caplog.text
    path.unlink()
    assert not asyncio.run(files.refresh())
    assert "no such file" in str(files.error)
    change(path, f"number\n{OWN}\n+14155550124\n")
    assert asyncio.run(files.refresh())
    assert (files.error, len(files.register)) == (None, 2)


def test_a_file_that_is_being_written_is_left_until_it_has_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a file is never taken, however good its lines are so far."""
    path = tmp_path / "numbers.csv"
    change(path, f"number\n{OWN}\n")
    files = opened(register_file=path)
    change(path, "number\n")

    async def meanwhile() -> bool:
        looking = asyncio.create_task(files.refresh())
        await asyncio.sleep(0.05)
        change(path, f"number\n{OWN}\n+14155550124\n")
        return await looking

    monkeypatch.setattr(register_files, "_SETTLED_SECONDS", 0.2)
    assert not asyncio.run(meanwhile())
    assert len(files.register) == 1
    assert asyncio.run(files.refresh())
    assert len(files.register) == 2


def test_rows_are_put_in_the_place_of_their_kind_alone(tmp_path: Path) -> None:
    """In a TOML file of all kinds the others stay; what was written is what is loaded, now and at the next start."""
    path = tmp_path / "register.toml"
    change(path, f'[[numbers]]\nnumber = "{OWN}"\n[[campaigns]]\ncampaign = "sale"\n')
    files = opened(register_file=path)
    asyncio.run(files.replace(Kind.CONTACTS, ".csv", f"contact,state\n{PERSON},CA\n".encode()))
    asyncio.run(files.replace(Kind.NUMBERS, ".csv", b"number\n+14155550124\n"))
    again = opened(register_file=path).register
    for register in (files.register, again):
        assert list(register.numbers) == ["+14155550124"]
        assert list(register.campaigns) == ["sale"]
        assert register.contacts == {PERSON: ContactDetails(state="CA")}
    assert not asyncio.run(files.refresh()), "its own writing is no change"


def test_refused_rows_change_neither_file_nor_register(tmp_path: Path) -> None:
    """A bad row, and a good one that another file has too, leave everything as it was."""
    register, campaigns = tmp_path / "register.toml", tmp_path / "campaigns.csv"
    change(register, f'[[numbers]]\nnumber = "{OWN}"\n[[campaigns]]\ncampaign = "sale"\n')
    change(campaigns, "campaign\nrenewals\n")
    files = opened(register_file=register, campaigns_file=campaigns)
    before = (register.read_bytes(), campaigns.read_bytes(), files.register)
    with pytest.raises(ConfigurationError, match=r"^body:2: number: write the number"):
        asyncio.run(files.replace(Kind.NUMBERS, ".csv", b"number\nnonsense\n"))
    with pytest.raises(ConfigurationError, match="sale is already in"):
        asyncio.run(files.replace(Kind.CAMPAIGNS, ".csv", b"campaign\nsale\n"))
    assert (register.read_bytes(), campaigns.read_bytes(), files.register) == before


def test_rows_without_a_file_are_refused_with_what_to_set(tmp_path: Path) -> None:
    """A CSV file of numbers is no place for contacts, and no file at all is none for numbers."""
    path = tmp_path / "numbers.csv"
    change(path, f"number\n{OWN}\n")
    with pytest.raises(NoFileError, match="set contacts_file"):
        asyncio.run(opened(register_file=path).replace(Kind.CONTACTS, ".csv", b"contact\n"))
    with pytest.raises(NoFileError, match="set register_file"):
        asyncio.run(opened().replace(Kind.NUMBERS, ".csv", b"number\n"))


def test_a_bad_file_is_told_of_again_after_another_was_written(tmp_path: Path) -> None:
    """Writing campaigns does not make the bad file of numbers look well."""
    numbers, campaigns = tmp_path / "numbers.csv", tmp_path / "campaigns.csv"
    change(numbers, f"number\n{OWN}\n")
    change(campaigns, "campaign\nsale\n")
    files = opened(register_file=numbers, campaigns_file=campaigns)
    change(numbers, "number\nnonsense\n")
    assert not asyncio.run(files.refresh())
    asyncio.run(files.replace(Kind.CAMPAIGNS, ".csv", b"campaign\nrenewals\n"))
    assert (list(files.register.numbers), list(files.register.campaigns)) == ([OWN], ["renewals"])
    assert not asyncio.run(files.refresh())
    assert "numbers.csv:2:" in str(files.error)


def test_the_running_gateway_goes_by_the_new_register(
    make_gateway: Callable[..., Any], memory_log: Any, settings: Settings, tmp_path: Path
) -> None:
    """A status callback carries what the register says when it comes; other requests carry nothing of it."""
    path = tmp_path / "register.toml"
    change(path, f'[[numbers]]\nnumber = "{OWN}"\ncampaign = "sale"\n')
    gateway = make_gateway(settings, insecure=True)
    files = RegisterFiles(settings_of(register_file=path), gateway.terms.take)
    gateway.terms.take(files.load())

    def sent(target: str = "/twilio/voice", body: str = STATUS) -> Callback:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        assert asyncio.run(gateway.send_async("POST", target, body.encode(), headers)).status_code in {200, 204}
        return Callback.decode(memory_log.records[-1].value)

    first = sent()
    assert (first.campaign, first.registration, first.contact_details) == ("sale", NumberRegistration(True), None)
    contacts = f"contact,state,consent\n{PERSON},CA,express\n"
    asyncio.run(files.replace(Kind.CONTACTS, ".csv", contacts.encode()))
    asyncio.run(files.replace(Kind.NUMBERS, ".csv", b"number\n+14155550124\n"))
    asyncio.run(files.replace(Kind.CAMPAIGNS, ".csv", b"campaign,purpose\nrenewals,service\n"))
    second = sent("/twilio/voice/renewals")
    assert second.registration == NumberRegistration(False, "service")
    assert second.contact_details == files.register.contacts[PERSON]
    verdict = sent("/twilio/amd", f"CallSid=CA1&AnsweredBy=human&From=%2B{OWN[1:]}")
    assert (verdict.registration, verdict.contact_details) == (None, None)
