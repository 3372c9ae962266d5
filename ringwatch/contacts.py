"""The commands `contacts import` and `contacts remove`: who is on a do-not-call list, and who no longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import httpx
import msgspec

from ringwatch.opening import make_data_folder, open_log
from schemas.do_not_call import IMPORT_PATH, REMOVAL_PATH, DoNotCallList, list_of, read_contacts, record_of
from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings
from sinks.feed.list_routes import TOGETHER
from sinks.history.ask import Running, find_running

# A step takes a fraction of this, unless the disk is very busy.
_ANSWER_SECONDS = 60.0


class _Way(msgspec.Struct, frozen=True):
    """Onto a list, or off it.

    Attributes:
        path: of the API.
        removed: whether it leads off the list.
        done: what has become of the people then.
        again: what to do if that stopped half-way.
    """

    path: str
    removed: bool
    done: str
    again: str


_ON = _Way(IMPORT_PATH, removed=False, done="opted out", again="import the list")
_OFF = _Way(REMOVAL_PATH, removed=True, done="taken off", again="remove them")


def run_import(settings: Settings, file: Path, name: str, day: str) -> None:
    """Opt out everybody on a list: through the program that runs on the data folder, else into the log itself.

    The whole file is checked first. Imported again, a list changes nothing.

    Args:
        settings: say where the log is.
        file: one number a line, or CSV with a column `contact`.
        name: the list's name.
        day: the day from which it holds, ISO 8601.

    Raises:
        ConfigurationError: lines that can't be used, each with its number; nobody was opted out.
        LogUnavailableError: not all are on disk; the text says how many are.
    """
    listed, contacts = _take(settings, file, name, day, _ON)
    click.echo(f"{len(contacts)} people of the list {listed.name} ({listed.day}) are opted out", err=True)


def run_removal(settings: Settings, file: Path, name: str, day: str) -> None:
    """Take people off a list, as `run_import` puts them on it; other lists and their own opt-outs stand.

    Args:
        settings: say where the log is.
        file: who is on the list no longer, as the list itself.
        name: the list's name.
        day: the day from which they are off it, ISO 8601.

    Raises:
        ConfigurationError: lines that can't be used, each with its number; nobody was taken off.
        LogUnavailableError: not all are on disk; the text says how many are.
    """
    listed, contacts = _take(settings, file, name, day, _OFF)
    click.echo(f"{len(contacts)} people are taken off the list {listed.name} ({listed.day})", err=True)


def _take(settings: Settings, file: Path, name: str, day: str, way: _Way) -> tuple[DoNotCallList, list[str]]:
    listed = list_of(name, day)
    try:
        with file.open("rb") as lines:
            contacts = read_contacts(str(file), lines)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; name a file with one number a line") from error
    # One process owns the embedded log; Kafka takes records from anybody.
    running = None if settings.on_kafka else find_running(settings.data)
    if running is None or not _sent(running, listed, contacts, way):
        make_data_folder(settings)
        asyncio.run(_append(settings, listed, contacts, way))
    return listed, contacts


def _sent(running: Running, listed: DoNotCallList, contacts: list[str], way: _Way) -> bool:
    """Send a list to a running program; False if it does not run after all."""
    query = {"list": listed.name, "date": listed.day.isoformat()}
    headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "text/plain"}
    # A proxy would see the token, and can't reach this machine's loopback.
    with httpx.Client(base_url=running.http, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        for start in range(0, len(contacts), TOGETHER):
            body = "\n".join(contacts[start : start + TOGETHER])
            try:
                answer = client.post(way.path, params=query, content=body)
            except httpx.ConnectError:
                if start == 0:
                    return False
                raise _stopped_at(start, contacts, way, f"{running.http} went away") from None
            except httpx.HTTPError as error:
                raise _stopped_at(start, contacts, way, f"{running.http}: no answer ({error})") from error
            if answer.status_code != httpx.codes.ACCEPTED:
                raise _stopped_at(
                    start, contacts, way, f"{running.http} answered {answer.status_code}: {answer.text[:200]}"
                )
    return True


async def _append(settings: Settings, listed: DoNotCallList, contacts: list[str], way: _Way) -> None:
    async with open_log(settings) as log:
        for start in range(0, len(contacts), TOGETHER):
            try:
                together = contacts[start : start + TOGETHER]
                await log.append([record_of(listed, contact, removed=way.removed) for contact in together])
            except LogUnavailableError as error:
                raise _stopped_at(start, contacts, way, str(error)) from error


def _stopped_at(start: int, contacts: list[str], way: _Way, why: str) -> LogUnavailableError:
    return LogUnavailableError(
        f"{why}; only the first {start} of {len(contacts)} people are known to be {way.done}: {way.again} again, "
        "those are not counted twice"
    )
