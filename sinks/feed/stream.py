"""Server-sent events: what the board learns, as it learns it, resumable at any event.

Each event's id is a cursor: the client's position in every partition after that event. A client that comes back with
its last id gets what lies past it and nothing else, from memory or from the log itself, also after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from schemas.alert import Alert
from schemas.log import Log, LogUnavailableError, Positions, Reader, Record
from schemas.wire import UnreadableRecordError
from sinks.feed.board import Board
from sinks.feed.cursor import write_cursor
from sinks.feed.events import Event, Filter, event_frame, read_event

# Proxies commonly cut a connection after 30 to 60 silent seconds.
KEEP_ALIVE = 15.0
# What a browser waits before it comes back, in milliseconds: soon, as an alert may wait meanwhile.
RETRY = 1_000
# Events written in one piece at most; the server's own buffer holds one such piece for a client that does not read.
CHUNK = 100
# Records read from the log in one go for a client that is behind.
LOG_BATCH = 500
# As long as the log gives nothing for this many seconds, a client that reads it has all that it holds.
SETTLE = 2.0
# Seconds between two tries when the log is away.
LOG_RETRY = 1.0
# Open streams at most: each holds a task and at most some hundred kilobytes.
MAX_STREAMS = 1_000


class Streams:
    """Counts the open streams.

    Args:
        limit: how many may be open at once.
    """

    def __init__(self, limit: int = MAX_STREAMS) -> None:
        self.limit = limit
        self.open = 0

    @property
    def full(self) -> bool:
        """Whether one more would be too many."""
        return self.open >= self.limit


class Follower:
    """One client's way through the events.

    Args:
        board: what it follows.
        log: where it reads what the board's journal no longer has.
        positions: where it starts, for every partition; changed as it goes on.
    """

    def __init__(self, board: Board, log: Log, positions: Positions) -> None:
        self._board = board
        self._log = log
        self.positions = positions

    async def events(self) -> AsyncGenerator[Sequence[Event], None]:
        """Give events in order, in small runs; an empty run whenever nothing came for `KEEP_ALIVE` seconds.

        Ends when the board stops. `positions` is to be moved past each event by the one who takes it.
        """
        journal = self._board.journal
        index: int | None = None
        while not journal.closed:
            if index is None or index < journal.first:
                if not journal.covers(self.positions):
                    index = None
                    async with aclosing(self._from_log()) as runs:
                        async for run in runs:
                            yield run
                    continue
                index = journal.first
            found = journal.events(index, CHUNK)
            index += len(found)
            run = [event for event in found if event.offset >= self.positions[event.topic, event.partition]]
            if run:
                yield run
            elif not found and not await journal.changed(KEEP_ALIVE):
                yield ()

    async def _from_log(self) -> AsyncGenerator[Sequence[Event], None]:
        # Only what the board has read is taken, because only the board knows which alerts repeat themselves.
        while not self._board.caught_up.is_set():
            if self._board.journal.closed:
                return
            if not await self._board.journal.changed(KEEP_ALIVE):
                yield ()
        try:
            reader = await self._log.reader(dict(self.positions))
        except LogUnavailableError:
            await asyncio.sleep(LOG_RETRY)
            return
        try:
            async with aclosing(self._read(reader)) as runs:
                async for run in runs:
                    yield run
        except LogUnavailableError:
            await asyncio.sleep(LOG_RETRY)
        finally:
            await reader.close()

    async def _read(self, reader: Reader) -> AsyncGenerator[Sequence[Event], None]:
        journal = self._board.journal
        ahead: set[tuple[str, int]] = set()
        while not journal.covers(self.positions) and not journal.closed:
            begins = journal.begins
            records = await reader.fetch(LOG_BATCH, SETTLE)
            if not records:
                for place, begin in begins.items():
                    if place not in ahead:
                        self.positions[place] = max(self.positions[place], begin)
                return
            run: list[Event] = []
            passed: Positions = {}
            for record in records:
                place = (record.topic, record.partition)
                known = self._board.positions[place]
                if record.offset >= known:
                    ahead.add(place)
                    passed[place] = max(self.positions[place], known)
                    continue
                passed[place] = record.offset + 1
                event = self._event(record)
                if event is not None:
                    run.append(event)
            for start in range(0, len(run), CHUNK):
                yield run[start : start + CHUNK]
            for place, offset in passed.items():
                self.positions[place] = max(self.positions[place], offset)

    def _event(self, record: Record) -> Event | None:
        try:
            event = read_event(record)
        except UnreadableRecordError:
            return None
        if isinstance(event.payload, Alert):
            return None if self._board.alerts.repeats(event.payload, record.offset) else event
        if (record.partition, record.offset) in self._board.overtaken:
            return None
        # What the board holds now, not then: each later change of it has its own record further on.
        event.instead = self._board.suppressions.instead_of(event.payload, record.timestamp)
        return event


class EventStreamResponse(Response):
    """The response that writes one client's events until the client leaves or the board stops.

    The server's flow control holds the writer while the client does not read: meanwhile the journal moves on without
    it, and what it missed is read from the log. So a slow client costs one run of events, however far behind it is.

    Args:
        follower: where the events come from.
        wanted: which events the client asked for.
        streams: where the stream is counted.
    """

    media_type = "text/event-stream"

    def __init__(self, follower: Follower, wanted: Filter, streams: Streams) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._follower = follower
        self._wanted = wanted
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Write the stream."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._streams.open += 1
        tasks = [asyncio.ensure_future(self._write(send)), asyncio.ensure_future(_left(receive))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.open -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _write(self, send: Send) -> None:
        # A block of an id alone moves the client's cursor and is no event: a client that left before its first event,
        # or whose filter let nothing through, comes back to the right place.
        positions = self._follower.positions
        told = write_cursor(positions)
        await _send(send, f"retry: {RETRY}\nid: {told}\n\n".encode())
        async with aclosing(self._follower.events()) as runs:
            async for run in runs:
                pieces: list[bytes] = []
                for event in run:
                    positions[event.topic, event.partition] = event.offset + 1
                    if self._wanted.admits(event.payload):
                        told = write_cursor(positions)
                        pieces.append(b"%sid: %s\n\n" % (event_frame(event), told.encode()))
                if not run:
                    now = write_cursor(positions)
                    pieces.append(b": keep-alive\n\n" if now == told else f": keep-alive\nid: {now}\n\n".encode())
                    told = now
                if pieces:
                    await _send(send, b"".join(pieces))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
