"""The traffic that is measured with: a fleet of 500 numbers, as replay lines and as signed HTTP requests."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from schemas.times import HOUR
from streams.ingest.simulator import Simulation
from streams.ingest.simulator.line import Line
from streams.ingest.simulator.scenario import Campaign, Scenario
from streams.ingest.simulator.signing import signer

PUBLIC_URL = "https://hooks.example.com"
"""What Twilio would call: signatures are made for it, so that requests can be signed before a port is known."""

TOKEN = "token-of-the-benchmark"
ACCOUNT = "AC5ca1ab1e0000000000000000000000aa"
NUMBERS = 500

# Busy hours of ten campaigns: 110,000 callbacks in two hours, each number with some fifty calls.
_SCENARIO = Scenario(
    name="bench",
    description="Ten campaigns of fifty numbers, two busy hours.",
    campaigns=tuple(
        Campaign(name=f"campaign-{index}", numbers=NUMBERS // 10, calls_per_day=400.0, answer_rate=0.36)
        for index in range(10)
    ),
    account_sid=ACCOUNT,
    past=0,
    stretch=2 * HOUR,
    end_of_week_hour=3 * 24 + 20,
    contacts_per_number=400,
)


def lines(count: int, seed: int = 1) -> list[Line]:
    """The first `count` lines of two hours that end now, so that their times are usable to a live gateway."""
    found = list(islice(Simulation(_SCENARIO, seed, time.time_ns() // 1_000_000).lines(), count))
    if len(found) < count:
        raise ValueError(f"the scenario has {len(found)} lines only; ask for fewer or make it larger")
    return found


def encoded(count: int, seed: int = 1) -> list[bytes]:
    """The same as bytes of replay lines."""
    return [line.encode() for line in lines(count, seed)]


def write_requests(path: Path, wanted: Sequence[Line]) -> None:
    """Sign lines and write them as whole HTTP requests, ready to be sent; read again by `read_requests`."""
    sign = signer(TOKEN, PUBLIC_URL)
    with path.open("wb") as file:
        for line in wanted:
            signed = sign(line)
            head = "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items())
            start = (
                f"POST {signed.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(signed.body)}\r\n\r\n"
            )
            request = start.encode() + signed.body
            file.write(len(request).to_bytes(4, "big") + request)


def read_requests(path: Path) -> list[bytes]:
    """Read what `write_requests` wrote."""
    return list(_read(path.read_bytes()))


def _read(content: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(content):
        size = int.from_bytes(content[place : place + 4], "big")
        yield content[place + 4 : place + 4 + size]
        place += 4 + size


def stop_message(contact: str, index: int, at: int) -> Line:
    """A person's STOP by message, which fires the rule `opt_out` at once.

    Args:
        contact: who says it.
        index: makes the message's id.
        at: when, in milliseconds since the epoch.
    """
    params = {
        "MessageSid": f"SM{index:032x}",
        "AccountSid": ACCOUNT,
        "From": contact,
        "To": "+12025550100",
        "Body": "STOP",
        "SmsStatus": "received",
        "OptOutType": "STOP",
    }
    return Line(received_at=at, path="/twilio/messaging", params=params)
