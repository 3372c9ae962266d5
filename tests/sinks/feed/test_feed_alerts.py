"""Alerts as the API lists them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from schemas.alert import AlertState, SubjectKind


def test_alerts_are_listed_newest_first_and_by_page(feed: SimpleNamespace) -> None:
    """Pages follow `next` to the end, each alert once, with the public form as it is on the command line."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        alerts = [feed.alert(f"+1202555{n:04d}", at=feed.NOW + n % 7) for n in range(25)]
        await log.append([feed.alert_record(alert) for alert in alerts])
        async with feed.running(log) as service, service.client() as client:
            listed: list[dict] = []
            after = None
            for size in (10, 10, 5):
                page = (
                    await client.get("/v1/alerts", params={"limit": 10} | ({"after": after} if after else {}))
                ).json()
                assert len(page["items"]) == size
                listed += page["items"]
                after = page["next"]
            assert after is None
            expected = sorted(alerts, key=lambda one: (one.at, one.alert_id), reverse=True)
            unmarked = {"acknowledged_by": None, "silenced_by": None}
            assert listed == [alert.as_public() | unmarked for alert in expected]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 4),
        ("state=firing", 2),
        ("state=firing&state=resolved", 3),
        ("rule=opt_out", 1),
        ("kind=campaign", 1),
        ("value=%2B12025550100", 2),
        ("value=+12025550100", 2),
        ("campaign=spring-sale", 3),
        ("campaign=nothing", 0),
        ("since=2026-11-23T14:00:01.250Z", 3),
        ("since=2026-11-23T15:00:01.250+01:00", 3),
        ("since=2026-11-23T15:00:01.250%2B01:00", 3),
        ("rule=opt_out&state=firing", 0),
    ],
)
def test_alerts_are_filtered(feed: SimpleNamespace, query: str, count: int) -> None:
    """Each filter leaves just what it names; a plus sign may come plain, encoded or as a blank."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        alerts = [
            feed.alert(),
            feed.alert(run=2, state=AlertState.RESOLVED, at=feed.NOW - 1),
            feed.alert("spring-sale", kind=SubjectKind.CAMPAIGN, campaign=None),
            feed.alert(
                "+12025550123",
                rule="opt_out",
                kind=SubjectKind.CONTACT,
                state=AlertState.ACKNOWLEDGED,
                campaign="renewals",
            ),
        ]
        await log.append([feed.alert_record(alert) for alert in alerts])
        async with feed.running(log) as service, service.client() as client:
            answer = await client.get(f"/v1/alerts?{query}")
            assert answer.status_code == 200
            assert len(answer.json()["items"]) == count

    asyncio.run(scenario())


def test_one_alert_comes_with_its_transitions(feed: SimpleNamespace) -> None:
    """An alert is given as it stands with how it came there; an unknown one is 404."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        fired, resolved = feed.alert(), feed.alert(sequence=2, state=AlertState.RESOLVED, at=feed.NOW + 5)
        await log.append([feed.alert_record(fired), feed.alert_record(resolved)])
        async with feed.running(log) as service, service.client() as client:
            found = (await client.get(f"/v1/alerts/{fired.alert_id}")).json()
            steps = found.pop("transitions")
            assert found == resolved.as_public() | {"acknowledged_by": None, "silenced_by": None}
            assert [(step["sequence"], step["state"]) for step in steps] == [(1, "firing"), (2, "resolved")]
            missing = await client.get("/v1/alerts/0123456789abcdef")
            assert missing.status_code == 404
            assert "no alert '0123456789abcdef'" in missing.json()["detail"]

    asyncio.run(scenario())
