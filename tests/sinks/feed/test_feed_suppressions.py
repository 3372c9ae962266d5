"""Verdicts as the API gives them: one by one, by page, as CSV."""

from __future__ import annotations

import asyncio
import csv
import io
from types import SimpleNamespace

from schemas.alert import SubjectKind
from schemas.times import to_iso


def test_verdict_on_one_number_or_contact(feed: SimpleNamespace) -> None:
    """A suppressed contact is found however its plus came, until its end; an unknown one is not suppressed."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        verdict = feed.suppression(until=feed.NOW + 1_000)
        await log.append([feed.suppression_record(verdict)])
        async with feed.running(log) as service, service.client() as client:
            for text in ("+12025550123", "%2B12025550123", "%2012025550123", "12025550123", "+1%20(202)%20555-0123"):
                answer = await client.get(f"/v1/suppressions/contact/{text}")
                assert answer.json() == verdict.as_public() | {"suppressed": True, "overridden_by": None}
            for path in (
                "contact/+12025550124",
                "number/+12025550123",
                "contact/sip:alice@example.com",
                "contact/72345",
            ):
                answer = await client.get(f"/v1/suppressions/{path}")
                assert answer.status_code == 200
                assert answer.json()["suppressed"] is False
                assert answer.json()["reason"] is None
            service.clock[0] += 1_000
            assert (await client.get("/v1/suppressions/contact/+12025550123")).json()["suppressed"] is False
            for path in ("contact/2025550123", "person/+12025550123"):
                answer = await client.get(f"/v1/suppressions/{path}")
                assert answer.status_code == 422
                assert "\n" not in answer.json()["detail"]

    asyncio.run(scenario())


def test_suppressions_can_be_polled(feed: SimpleNamespace) -> None:
    """The ETag stays while nothing changes, and differs for a change, an end that passed and another query."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append(
            [
                feed.suppression_record(feed.suppression()),
                feed.suppression_record(
                    feed.suppression("+12025550100", kind=SubjectKind.NUMBER, until=feed.NOW + 500)
                ),
            ]
        )
        async with feed.running(log) as service, service.client() as client:
            for path in ("/v1/suppressions", "/v1/suppressions.csv"):
                service.clock[0] = feed.NOW
                first = await client.get(path)
                held = {"If-None-Match": first.headers["etag"]}
                same = await client.get(path, headers=held)
                assert (same.status_code, same.content) == (304, b"")
                assert same.headers["etag"] == first.headers["etag"]
                assert (await client.get(f"{path}?kind=contact", headers=held)).status_code == 200
                service.clock[0] += 500
                passed = await client.get(path, headers=held)
                assert passed.status_code == 200
                assert "+12025550100" not in passed.text
                await log.append([feed.suppression_record(feed.suppression("+12025550199"))])
                await service.settled()
                changed = await client.get(path, headers={"If-None-Match": f"W/{passed.headers['etag']}"})
                assert changed.status_code == 200
                assert "+12025550199" in changed.text

    asyncio.run(scenario())


def test_suppressions_are_listed_by_page_and_filter(feed: SimpleNamespace) -> None:
    """Pages follow `next` in order of kind and value, and filters leave what they name."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        people = [feed.suppression(f"+1202555{n:04d}", at=feed.NOW + n) for n in range(12)]
        number = feed.suppression("+12025550100", kind=SubjectKind.NUMBER, rule="answer_rate_collapse")
        await log.append([feed.suppression_record(one) for one in (*people, number)])
        async with feed.running(log) as service, service.client() as client:
            page = (await client.get("/v1/suppressions?limit=8")).json()
            rest = (await client.get("/v1/suppressions", params={"limit": 8, "after": page["next"]})).json()
            blank = (await client.get(f"/v1/suppressions?limit=8&after={page['next']}")).json()
            assert blank == rest
            assert page["items"] + rest["items"] == [one.as_public() for one in (*people, number)]
            assert rest["next"] is None
            since = to_iso(feed.NOW + 6)
            for query, count in (
                ("kind=number", 1),
                ("rule=opt_out", 12),
                ("value=+12025550003", 1),
                (f"since={since}", 6),
            ):
                assert len((await client.get(f"/v1/suppressions?{query}")).json()["items"]) == count

    asyncio.run(scenario())


def test_suppressions_as_csv(feed: SimpleNamespace) -> None:
    """The file has a header line and one line a suppression, quoted where needed, however many there are."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        people = [feed.suppression(f"+1202{n:07d}") for n in range(1_200)]
        await log.append([feed.suppression_record(one) for one in people])
        async with feed.running(log) as service, service.client() as client:
            answer = await client.get("/v1/suppressions.csv")
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            rows = list(csv.DictReader(io.StringIO(answer.text)))
            assert [row["value"] for row in rows] == [one.subject.value for one in people]
            assert rows[0] == {
                "kind": "contact",
                "value": "+12020000000",
                "rule": "opt_out",
                "alert_id": "22a04f3a03d04bae",
                "at": to_iso(feed.NOW),
                "until": "",
                "reason": people[0].reason,
            }
            assert len((await client.get("/v1/suppressions.csv?kind=number")).text.splitlines()) == 1

    asyncio.run(scenario())
