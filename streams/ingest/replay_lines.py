"""Replay lines: requests written down one a line, read by the same understanding as live ones."""

from __future__ import annotations

from collections.abc import Iterable
from time import time_ns
from typing import Any

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.log import Log, NewRecord
from schemas.times import from_iso
from schemas.topics import CALLBACKS, DEADLETTERS, OPTOUTS
from streams.ingest.cloud_events import understand_events
from streams.ingest.parameters import as_params
from streams.ingest.paths import Endpoint, take_apart
from streams.ingest.terms import Terms
from streams.ingest.understanding import Understood, new_record, understand


class UnreadableLineError(ValueError):
    """A replay line that can't be read, with the reason and what to write instead."""


class _Line(msgspec.Struct, frozen=True):
    received_at: str
    path: str
    params: dict[str, Any] | None = None
    events: msgspec.Raw = msgspec.Raw()
    body: str | None = None


class LineCounts(msgspec.Struct, frozen=True):
    """What lines became.

    Attributes:
        lines: lines that were not blank.
        callbacks: callbacks written.
        opt_outs: opt-outs and opt-ins written.
        dead_letters: dead letters written, unreadable lines among them.
        unreadable: lines that could not be read.
    """

    lines: int = 0
    callbacks: int = 0
    opt_outs: int = 0
    dead_letters: int = 0
    unreadable: int = 0


_decoder = msgspec.json.Decoder(_Line)


def read_line(line: bytes, terms: Terms) -> list[Understood]:
    """Read one replay line as the gateway would have read the request.

    Args:
        line: `{"received_at": ISO 8601, "path": "/twilio/voice/…", "params": {…}}`; for /twilio/events, `events` holds
            the CloudEvents or `body` their JSON text instead of `params`.
        terms: what settings and register say.

    Raises:
        UnreadableLineError: no such line.
    """
    try:
        read = _decoder.decode(line)
        received_at = from_iso(read.received_at)
    except (ValueError, OverflowError, RecursionError) as error:
        raise UnreadableLineError(f'{error}; write {{"received_at": …, "path": …, "params": {{…}}}}') from error
    address = take_apart(read.path)
    if address is None:
        raise UnreadableLineError(
            f"path {read.path[:60]!r}: write one of {', '.join(Endpoint)}, a campaign after it or not"
        )
    if address.endpoint is Endpoint.EVENTS:
        events = read.body.encode() if read.body is not None else bytes(read.events)
        if not events:
            raise UnreadableLineError(f"{Endpoint.EVENTS}: write `events` (an array) or `body` (its JSON text)")
        return understand_events(events, received_at, terms)
    if read.params is None:
        raise UnreadableLineError('params: missing; write {"CallSid": …}')
    return understand(address, as_params(read.params), received_at, terms, line)


# One append is one transaction of the log: large enough that its fixed cost vanishes, small enough to stay in memory.
_BATCH = 2_000


async def append_lines(
    lines: Iterable[bytes], log: Log, terms: Terms, *, source: str = "lines", batch: int = _BATCH
) -> LineCounts:
    """Write replay lines into the log in large batches; a line that can't be read becomes a dead letter.

    Args:
        lines: the lines, with or without their ends; blank ones are passed over.
        log: where the records go.
        terms: what settings and register say.
        source: the file's name, for dead letters: "NAME:LINE".
        batch: records in one append.

    Raises:
        LogUnavailableError: the log could not take a batch; earlier batches are written.
    """
    records: list[NewRecord] = []
    written = {CALLBACKS.name: 0, OPTOUTS.name: 0, DEADLETTERS.name: 0}
    read = unreadable = 0

    async def flush() -> None:
        await log.append(records)
        for record in records:
            written[record.topic] += 1
        records.clear()

    for line_number, line in enumerate(lines, 1):
        stripped = line.strip()
        if not stripped:
            continue
        read += 1
        try:
            understood = read_line(stripped, terms)
        except UnreadableLineError as error:
            unreadable += 1
            at = time_ns() // 1_000_000
            understood = [DeadLetter(source=f"{source}:{line_number}", reason=str(error), at=at, body=stripped)]
        records += map(new_record, understood)
        if len(records) >= batch:
            await flush()
    if records:
        await flush()
    return LineCounts(read, written[CALLBACKS.name], written[OPTOUTS.name], written[DEADLETTERS.name], unreadable)
