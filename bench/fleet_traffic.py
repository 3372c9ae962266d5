"""Callbacks of random numbers of a large fleet."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import islice
from zlib import crc32

import msgspec

from bench.dense_traffic import NUMBERS, simulated
from bench.fleet_states import FLEET, campaign_of, number_of
from schemas.callback import Callback, CallbackKind
from schemas.log import NewRecord
from schemas.register import Register
from schemas.settings import Settings
from schemas.topics import CALLBACKS
from streams.ingest.replay_lines import read_line
from streams.ingest.simulator.line import Line
from streams.ingest.terms import Terms
from streams.ingest.understanding import new_record


def tick() -> NewRecord:
    """A tick of now, as a worker appends them to a silent partition."""
    now = time.time_ns() // 1_000_000
    made = Callback(call_sid="", account_sid="", kind=CallbackKind.TICK, endpoint="", received_at=now, params={})
    return NewRecord(CALLBACKS.name, b"", made.encode())


def fleet_lines(count: int, ends: int, callers: int = NUMBERS) -> list[Line]:
    """So many callbacks, some 880 a second of event time, each call from a random number of the fleet.

    Args:
        count: how many.
        ends: an hour after the first of them, in milliseconds since the epoch.
        callers: how many numbers the simulation has whose calls are dealt out; with fewer there are fewer calls.
    """
    voice = (line for line in simulated(ends, callers) if "CallSid" in line.params)
    return list(islice(map(_of_fleet, voice), count))


def as_records(lines: Iterable[Line], settings: Settings) -> list[NewRecord]:
    """What a gateway makes of lines."""
    terms = Terms.of(settings, Register())
    return [new_record(found) for line in lines for found in read_line(line.encode(), terms)]


def _of_fleet(line: Line) -> Line:
    """The same callback of another number: the call's id chooses."""
    index = crc32(line.params["CallSid"].encode()) % FLEET
    before, after = line.params.get("From"), number_of(index)
    params = {key: after if value == before else value for key, value in line.params.items()}
    endpoint = line.path.rpartition("/")[0] if line.path.count("/") > 2 else line.path
    path = f"{endpoint}/{campaign_of(index)}" if endpoint != line.path else line.path
    return msgspec.structs.replace(line, path=path, params=params)
