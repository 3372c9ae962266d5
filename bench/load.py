"""The load generator: whole requests over kept-alive sockets, in a process of its own.

`python -m bench.load` reads a `Load` as JSON from standard input and writes an `Answered` as JSON to standard output.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections import deque
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from bench.traffic import read_requests

# The least that answers of servers differ by: below it a timer is no more exact than the loop's own turn.
_TICK_SECONDS = 0.001


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be sent.

    Attributes:
        port: of the server on 127.0.0.1.
        requests: file of the requests, each sent once, in order.
        connections: sockets, each with one request under way at most.
        rate: requests begun a second; None is as fast as the answers come.
        processor: the processor to stay on; None is any.
    """

    port: int
    requests: str
    connections: int
    rate: float | None = None
    processor: int | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it.

    Attributes:
        accepted: answered 2xx.
        refused: answered with anything else.
        seconds: from the first request to the last answer.
        began: clock time of the first request, in seconds since the epoch.
        latencies: milliseconds from the moment each request was due (or was sent, without a rate) to its answer.
    """

    accepted: int
    refused: int
    seconds: float
    began: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        """Answered 2xx a second."""
        return self.accepted / self.seconds

    def percentile(self, percent: int) -> float:
        """Latency that so many percent stay below, in milliseconds."""
        return statistics.quantiles(self.latencies, n=100)[percent - 1]


class Connection(asyncio.Protocol):
    """One kept-alive socket with one request under way at most."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._received = b""
        self._due = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        # uvloop's transport is one by duck typing alone.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a moment of the monotonic clock."""
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, whole or in pieces."""
        received = self._received + data
        end = received.find(b"\r\n\r\n")
        if end < 0 or len(received) < end + 4 + _length(received[:end]):
            self._received = received
            return
        self._received = b""
        self._sender.answered(self, received[9:10] == b"2", self._due)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the sender."""
        self._sender.lost(error)

    def close(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


class Sender:
    """Sends requests over all connections, in order."""

    def __init__(self, requests: list[bytes], rate: float | None) -> None:
        self._requests = requests
        self._rate = rate
        self._next = 0
        self._due: deque[float] = deque()
        # First in, first out: a server hangs up on a socket that is left idle for seconds.
        self._idle: deque[Connection] = deque()
        self._began = 0.0
        self.accepted = 0
        self.latencies: list[float] = []
        self.done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def run(self, connections: list[Connection]) -> float:
        """Send all; give the seconds until the last answer."""
        self._idle.extend(connections)
        self._began = time.perf_counter()
        if self._rate is None:
            while self._idle and self._next < len(self._requests):
                self._send(self._idle.popleft(), time.perf_counter())
        else:
            await self._pace(self._rate)
        return await self.done - self._began

    async def _pace(self, rate: float) -> None:
        due = 0
        while due < len(self._requests):
            now = time.perf_counter()
            while due < len(self._requests) and self._began + due / rate <= now:
                self._due.append(self._began + due / rate)
                due += 1
            while self._due and self._idle:
                self._send(self._idle.popleft(), self._due.popleft())
            await asyncio.sleep(_TICK_SECONDS)

    def _send(self, connection: Connection, due: float) -> None:
        request = self._requests[self._next]
        self._next += 1
        connection.send(request, due)

    def answered(self, connection: Connection, accepted: bool, due: float) -> None:
        """Note an answer and use the connection for what comes next."""
        now = time.perf_counter()
        self.latencies.append((now - due) * 1_000)
        self.accepted += accepted
        if len(self.latencies) == len(self._requests):
            self.done.set_result(now)
        elif self._rate is None:
            if self._next < len(self._requests):
                self._send(connection, now)
        elif self._due:
            self._send(connection, self._due.popleft())
        else:
            self._idle.append(connection)

    def lost(self, error: Exception | None) -> None:
        """Give up: a server that hangs up is no server to measure."""
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server hung up: {error}"))


async def send(load: Load, requests: list[bytes]) -> Answered:
    """Send requests as asked for."""
    loop = asyncio.get_running_loop()
    sender = Sender(requests, load.rate)
    connections = []
    for _ in range(load.connections):
        _, connection = await loop.create_connection(lambda: Connection(sender), "127.0.0.1", load.port)
        connections.append(connection)
    began = time.time()
    seconds = await sender.run(connections)
    for connection in connections:
        connection.close()
    refused = len(requests) - sender.accepted
    return Answered(accepted=sender.accepted, refused=refused, seconds=seconds, began=began, latencies=sender.latencies)


def main() -> None:
    """Send what standard input asks for."""
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    if load.processor is not None:
        os.sched_setaffinity(0, {load.processor})
    answered = uvloop.run(send(load, read_requests(Path(load.requests))))
    sys.stdout.buffer.write(msgspec.json.encode(answered))


if __name__ == "__main__":
    main()
