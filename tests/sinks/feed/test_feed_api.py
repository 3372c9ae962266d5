"""The API's answers."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.alert import AlertState, SubjectKind
from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.times import to_iso
from sinks.feed.documents import as_openapi_3_0
from sinks.feed.rolling import WINDOWS, SubjectView
from sinks.feed.service import Ready

ROUTES = {
    "/v1/alerts": {"get": "200"},
    "/v1/alerts/{alert_id}": {"get": "200"},
    "/v1/alerts/{alert_id}/acknowledgement": {"post": "201"},
    "/v1/silences": {"get": "200", "post": "201"},
    "/v1/silences/{silence_id}": {"delete": "200"},
    "/v1/numbers": {"get": "200"},
    "/v1/numbers/{number}": {"get": "200"},
    "/v1/campaigns": {"get": "200"},
    "/v1/campaigns/{campaign}": {"get": "200"},
    "/v1/suppressions": {"get": "200"},
    "/v1/suppressions/{kind}/{value}": {"get": "200", "post": "201", "delete": "200"},
    "/v1/suppressions.csv": {"get": "200"},
    "/v1/overrides": {"get": "200"},
    "/v1/optouts": {"post": "202"},
    "/v1/optouts/import": {"post": "202"},
    "/v1/optouts/remove": {"post": "202"},
    "/v1/stream": {"get": "200"},
    "/healthz": {"get": "200"},
    "/readyz": {"get": "200"},
    "/metrics": {"get": "200"},
}


def _view(value: str, campaigns: tuple[str, ...], attempts: int) -> SubjectView:
    enough = attempts >= 20
    counts = {"attempts": attempts, "answered": attempts // 3, "busy": 1, "no_answer": attempts // 2, "failed": 0}
    ratios = {
        "asr": 0.3333 if enough else None,
        "ner": 0.97 if enough else None,
        "acd": 74.5 if enough else None,
        "mean_ring": 18.25 if enough else None,
    }
    return SubjectView(
        value=value,
        campaigns=campaigns,
        as_of=1_795_442_401_250,
        windows=dict.fromkeys(WINDOWS, counts | ratios),
        rules={
            "answer_rate_collapse": {"state": "learning", "baseline": None},
            "volume_spike": {"state": "ok", "baseline": 21.5},
        },
    )


class Windows:
    """A rolling view of fixed numbers."""

    def __init__(self) -> None:
        self.of_numbers = {
            f"+1202555010{n}": _view(f"+1202555010{n}", ("spring-sale" if n % 2 else "renewals",), 12 * n)
            for n in range(5)
        }
        self.of_campaigns = {name: _view(name, (name,), 120) for name in ("north/west", "renewals", "spring-sale")}

    def numbers(self, after: str | None, limit: int, campaign: str | None) -> Sequence[SubjectView]:
        """As the protocol says."""
        found = [view for value, view in sorted(self.of_numbers.items()) if after is None or value > after]
        return [view for view in found if campaign is None or campaign in view.campaigns][:limit]

    def number(self, value: str) -> SubjectView | None:
        """As the protocol says."""
        return self.of_numbers.get(value)

    def campaigns(self, after: str | None, limit: int) -> Sequence[SubjectView]:
        """As the protocol says."""
        return [view for value, view in sorted(self.of_campaigns.items()) if after is None or value > after][:limit]

    def campaign(self, value: str) -> SubjectView | None:
        """As the protocol says."""
        return self.of_campaigns.get(value)


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


def test_numbers_and_campaigns_show_their_windows(feed: SimpleNamespace) -> None:
    """Windows come as they are kept: what there is not enough data for is null, never 0."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog(), rolling=Windows()) as service, service.client() as client:
            for path in ("/v1/numbers/+12025550101", "/v1/numbers/%2B12025550101", "/v1/numbers/%2012025550101"):
                one = (await client.get(path)).json()
                assert one["value"] == "+12025550101"
                assert one["as_of"] == "2026-11-23T14:00:01.250Z"
                assert one["windows"]["5m"]["attempts"] == 12
                assert one["windows"]["5m"]["asr"] is None
                assert one["rules"]["answer_rate_collapse"] == {"state": "learning", "baseline": None}
            page = (await client.get("/v1/numbers?limit=3")).json()
            assert [one["value"][-1] for one in page["items"]] == ["0", "1", "2"]
            page = (await client.get("/v1/numbers", params={"limit": 3, "after": page["next"]})).json()
            assert [one["value"][-1] for one in page["items"]] == ["3", "4"]
            assert page["next"] is None
            page = (await client.get("/v1/numbers?campaign=spring-sale&after=+12025550101")).json()
            assert [one["value"] for one in page["items"]] == ["+12025550103"]
            page = (await client.get("/v1/campaigns?limit=2")).json()
            assert [one["value"] for one in page["items"]] == ["north/west", "renewals"]
            assert (await client.get("/v1/campaigns/north%2Fwest")).json()["windows"]["7d"]["acd"] == 74.5
            for path in ("/v1/numbers/+12025559999", "/v1/campaigns/nothing"):
                assert (await client.get(path)).status_code == 404

    asyncio.run(scenario())


def test_process_without_windows_says_so(feed: SimpleNamespace) -> None:
    """Where nobody keeps windows, the answer is 503 and not an empty list."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            for path in ("/v1/numbers", "/v1/numbers/+12025550100", "/v1/campaigns", "/v1/campaigns/x"):
                answer = await client.get(path)
                assert answer.status_code == 503
                assert "worker" in answer.json()["detail"]

    asyncio.run(scenario())


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


def test_opt_out_is_on_disk_before_its_answer(feed: SimpleNamespace) -> None:
    """202 means that the record lies in `optouts` under the contact's key; a log that is away gives 503."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            body = {"contact": "+12025550123", "source": "disposition", "campaign": "renewals", "said": "DNC"}
            answer = await client.post("/v1/optouts", json=body)
            assert answer.status_code == 202
            assert answer.json() == {"accepted": True, "contact": "+12025550123", "at": to_iso(feed.NOW)}
            (record,) = [one for place, kept in log.kept.items() if place[0] == "optouts" for one in kept]
            assert record.key == b"+12025550123"
            assert OptOut.decode(record.value or b"") == OptOut(
                contact="+12025550123",
                opted_out=True,
                source=OptOutSource.DISPOSITION,
                channel=Channel.VOICE,
                at=feed.NOW,
                campaign="renewals",
                said="DNC",
                endpoint="/v1/optouts",
            )
            log.away = True
            answer = await client.post("/v1/optouts", json={"contact": "+12025550123"})
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "contact"),
        ({"contact": "2025550123"}, 422, "contact"),
        ({"contact": "+0123456789"}, 422, "contact"),
        ({"contact": "+12025550123\n"}, 422, "contact"),
        ({"contact": "+١٢٣٤٥٦٧٨"}, 422, "contact"),
        ({"contact": "+12025550123", "source": "stop_word"}, 422, "source"),
        ({"contact": "+12025550123", "campain": "x"}, 422, "campain"),
        ({"contact": "+12025550123", "said": "x" * 2_000}, 422, "said"),
        ([], 422, "body"),
        ("nonsense", 422, "body"),
        ({"contact": "+12025550123", "said": "x" * 70_000}, 413, "limits.body_bytes"),
    ],
)
def test_opt_out_that_cannot_be_read_is_refused(feed: SimpleNamespace, body: object, status: int, words: str) -> None:
    """A wrong body gets one sentence that names the field, and nothing is written."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            answer = await client.post("/v1/optouts", json=body)
            assert answer.status_code == status
            detail = answer.json()["detail"]
            assert isinstance(detail, str)
            assert words in detail
            broken = await client.post(
                "/v1/optouts", content=b"{not json", headers={"Content-Type": "application/json"}
            )
            assert broken.status_code == 422

            async def pieces() -> AsyncIterator[bytes]:
                for _ in range(70):
                    yield b"x" * 1_000

            long = await client.post("/v1/optouts", content=pieces(), headers={"Content-Type": "application/json"})
            assert long.status_code == 413
            assert "limits.body_bytes" in long.json()["detail"]
            assert log.kept == {}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "path",
    [
        "/v1/alerts?limit=0",
        "/v1/alerts?limit=5000",
        "/v1/alerts?state=burning",
        "/v1/alerts?since=yesterday",
        "/v1/alerts?since=2026-11-23T14:00:00",
        "/v1/alerts?since=%F0%9F%98%80",
        "/v1/alerts?after=x",
        "/v1/alerts?after=%D9%A3-x",
        "/v1/suppressions?after=x",
        "/v1/suppressions?kind=person",
        "/v1/stream?from=yesterday",
        "/v1/stream?kind=person",
    ],
)
def test_wrong_parameters_get_one_clear_sentence(feed: SimpleNamespace, path: str) -> None:
    """422 and a line that begins with the parameter's name."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            answer = await client.get(path)
            assert answer.status_code == 422
            name = re.search(r"\?(\w+)=", path)
            assert name is not None
            assert answer.json()["detail"].startswith(name[1])

    asyncio.run(scenario())


def test_nothing_is_answered_before_the_log_was_read(feed: SimpleNamespace) -> None:
    """Until the board has caught up, "not suppressed" would be a guess: 503, and readiness says what it waits for."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        log.away = True
        async with feed.running(log, wait=False) as service, service.client() as client:
            for path in ("alerts", "alerts/x", "suppressions", "suppressions.csv", "suppressions/contact/+12025550123"):
                answer = await client.get(f"/v1/{path}")
                assert answer.status_code == 503
                assert answer.headers["retry-after"] == "1"
            await feed.soon(lambda: service.board.retries > 0)
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json() == {
                "status": "not ready",
                "checks": {"feed": "the log can't be read: the disk is full"},
            }
            assert (await client.get("/healthz")).json() == {"status": "ok"}

    asyncio.run(scenario())


def test_readiness_tells_every_check_in_words(feed: SimpleNamespace) -> None:
    """200 only if every check is True or says Ready; words, False and a check that fails all mean not ready."""

    def broken() -> bool:
        raise RuntimeError("secret path")

    async def scenario() -> None:
        state: dict[str, bool | str] = {"log": True, "worker": "recovering tables"}
        checks = {"log": lambda: state["log"], "worker": lambda: state["worker"], "history": broken}
        async with feed.running(feed.MemoryLog(), readiness=checks) as service, service.client() as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["checks"] == {
                "log": "ready",
                "worker": "recovering tables",
                "history": "the check itself failed: RuntimeError",
            }
        async with (
            feed.running(feed.MemoryLog(), readiness={"log": lambda: True}) as service,
            service.client() as client,
        ):
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"log": "ready"}})
        async with (
            feed.running(feed.MemoryLog(), readiness={"log": lambda: False}) as service,
            service.client() as client,
        ):
            assert (await client.get("/readyz")).json()["checks"] == {"log": "not ready"}
        async with (
            feed.running(feed.MemoryLog(), readiness={"worker": lambda: Ready("idle")}) as service,
            service.client() as client,
        ):
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (200, {"status": "ready", "checks": {"worker": "idle"}})

    asyncio.run(scenario())


def test_openapi_names_every_route_with_its_answer(feed: SimpleNamespace) -> None:
    """The document has each route, a schema for each JSON answer, and one shape for refusals."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            document = (await client.get("/openapi.json")).json()
            assert document["openapi"].startswith("3.1")
            paths = {path.replace(":path}", "}"): set(methods) for path, methods in document["paths"].items()}
            assert paths == {path: set(methods) for path, methods in ROUTES.items()}
            for path, method, status in ((path, *one) for path, all_ in ROUTES.items() for one in all_.items()):
                operation = document["paths"][path][method]
                assert operation["description"]
                success = operation["responses"][status]["content"]
                if "application/json" in success:
                    assert "$ref" in success["application/json"]["schema"]
                refused = operation["responses"].get("422")
                if refused:
                    schema = refused["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/Problem"}

    asyncio.run(scenario())


def test_docs_work_without_a_network(feed: SimpleNamespace) -> None:
    """The page loads files of this server alone, and a document of the version that its viewer reads."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            page = await client.get("/docs")
            assert "default-src 'self'" in page.headers["content-security-policy"]
            assert "://" not in page.text
            for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
                file = await client.get(path)
                assert file.status_code == 200
                assert len(file.content) > 100
            older = (await client.get("/docs/openapi.json")).json()
            assert older["openapi"] == "3.0.3"
            assert older["paths"].keys() == service.api.openapi()["paths"].keys()
            text = json.dumps(older)
            assert '"type": "null"' not in text
            assert '"const"' not in text
            assert (await client.get("/docs/files/../api.py")).status_code == 404

    asyncio.run(scenario())


def test_openapi_3_0_keeps_references_nullable() -> None:
    """A reference that may be null, and a constant, keep their meaning in the older version."""
    newer = {
        "a": {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]},
        "b": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        "c": {"const": True, "type": "boolean"},
        "d": {"type": "string", "examples": ["one", "two"]},
    }
    assert as_openapi_3_0(newer) == {
        "openapi": "3.0.3",
        "a": {"anyOf": [{"$ref": "#/x"}], "nullable": True},
        "b": {"anyOf": [{"type": "string"}, {"type": "integer"}], "nullable": True},
        "c": {"enum": [True], "type": "boolean"},
        "d": {"type": "string", "example": "one"},
    }


def test_metrics_show_the_registry_and_the_feed(feed: SimpleNamespace) -> None:
    """The text of the passed registry has the feed's own metrics in it."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        await log.append([feed.alert_record(feed.alert()), feed.suppression_record(feed.suppression())])
        async with feed.running(log) as service, service.client() as client:
            answer = await client.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain")
            for line in (
                'ringwatch_feed_records_total{topic="alerts"} 1.0',
                'ringwatch_feed_unreadable_total{topic="alerts"} 0.0',
                "ringwatch_feed_alerts 1.0",
                "ringwatch_feed_suppressions 1.0",
            ):
                assert line in answer.text

    asyncio.run(scenario())


def test_failures_show_nothing_of_the_inside(feed: SimpleNamespace) -> None:
    """A route that breaks gives 500 and one sentence, and an unknown path 404 with one."""

    async def broken(_request: Request) -> Response:
        raise RuntimeError("secret path")

    async def scenario() -> None:
        extra = [Route("/v1/broken", broken)]
        async with feed.running(feed.MemoryLog(), extra_routes=extra) as service, service.client() as client:
            answer = await client.get("/v1/broken")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            missing = await client.get("/v1/nothing")
            assert (missing.status_code, missing.json()) == (404, {"detail": "no such path; /docs lists them all"})
            assert (await client.delete("/v1/alerts")).status_code == 405

    asyncio.run(scenario())
