"""The command `contacts import`: everybody on a do-not-call list is opted out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import httpx

from ringwatch.opening import make_data_folder, open_log
from schemas.do_not_call import IMPORT_PATH, DoNotCallList, list_of, read_contacts, record_of
from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings
from sinks.feed.list_routes import TOGETHER
from sinks.history.ask import Running, find_running

# A step takes a fraction of this, unless the disk is very busy.
_ANSWER_SECONDS = 60.0


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
    listed = list_of(name, day)
    try:
        with file.open("rb") as lines:
            contacts = read_contacts(str(file), lines)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; name a file with one number a line") from error
    # One process owns the embedded log; Kafka takes records from anybody.
    running = None if settings.on_kafka else find_running(settings.data)
    if running is None or not _sent(running, listed, contacts):
        make_data_folder(settings)
        asyncio.run(_append(settings, listed, contacts))
    click.echo(f"{len(contacts)} people of the list {listed.name} ({listed.day}) are opted out", err=True)


def _sent(running: Running, listed: DoNotCallList, contacts: list[str]) -> bool:
    """Send a list to a running program; False if it does not run after all."""
    query = {"list": listed.name, "date": listed.day.isoformat()}
    headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "text/plain"}
    # A proxy would see the token, and can't reach this machine's loopback.
    with httpx.Client(base_url=running.http, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False) as client:
        for start in range(0, len(contacts), TOGETHER):
            body = "\n".join(contacts[start : start + TOGETHER])
            try:
                answer = client.post(IMPORT_PATH, params=query, content=body)
            except httpx.ConnectError:
                if start == 0:
                    return False
                raise _stopped_at(start, contacts, f"{running.http} went away") from None
            except httpx.HTTPError as error:
                raise _stopped_at(start, contacts, f"{running.http}: no answer ({error})") from error
            if answer.status_code != httpx.codes.ACCEPTED:
                raise _stopped_at(start, contacts, f"{running.http} answered {answer.status_code}: {answer.text[:200]}")
    return True


async def _append(settings: Settings, listed: DoNotCallList, contacts: list[str]) -> None:
    async with open_log(settings) as log:
        for start in range(0, len(contacts), TOGETHER):
            try:
                await log.append([record_of(listed, contact) for contact in contacts[start : start + TOGETHER]])
            except LogUnavailableError as error:
                raise _stopped_at(start, contacts, str(error)) from error


def _stopped_at(start: int, contacts: list[str], why: str) -> LogUnavailableError:
    return LogUnavailableError(
        f"{why}; only the first {start} of {len(contacts)} people are known to be opted out: import the list again, "
        "those are not counted twice"
    )
