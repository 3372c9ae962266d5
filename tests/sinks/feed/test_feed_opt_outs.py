"""Opt-outs that the API takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from schemas.opt_out import Channel, OptOut, OptOutSource
from schemas.times import to_iso


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
