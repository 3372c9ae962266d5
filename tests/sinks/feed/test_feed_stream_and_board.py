"""The event stream beside the board that reads the log for it: waiting, waking, trouble, the end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest

from sinks.feed.board import Board
from sinks.feed.journal import Journal
from sinks.feed.stream import Follower


def test_follower_passes_over_what_compaction_took(feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cursor into records that are gone, and that no later record follows, leads on to what comes next."""
    monkeypatch.setattr("sinks.feed.stream.SETTLE", 0.2)

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        board = Board(log, journal=Journal(max_events=1))
        async with feed.running(log, board=board) as service:
            await log.append([feed.suppression_record(feed.suppression()), feed.tombstone("+12025550123")])
            await service.settled()
            await log.append([feed.alert_record(feed.alert())])
            await service.settled()
            log.compact("suppressions", 0, {0, 1})
            follower = Follower(board, log, {("alerts", 0): 0, ("suppressions", 0): 0})
            runs = follower.events()
            async with asyncio.timeout(10):
                run = await anext(runs)
            assert [event.topic for event in run] == ["alerts"]
            follower.positions["alerts", 0] = 1
            later = asyncio.create_task(anext(runs))
            await feed.soon(lambda: follower.positions["suppressions", 0] == 2)
            await log.append([feed.suppression_record(feed.suppression("+12025550199"))])
            (event,) = await asyncio.wait_for(later, 10)
            assert event.payload.subject.value == "+12025550199"
            await runs.aclose()

    asyncio.run(scenario())


def test_streams_past_the_limit_are_refused(feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One stream too many gets 503 and a Retry-After, and a stream that left makes room."""
    monkeypatch.setattr("sinks.feed.stream.Streams.__init__.__defaults__", (1,))

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, feed.served(service), service.client() as client:
            async with feed.following(service) as events:
                await events.connected()
                assert (await client.get("/v1/stream")).status_code == 503
                assert "ringwatch_feed_streams 1.0" in (await client.get("/metrics")).text
            await feed.soon(lambda: service.streams_open() == 0)
            async with feed.following(service) as events:
                await events.connected()

    asyncio.run(scenario())


def test_streams_end_when_the_board_stops(feed: SimpleNamespace) -> None:
    """A server that shuts down is not held open by its streams."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, feed.served(service), feed.following(service) as events:
            await events.connected()
            service.stop.set()
            with pytest.raises(EOFError):
                await events.next()

    asyncio.run(scenario())


def test_stream_of_a_board_that_still_reads_waits_for_it(feed: SimpleNamespace) -> None:
    """A client that comes back before the board has read its log gets its events once they are known."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        await log.append([feed.suppression_record(feed.suppression(feed.person(number))) for number in range(30)])
        board = Board(log, journal=Journal(max_events=5))
        async with feed.running(log, board=board, wait=False) as service, feed.served(service):
            async with feed.following(service, last_id="a0-s10") as events:
                seen = [await events.next() for _ in range(20)]
            assert feed.values(seen) == [feed.person(number) for number in range(10, 30)]

    asyncio.run(scenario())


def test_follower_waits_for_the_board_and_is_woken(feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the board reads its log a client that is behind gets keep-alives, and its events once that is done."""
    monkeypatch.setattr("sinks.feed.stream.KEEP_ALIVE", 0.05)

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        await log.append([feed.suppression_record(feed.suppression(feed.person(number))) for number in range(9)])
        async with feed.running(log, board=Board(log, journal=Journal(max_events=2))) as service:
            service.board.caught_up.clear()
            runs = Follower(service.board, log, {("alerts", 0): 0, ("suppressions", 0): 0}).events()
            assert await anext(runs) == ()
            monkeypatch.setattr("sinks.feed.stream.KEEP_ALIVE", 60.0)
            waiting = asyncio.create_task(anext(runs))
            await asyncio.sleep(0.1)
            service.board.caught_up.set()
            service.board.journal.wake()
            assert len(await asyncio.wait_for(waiting, 5)) == 9
            await runs.aclose()

    asyncio.run(scenario())


def test_board_wakes_whoever_waits_for_it_to_catch_up(feed: SimpleNamespace) -> None:
    """A client that waits for the board goes on at once when it has caught up, not at the next record."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        board = Board(log)
        waiting = asyncio.create_task(board.journal.changed(5.0))
        await asyncio.sleep(0)
        async with feed.running(log, board=board):
            assert await waiting

    asyncio.run(scenario())


def test_follower_never_runs_ahead_of_the_board(feed: SimpleNamespace) -> None:
    """What the log holds past the board's position comes from the board later, once."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        await log.append([feed.suppression_record(feed.suppression(feed.person(number))) for number in range(20)])
        start = {("alerts", 0): 0, ("suppressions", 0): 0}
        records = (await log.reader(dict(start))).take(20)
        board = Board(log, journal=Journal(max_events=2))
        board.positions = dict(start)
        board._apply(records[:10])
        board.caught_up.set()
        follower = Follower(board, log, dict(start))
        runs = follower.events()
        seen: list[str] = []
        async with asyncio.timeout(10):
            while len(seen) < 20:
                if len(seen) == 10:
                    board._apply(records[10:])
                for event in await anext(runs):
                    follower.positions[event.topic, event.partition] = event.offset + 1
                    seen.append(event.payload.subject.value)
        assert seen == [feed.person(number) for number in range(20)]
        await runs.aclose()

    asyncio.run(scenario())


def test_stream_goes_on_after_the_log_was_away(feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reads from the log while it goes away gets the rest when it is back, each event once."""
    monkeypatch.setattr("sinks.feed.stream.LOG_RETRY", 0.01)
    monkeypatch.setattr("sinks.feed.stream.LOG_BATCH", 10)
    monkeypatch.setattr("sinks.feed.stream.CHUNK", 4)

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        await log.append([feed.suppression_record(feed.suppression(feed.person(number))) for number in range(60)])
        board = Board(log, journal=Journal(max_events=5))
        async with feed.running(log, board=board):
            follower = Follower(board, log, {("alerts", 0): 0, ("suppressions", 0): 0})
            runs = follower.events()
            seen: list[str] = []
            async with asyncio.timeout(10):
                while len(seen) < 60:
                    log.away = not log.away and len(seen) in range(10, 40)
                    if log.away:
                        asyncio.get_running_loop().call_later(0.05, setattr, log, "away", False)
                    for event in await anext(runs):
                        follower.positions[event.topic, event.partition] = event.offset + 1
                        seen.append(event.payload.subject.value)
            assert seen == [feed.person(number) for number in range(60)]
            await runs.aclose()

    asyncio.run(scenario())


def test_browser_is_told_when_to_come_back(feed: SimpleNamespace) -> None:
    """The stream is declared as server-sent events that nobody may store or hold back."""

    async def scenario() -> None:
        async with (
            feed.running(feed.MemoryLog()) as service,
            feed.served(service) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
            client.stream("GET", "/v1/stream") as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            assert "content-length" not in answer.headers
            assert await anext(answer.aiter_lines()) == "retry: 1000"

    asyncio.run(scenario())
