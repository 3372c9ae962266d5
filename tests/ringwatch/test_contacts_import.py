from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from prometheus_client import CollectorRegistry

from ringwatch.cli import cli
from ringwatch.opening import open_log
from ringwatch.parts import running_parts
from ringwatch.running import note_of
from ringwatch.server import listening
from schemas.log import Log, LogUnavailableError, NewRecord, Record
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.settings import Settings, load_settings
from schemas.suppression import read_suppression_key
from schemas.topics import OPTOUTS, SUPPRESSIONS
from sinks.feed.api import create_api
from sinks.feed.board import Board
from streams.agents.contacts import ContactsStage

TOKEN = "the API token of the tests"
PEOPLE = [f"+1202555{line:04}" for line in range(2_500)]


class FullLog:
    """A log that takes some appends and then no more."""

    def __init__(self, log: Log, appends: int) -> None:
        self._log = log
        self._left = appends

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append(self, records: Sequence[NewRecord]) -> Sequence[tuple[int, int]]:
        """Take records while it may."""
        if self._left == 0:
            raise LogUnavailableError("disk full")
        self._left -= 1
        return await self._log.append(records)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty data folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    return Settings(data=tmp_path / "data", http="127.0.0.1:0", api_token=TOKEN)


async def opt_outs(log: Log) -> list[OptOut]:
    """What lies in the topic."""
    reader = await log.reader({(OPTOUTS.name, 0): 0})
    try:
        end = (await log.ends(OPTOUTS.name))[0]
        found: list[OptOut] = []
        while len(found) < end:
            found += [OptOut.decode(record.value or b"") for record in await reader.fetch(10_000, 1.0)]
        return found
    finally:
        await reader.close()


def imported(settings: Settings, text: str, name: str = "national", *, command: str = "import") -> Result:
    """Run the command on a file with that text."""
    path = settings.data.parent / "list.csv"
    path.write_text(text, encoding="utf-8")
    words = ["contacts", command, str(path), "--list", name, "--date", "2026-11-23", "--data", str(settings.data)]
    return CliRunner().invoke(cli, words, catch_exceptions=False)


async def _append(settings: Settings, record: NewRecord) -> None:
    async with open_log(settings) as log:
        await log.append([record])


async def _read(settings: Settings) -> list[OptOut]:
    async with open_log(settings) as log:
        return await opt_outs(log)


def test_without_a_running_program_the_log_itself_is_written(settings: Settings) -> None:
    """Everybody on the list is in the log; a second import writes the same records again."""
    done = imported(settings, "contact\n" + "\n".join(PEOPLE))
    assert (done.exit_code, done.stderr) == (0, "2500 people of the list national (2026-11-23) are opted out\n")
    first = asyncio.run(_read(settings))
    assert [one.contact for one in first] == PEOPLE
    assert imported(settings, "\n".join(PEOPLE)).exit_code == 0
    assert asyncio.run(_read(settings)) == first + first


def test_who_is_on_a_list_no_longer_is_taken_off_it(settings: Settings) -> None:
    """The people of a file are taken off that list alone: another list, and what somebody asked for, still hold."""
    assert imported(settings, "\n".join(PEOPLE[:3])).exit_code == 0
    assert imported(settings, PEOPLE[1], "state").exit_code == 0
    stop = OptOut(contact=PEOPLE[2], opted_out=True, source=OptOutSource.DTMF, channel=Channel.VOICE, at=1)
    asyncio.run(_append(settings, NewRecord(OPTOUTS.name, stop.contact.encode(), stop.encode())))
    done = imported(settings, "\n".join(PEOPLE[:3]), command="remove")
    assert (done.exit_code, done.stderr) == (0, "3 people are taken off the list national (2026-11-23)\n")

    stage = ContactsStage(settings, {})
    said = asyncio.run(_read(settings))
    laid = [Record(OPTOUTS.name, 0, at, at, one.contact.encode(), one.encode()) for at, one in enumerate(said)]
    held: dict[bytes | None, bytes | None] = {
        record.key: record.value for record in stage.process(laid).emissions if record.topic == SUPPRESSIONS.name
    }
    still = [read_suppression_key(key or b"") for key, value in held.items() if value is not None]
    assert sorted((subject.value, scope) for subject, _, scope in still) == [
        (PEOPLE[1], "do_not_call_list"),
        (PEOPLE[2], ""),
    ]
    assert "do_not_call_list" in {read_suppression_key(key or b"")[2] for key, value in held.items() if value is None}


def test_a_bad_line_leaves_everybody_as_they_were(settings: Settings) -> None:
    """The error names the line, and nothing is in the log."""
    refused = imported(settings, f"{PEOPLE[0]}\nnonsense\n")
    assert refused.exit_code == 2
    assert "list.csv:2: contact: write the number as E.164" in refused.stderr
    assert not (settings.data / "log").exists()


def beside(settings: Settings, act: Callable[[str], object], *, appends: int = -1) -> tuple[object, list[OptOut]]:
    """Do something in a thread while a program serves the data folder; give what came of it, and what is in the log."""

    async def serve() -> tuple[object, list[OptOut]]:
        async with open_log(settings) as log, running_parts():
            api = create_api(
                settings=settings,
                board=Board(log),
                rolling=None,
                log=FullLog(log, appends),  # type: ignore[arg-type]  # the rest is the log's own
                registry=CollectorRegistry(),
                readiness={},
            )
            async with listening(api, settings) as address:
                with note_of(settings.data, address, TOKEN):
                    found = await asyncio.to_thread(act, address)
            return found, await opt_outs(log)

    return asyncio.run(serve())


def test_a_running_program_is_given_the_list(settings: Settings) -> None:
    """The command leaves the log to the program that has it."""
    done, found = beside(settings, lambda _: imported(settings, "\n".join(PEOPLE)))
    assert isinstance(done, Result)
    assert (done.exit_code, done.stderr) == (0, "2500 people of the list national (2026-11-23) are opted out\n")
    assert [one.contact for one in found] == PEOPLE


def test_a_running_program_is_told_who_left_a_list(settings: Settings) -> None:
    """The command leaves the log to the program that has it, and says how far it came where that takes no more."""
    done, found = beside(settings, lambda _: imported(settings, "\n".join(PEOPLE), command="remove"), appends=1)
    assert isinstance(done, Result)
    assert done.exit_code == 2
    assert "only the first 2000 of 2500 people are known to be taken off: remove them again" in done.stderr
    assert [(one.contact, one.opted_out, one.said) for one in found] == [
        (person, False, "national") for person in PEOPLE[:2_000]
    ]


def test_half_a_list_is_never_passed_off_as_a_whole(settings: Settings) -> None:
    """Where the log takes no more, the error says how many are known to be in it, and what to do."""
    done, found = beside(settings, lambda _: imported(settings, "\n".join(PEOPLE)), appends=1)
    assert isinstance(done, Result)
    assert done.exit_code == 2
    assert "503" in done.stderr
    assert "only the first 2000 of 2500 people are known" in done.stderr
    assert "import the list again" in done.stderr
    assert [one.contact for one in found] == PEOPLE[:2_000]


def test_lists_are_taken_over_http(settings: Settings) -> None:
    """Numbers, CSV and NDJSON are accepted with 202; what can't be used is refused as a whole, with lines."""

    def send(address: str) -> list[tuple[int, str]]:
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False) as client:
            return [
                (answer.status_code, answer.text)
                for query, media, body in [
                    ("list=national&date=2026-11-23", "text/csv", f"contact\n{PEOPLE[0]}\n"),
                    ("list=state&date=2026-11-23", "application/x-ndjson", f'{{"contact": "{PEOPLE[1]}"}}\n'),
                    ("list=state&date=2026-11-23", "text/plain; charset=utf-8", "\n".join(PEOPLE) + "\n" * 70_000),
                    ("list=national&date=2026-11-23", "text/csv", f"contact\n{PEOPLE[0]}\nnonsense\n"),
                    ("list=national&date=tomorrow", "text/csv", PEOPLE[0]),
                    ("date=2026-11-23", "text/csv", PEOPLE[0]),
                    ("list=national&date=2026-11-23", "application/json", "{}"),
                ]
                for answer in [
                    client.post(f"/v1/optouts/import?{query}", content=body, headers={"Content-Type": media})
                ]
            ]

    answers, found = beside(settings, send)
    assert isinstance(answers, list)
    assert [status for status, _ in answers] == [202, 202, 202, 422, 422, 422, 415], answers
    assert '"contacts":2500' in answers[2][1]
    assert "body:3: contact:" in answers[3][1]
    assert "date: write an ISO date" in answers[4][1]
    assert [(one.said, one.contact) for one in found] == [
        ("national", PEOPLE[0]),
        ("state", PEOPLE[1]),
        *(("state", person) for person in PEOPLE),
    ]


@pytest.mark.kafka
def test_on_kafka_the_list_is_written_to_the_brokers(
    fresh_kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody is in the partition of their number, on the list and off it; without topics the command is refused."""
    monkeypatch.chdir(tmp_path)
    config, file = tmp_path / "kafka.toml", tmp_path / "list.csv"
    config.write_text(f'data = "{tmp_path}/data"\nbroker = "kafka://{fresh_kafka}"\npartitions = 2\n')
    file.write_text("\n".join(PEOPLE))

    def run(command: str) -> Result:
        words = ["contacts", command, str(file), "--list", "national", "--date", "2026-11-23", "--config", str(config)]
        return CliRunner().invoke(cli, words, catch_exceptions=False)

    refused = run("import")
    assert refused.exit_code == 2, refused.stderr
    assert "ringwatch topics create" in refused.stderr
    assert CliRunner().invoke(cli, ["topics", "create", "--config", str(config)]).exit_code == 0

    done = run("import")
    assert (done.exit_code, done.stderr) == (0, "2500 people of the list national (2026-11-23) are opted out\n")
    file.write_text(PEOPLE[7])
    assert run("remove").exit_code == 0

    async def read() -> list[Record]:
        async with open_log(load_settings(config)) as log:
            ends = await log.ends(OPTOUTS.name)
            reader = await log.reader({(OPTOUTS.name, number): 0 for number in ends})
            try:
                found: list[Record] = []
                while len(found) < sum(ends.values()):
                    found += await reader.fetch(10_000, 1.0)
                return found
            finally:
                await reader.close()

    found = asyncio.run(read())
    said = [OptOut.decode(record.value or b"") for record in found]
    assert sorted(one.contact for one in said if one.opted_out) == PEOPLE
    assert [one.contact for one in said if not one.opted_out] == [PEOPLE[7]]
    assert {record.partition for record in found} == {0, 1}
    assert len({record.partition for record in found if record.key == PEOPLE[7].encode()}) == 1
