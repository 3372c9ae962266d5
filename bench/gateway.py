"""The gateway alone: signed callbacks, each on disk before its 2xx, on one processor."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.load import Answered, Load
from bench.processes import send, server
from bench.results import Result
from bench.traffic import lines, write_requests

_REQUESTS = 20_000
_PACED_REQUESTS = 8_000
_RATE = 1_000.0
# More sockets let the log write more records in one sync; Twilio opens some hundred connections itself.
_CONNECTIONS = 64
_ROUNDS = 2


def measure() -> list[Result]:
    """Throughput and latency of the gateway; the ceilings of server and load generator beside it."""
    # The server on one processor, the generator on another where there is one.
    available = sorted(os.sched_getaffinity(0))
    here, there = available[0], available[-1]
    with TemporaryDirectory() as name:
        folder = Path(name)
        all_lines = lines(_REQUESTS)
        full, paced = folder / "full", folder / "paced"
        write_requests(full, all_lines)
        write_requests(paced, all_lines[:_PACED_REQUESTS])

        def best(what: str) -> Answered:
            """The best of some rounds: what else runs on the machine only ever slows."""
            found = []
            for turn in range(_ROUNDS):
                with server(what, folder / f"{what}-{turn}", here) as port:
                    load = Load(port=port, requests=str(full), connections=_CONNECTIONS, processor=there)
                    found.append(send(load))
            return max(found, key=lambda answered: answered.per_second)

        ceiling, empty, gateway = best("socket"), best("empty"), best("gateway")
        timed = []
        for turn in range(_ROUNDS):
            with server("gateway", folder / f"paced-{turn}", here) as port:
                timed.append(
                    send(
                        Load(
                            port=port,
                            requests=str(paced),
                            connections=_CONNECTIONS,
                            rate=_RATE,
                            processor=there,
                        )
                    )
                )
        quiet = min(timed, key=lambda answered: answered.percentile(99))
    how = f"{_CONNECTIONS} kept-alive sockets, best of {_ROUNDS} rounds"
    reached = f"offered {_RATE:,.0f}/s, answered {quiet.per_second:,.0f}/s, {quiet.refused} refused"
    return [
        Result(
            name="load generator's ceiling",
            unit="requests/s",
            value=ceiling.per_second,
            against="gateway",
            ratio=ceiling.per_second / gateway.per_second,
            note="against a socket that answers 204 to anything",
        ),
        Result(
            name="gateway, signed callbacks on disk, one core",
            unit="callbacks/s",
            value=gateway.per_second,
            against="the same HTTP server answering 204 and doing nothing",
            ratio=gateway.per_second / empty.per_second,
            target=">= 2000",
            note=f"{how}; {gateway.refused} refused",
        ),
        Result(name="gateway, p50 at 1,000/s", unit="ms", value=quiet.percentile(50), note=reached),
        Result(name="gateway, p99 at 1,000/s", unit="ms", value=quiet.percentile(99), target="<= 50", note=reached),
    ]
