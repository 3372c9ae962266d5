"""The event stream, over a real server."""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from types import SimpleNamespace

import pytest

from schemas.alert import AlertState, SubjectKind
from schemas.log import NewRecord
from sinks.feed.board import Board
from sinks.feed.cursor import CursorError, read_cursor, write_cursor
from sinks.feed.journal import Journal


def test_stream_tells_alerts_and_suppressions_as_they_come(feed: SimpleNamespace) -> None:
    """Events carry the public form of alert, suppression and lifting, and nothing that was there before."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append([feed.suppression_record(feed.suppression("+12025550111"))])
        async with feed.running(log) as service, feed.served(service), feed.following(service) as events:
            await events.connected()
            for record in (
                feed.alert_record(feed.alert()),
                feed.suppression_record(feed.suppression()),
                feed.tombstone("+12025550123"),
            ):
                await log.append([record])
                await service.settled()
            seen = [await events.next() for _ in range(3)]
            assert [event.name for event in seen] == ["alert", "suppression", "suppression"]
            assert [json.loads(event.data) for event in seen] == [
                feed.alert().as_public(),
                feed.suppression().as_public(),
                {"kind": "contact", "value": "+12025550123", "lifted": True},
            ]

    asyncio.run(scenario())


@pytest.mark.parametrize("kept", [5_000, 7], ids=["from memory", "from the log"])
def test_client_that_reconnects_misses_nothing_and_gets_nothing_twice(feed: SimpleNamespace, kept: int) -> None:
    """A client that leaves after any event and comes back with its last id sees each event once, across restarts."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=3)
        chance = random.Random(4)
        total = 80
        expected = [feed.person(number) for number in range(total)]
        seen: list = []
        last_id: str | None = None
        written = 0
        while len(seen) < total:
            board = Board(log, journal=Journal(max_events=kept))
            async with feed.running(log, board=board) as service, feed.served(service):
                for _ in range(4):
                    query = "" if last_id else "?from=beginning"
                    async with feed.following(service, query, last_id) as events:
                        last_id = await events.connected()
                        fresh = min(chance.randrange(12), total - written)
                        await log.append(
                            [feed.suppression_record(feed.suppression(feed.person(written + n))) for n in range(fresh)]
                        )
                        written += fresh
                        for _ in range(chance.randrange(written - len(seen) + 1)):
                            seen.append(await events.next())
                            last_id = seen[-1].id
                # These come while nobody listens.
                fresh = min(9, total - written)
                await log.append(
                    [feed.suppression_record(feed.suppression(feed.person(written + n))) for n in range(fresh)]
                )
                written += fresh
        assert sorted(feed.values(seen)) == expected

    asyncio.run(scenario())


def test_position_is_kept_by_a_client_that_saw_no_event(feed: SimpleNamespace) -> None:
    """The first thing a client gets is an id: one that leaves before its first event comes back to its place."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, feed.served(service):
            async with feed.following(service) as events:
                last_id = await events.connected()
            await log.append([feed.suppression_record(feed.suppression())])
            async with feed.following(service, last_id=last_id) as events:
                assert feed.values([await events.next()]) == ["+12025550123"]

    asyncio.run(scenario())


def test_keep_alive_moves_the_cursor_past_what_a_filter_held_back(
    feed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent stream carries comments, and an id where events were passed over."""
    monkeypatch.setattr("sinks.feed.stream.KEEP_ALIVE", 0.05)

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        async with (
            feed.running(log) as service,
            feed.served(service),
            feed.following(service, "?kind=number") as events,
        ):
            assert await events.connected() == "a0-s0"
            await log.append([feed.suppression_record(feed.suppression())])
            lines = []
            async with asyncio.timeout(5):
                async for line in events.lines:
                    lines.append(line)
                    if line == "id: a0-s1":
                        break
            assert ": keep-alive" in lines
            assert not any(line.startswith("data") for line in lines)

    asyncio.run(scenario())


def test_stream_filters_by_rule_and_kind(feed: SimpleNamespace) -> None:
    """Only what was asked for comes; a lifting comes whatever the rule, as it names none."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, feed.served(service):
            await log.append([feed.alert_record(feed.alert())])
            await log.append([feed.alert_record(feed.alert("spring-sale", kind=SubjectKind.CAMPAIGN))])
            await log.append([feed.suppression_record(feed.suppression())])
            await log.append([feed.tombstone("+12025550123")])
            async with feed.following(service, "?from=beginning&rule=volume_spike&kind=number&kind=contact") as events:
                seen = [json.loads((await events.next()).data) for _ in range(2)]
                assert {"+12025550100", "+12025550123"} == {
                    one["subject"]["value"] if "subject" in one else one["value"] for one in seen
                }
                assert any("lifted" in one for one in seen)
                assert all(one.get("rule") in {"volume_spike", None} for one in seen)
                with pytest.raises(TimeoutError):
                    await events.next(0.2)

    asyncio.run(scenario())


@pytest.mark.parametrize("kept", [5_000, 1], ids=["from memory", "from the log"])
def test_repeated_transition_is_told_once(feed: SimpleNamespace, kept: int) -> None:
    """An alert's transition that was written twice is one event, live and when it is read from the log."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        fired = feed.alert(sequence=1)
        resolved = feed.alert(sequence=2, state=AlertState.RESOLVED)
        other = feed.alert("+12025550199")
        await log.append([feed.alert_record(one) for one in (fired, resolved, fired, resolved, other, other)])
        await log.append([NewRecord("alerts", b"x", b"{not json", partition) for partition in (0, 1)])
        board = Board(log, journal=Journal(max_events=kept))
        async with (
            feed.running(log, board=board) as service,
            feed.served(service),
            feed.following(service, "?from=beginning") as events,
        ):
            seen = [json.loads((await events.next()).data) for _ in range(3)]
            assert sorted((one["subject"]["value"], one["state"]) for one in seen) == [
                ("+12025550100", "firing"),
                ("+12025550100", "resolved"),
                ("+12025550199", "firing"),
            ]
            with pytest.raises(TimeoutError):
                await events.next(0.2)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("cursor", "words"),
    [
        ("nonsense", "no cursor of this feed"),
        ("a1-s1", "another log"),
        ("a1.1-s1.x", "no cursor of this feed"),
        ("a9.0-s0.0", "another log"),
        ("a" + "9" * 40 + ".0-s0.0", "no cursor of this feed"),
        ("a٣.0-s0.0".encode().decode("latin-1"), "no cursor of this feed"),
    ],
)
def test_cursor_that_is_none_is_refused(feed: SimpleNamespace, cursor: str, words: str) -> None:
    """A malformed Last-Event-ID, or one of another log, gets 400 and a sentence that says what to send."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            answer = await client.get("/v1/stream", headers={b"Last-Event-ID": cursor.encode("latin-1")})
            assert answer.status_code == 400
            assert words in answer.json()["detail"]

    asyncio.run(scenario())


def test_cursor_reads_what_it_wrote() -> None:
    """A cursor keeps every partition's offset apart, and one past the ends is refused."""
    ends = {("alerts", 0): 12, ("alerts", 1): 3, ("suppressions", 0): 0, ("suppressions", 1): 10**18}
    assert read_cursor(write_cursor(ends), ends) == ends
    with pytest.raises(CursorError):
        read_cursor("a12.4-s0.0", ends)


def test_stream_answers_503_while_the_log_is_away(feed: SimpleNamespace) -> None:
    """Without the log's ends nobody knows where a client stands, so it is asked to come back."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            log.away = True
            answer = await client.get("/v1/stream")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"

    asyncio.run(scenario())


def test_many_clients_get_every_event_soon(feed: SimpleNamespace) -> None:
    """Clients, however many, see each of a hundred events once and in one order, each soon after it was committed."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        async with feed.running(log) as service, feed.served(service):
            ready = asyncio.Semaphore(0)

            async def client() -> list[str]:
                async with feed.following(service) as events:
                    await events.connected()
                    ready.release()
                    return feed.values([await events.next() for _ in range(100)])

            clients = [asyncio.create_task(client()) for _ in range(25)]
            for _ in clients:
                await ready.acquire()
            for number in range(100):
                await log.append([feed.suppression_record(feed.suppression(feed.person(number)))])
            lists = await asyncio.gather(*clients)
            assert all(one == [feed.person(number) for number in range(100)] for one in lists)
            assert service.board.records["suppressions"] == 100

    asyncio.run(scenario())


def test_event_is_written_within_milliseconds(feed: SimpleNamespace) -> None:
    """Nothing polls: the median time from commit to the client is a few milliseconds."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, feed.served(service), feed.following(service) as events:
            await events.connected()
            delays = []
            for number in range(100):
                begun = time.perf_counter()
                await log.append([feed.suppression_record(feed.suppression(feed.person(number)))])
                await events.next()
                delays.append(time.perf_counter() - begun)
            # Far above what is measured on an idle machine, far below any polling.
            assert statistics.median(delays) < 0.05

    asyncio.run(scenario())


def test_slow_client_holds_no_memory_and_misses_nothing(feed: SimpleNamespace) -> None:
    """A client that does not read while thousands of events pass reads them all later, from the log."""

    async def scenario() -> None:
        log = feed.MemoryLog(partitions=1)
        board = Board(log, journal=Journal(max_events=50))
        total = 12_000
        async with feed.running(log, board=board) as service, feed.served(service):
            host, port = service.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port), limit=4_096)
            writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"id: a0-s0")
            for start in range(0, total, 500):
                await log.append(
                    [feed.suppression_record(feed.suppression(f"+1202{start + n:07d}")) for n in range(500)]
                )
                await service.settled()
            assert len(board.journal.events(board.journal.first, 1_000)) == 50
            reads = log.reads
            found: list[str] = []
            rest = b""
            async with asyncio.timeout(20):
                while len(found) < total:
                    rest += await reader.read(262_144)
                    *lines, rest = rest.split(b"\n")
                    found += [json.loads(line[6:])["value"] for line in lines if line.startswith(b"data: ")]
            assert found == [f"+1202{number:07d}" for number in range(total)]
            assert log.reads > 1 or reads > 1
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


@pytest.mark.parametrize("kept", [5_000, 1], ids=["from memory", "from the log"])
@pytest.mark.parametrize("rule", ["", "opt_out", "collapse"])
def test_stream_tells_what_is_left_of_a_subject(feed: SimpleNamespace, kept: int, rule: str) -> None:
    """Whoever remembers a subject's last event alone knows whether it is suppressed, and without a filter how long."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        board = Board(log, journal=Journal(max_events=kept))
        spring = feed.suppression(rule="collapse", scope="spring", until=feed.NOW + 50_000)
        autumn = feed.suppression(rule="collapse", scope="autumn", until=feed.NOW + 90_000)
        for_good = feed.suppression()
        kind, person = for_good.subject.kind, for_good.subject.value
        lifted = {"kind": kind.value, "value": person, "lifted": True}
        # Which verdict comes or goes, in which partition, and what holds longest then.
        steps = [
            (autumn, True, 0, autumn),
            (spring, True, 1, autumn),
            (autumn, False, 0, spring),
            (for_good, True, 1, for_good),
            (autumn, True, 0, for_good),
            (for_good, False, 1, autumn),
            (autumn, False, 0, spring),
            (spring, False, 1, None),
        ]
        told, holding = 0, set()
        async with feed.running(log, board=board) as service, feed.served(service):
            for verdict, comes, partition, longest in steps:
                (holding.add if comes else holding.discard)((verdict.rule, verdict.scope))
                gone = feed.tombstone(person, kind, partition, rule=verdict.rule, scope=verdict.scope)
                await log.append([feed.suppression_record(verdict, partition) if comes else gone])
                await service.settled()
                assert board.suppressions.get(for_good.subject, feed.NOW) == longest
                told += not comes or rule in {"", verdict.rule}
                last = None
                query = "?from=beginning" + (f"&rule={rule}" if rule else "")
                async with feed.following(service, query) as events:
                    for _ in range(told):
                        last = json.loads((await events.next()).data)
                if not rule or longest is None:
                    assert last == (lifted if longest is None else longest.as_public())
                elif any(one == rule for one, _ in holding):
                    assert last is not None
                    assert "lifted" not in last

    asyncio.run(scenario())
