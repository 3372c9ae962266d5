"""The feed over the embedded log, as `ringwatch up` runs it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

from schemas.opt_out import OptOut
from schemas.topics import ALERTS, OPTOUTS, SUPPRESSIONS
from sinks.feed.board import Board
from sinks.feed.journal import Journal
from streams.transports.local.log import LocalLog


def _open(path: Path) -> LocalLog:
    log = LocalLog.open(path)
    for topic in (ALERTS, SUPPRESSIONS, OPTOUTS):
        log.create_topic(topic.name, 3, topic.cleanup, topic.retention)
    return log


def test_stream_resumes_after_the_log_was_closed_and_opened_again(feed: SimpleNamespace, tmp_path: Path) -> None:
    """Over the real log too, a client sees each event once, though server and log were restarted between."""

    async def scenario() -> None:
        seen: list[str] = []
        last_id: str | None = None
        for turn in range(4):
            log = _open(tmp_path / "log")
            try:
                board = Board(log, journal=Journal(max_events=5_000 if turn % 2 else 4))
                async with feed.running(log, board=board) as service, feed.served(service):
                    async with feed.following(service, "" if last_id else "?from=beginning", last_id) as events:
                        last_id = await events.connected()
                        people = [f"+1202555{turn:02d}{number:02d}" for number in range(40)]
                        await log.append([feed.suppression_record(feed.suppression(person)) for person in people[:30]])
                        for _ in range(20):
                            event = await events.next()
                            seen.append(json.loads(event.data)["value"])
                            last_id = event.id
                    await log.append([feed.suppression_record(feed.suppression(person)) for person in people[30:]])
            finally:
                log.close()
        log = _open(tmp_path / "log")
        try:
            async with (
                feed.running(log) as service,
                feed.served(service),
                feed.following(service, last_id=last_id) as events,
            ):
                while len(seen) < 160:
                    seen.append(json.loads((await events.next()).data)["value"])
            assert len(set(seen)) == 160
        finally:
            log.close()

    asyncio.run(scenario())


def test_opt_out_lies_in_the_log_and_a_tombstone_lifts(feed: SimpleNamespace, tmp_path: Path) -> None:
    """POST /v1/optouts is in the embedded log when it answers, and a tombstone there ends a suppression."""

    async def scenario() -> None:
        log = _open(tmp_path / "log")
        try:
            async with feed.running(log) as service, service.client() as client:
                answer = await client.post("/v1/optouts", json={"contact": "+12025550123"})
                assert answer.status_code == 202
                reader = await log.reader({("optouts", partition): 0 for partition in range(3)})
                (record,) = await reader.fetch(10, 1.0)
                await reader.close()
                assert OptOut.decode(record.value or b"").contact == "+12025550123"

                path = "/v1/suppressions/contact/+12025550123"
                await log.append([feed.suppression_record(feed.suppression())])
                await feed.soon(lambda: len(service.board.suppressions) == 1)
                assert (await client.get(path)).json()["suppressed"] is True
                await log.append([feed.tombstone("+12025550123")])
                await feed.soon(lambda: len(service.board.suppressions) == 0)
                assert (await client.get(path)).json()["suppressed"] is False
        finally:
            log.close()

    asyncio.run(scenario())
