"""Rolling windows as the API shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

from sinks.feed.rolling import WINDOWS, SubjectView


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
