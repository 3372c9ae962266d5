"""Silences and acknowledgements over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from schemas.alert import AlertState
from schemas.silence import Silence
from schemas.times import HOUR, to_iso

BODY: dict[str, Any] = {"matchers": {"rule": "volume_spike"}, "hours": 2, "author": "ada", "comment": "a known launch"}


async def until_listed(client: httpx.AsyncClient, state: str, count: int) -> list[dict[str, Any]]:
    """The silences in a state, once there are so many."""
    async with asyncio.timeout(10):
        while True:
            items = (await client.get("/v1/silences", params={"state": state})).raise_for_status().json()["items"]
            if len(items) == count:
                return list(items)
            await asyncio.sleep(0.01)


def test_a_silence_is_kept_shown_and_ended(feed: SimpleNamespace, tmp_path: Path) -> None:
    """A silence is in the log before the answer, shown with the alerts it mutes, and ended by somebody with a name."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append([feed.alert_record(feed.alert()), feed.alert_record(feed.alert(rule="short_calls"))])
        async with feed.running(log, telling=tmp_path) as service, service.client() as client:
            body = BODY | {"matchers": {"rule": "volume_spike", "kind": "number", "value": "+1 (202) 555-0100"}}
            answer = await client.post("/v1/silences", json=body)
            assert answer.status_code == 201
            silence = answer.json()
            kept = [
                Silence.decode(one.value)
                for (topic, _), all_ in log.kept.items()
                if topic == "silences"
                for one in all_
            ]
            assert [one.silence_id for one in kept] == [silence["silence_id"]]
            assert silence["matchers"] == body["matchers"] | {
                "value": "+12025550100",
                "campaign": None,
                "alert_id": None,
            }
            assert silence["ends_at"] == to_iso(feed.NOW + 2 * HOUR)
            assert (await until_listed(client, "active", 1)) == [silence]
            alerts = (await client.get("/v1/alerts")).json()["items"]
            marks = {one["rule"]: (one["silenced_by"], one["acknowledged_by"], one["state"]) for one in alerts}
            assert marks == {
                "volume_spike": ([silence["silence_id"]], None, "firing"),
                "short_calls": ([], None, "firing"),
            }
            path = f"/v1/silences/{silence['silence_id']}"
            assert (await client.delete(path)).status_code == 422
            service.clock[0] += 1_000
            ended = (await client.delete(path, params={"author": "bob"})).raise_for_status().json()
            assert (ended["state"], ended["ended_by"], ended["ends_at"]) == ("expired", "bob", to_iso(feed.NOW + 1_000))
            assert (await until_listed(client, "expired", 1)) == [ended]
            assert (await client.delete(path, params={"author": "eve"})).json() == ended
            assert (await client.delete("/v1/silences/0", params={"author": "bob"})).status_code == 404

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"matchers": {}}, "at least one"),
        ({"matchers": {"kind": "number"}}, "together"),
        ({"matchers": {"value": "+1"}}, "at least one"),
        ({"matchers": {"rules": "x"}}, "matchers.rules"),
        ({"hours": None}, "ends_at: missing"),
        ({"hours": 0}, "hours"),
        ({"ends_at": "2026-11-23T14:00:00Z"}, "not both"),
        ({"hours": None, "ends_at": "2020-11-23T14:00:00Z"}, "past"),
        ({"hours": None, "ends_at": "tomorrow"}, "no time"),
        ({"starts_at": "soon"}, "no time"),
        ({"author": " "}, "author"),
        ({"comment": ""}, "comment"),
    ],
)
def test_a_silence_needs_matchers_an_end_an_author_and_a_reason(
    feed: SimpleNamespace, tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    """What is missing or wrong is refused with one line that names it, and nothing is written."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log, telling=tmp_path) as service, service.client() as client:
            body = {name: value for name, value in (BODY | change).items() if value is not None}
            answer = await client.post("/v1/silences", json=body)
            assert (answer.status_code, word in answer.json()["detail"]) == (422, True), answer.text
            assert not log.kept

    asyncio.run(scenario())


def test_an_acknowledgement_is_of_one_alert_that_fires(feed: SimpleNamespace, tmp_path: Path) -> None:
    """Who looks after an alert is shown with it; twice is once; unknown alerts are 404 and resolved ones 409."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        fired, over = feed.alert(), feed.alert("+2")
        resolved = feed.alert("+2", sequence=2, state=AlertState.RESOLVED)
        await log.append([feed.alert_record(one) for one in (fired, over, resolved)])
        async with feed.running(log, telling=tmp_path) as service, service.client() as client:
            path = f"/v1/alerts/{fired.alert_id}/acknowledgement"
            given = (await client.post(path, json={"author": "ada"})).raise_for_status().json()
            assert (given["matchers"]["alert_id"], given["ends_at"], given["author"]) == (fired.alert_id, None, "ada")
            await until_listed(client, "active", 1)
            again = (await client.post(path, json={"author": "bob"})).raise_for_status().json()
            assert again == given
            shown = (await client.get(f"/v1/alerts/{fired.alert_id}")).json()
            assert (shown["acknowledged_by"], shown["silenced_by"], shown["state"]) == ("ada", [], "firing")
            for alert_id, status in ((over.alert_id, 409), ("0123456789abcdef", 404)):
                path = f"/v1/alerts/{alert_id}/acknowledgement"
                assert (await client.post(path, json={"author": "ada"})).status_code == status

    asyncio.run(scenario())


def test_without_silences_or_disk_the_answer_is_503(feed: SimpleNamespace, tmp_path: Path) -> None:
    """A process that knows no silences says so, and a silence that could not be written is not said to be."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            assert (await client.get("/v1/silences")).status_code == 503
        async with feed.running(log, telling=tmp_path) as service, service.client() as client:
            log.away = True
            answer = await client.post("/v1/silences", json=BODY)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            log.away = False

    asyncio.run(scenario())
