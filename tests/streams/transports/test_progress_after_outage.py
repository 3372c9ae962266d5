from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.log import LogUnavailableError, NewRecord, Positions, Record
from streams.transports import progress
from streams.transports.alignment import Alignment
from streams.transports.progress import Progress


class _Reader:
    async def fetch(self, limit: int, wait: float) -> Sequence[Record]:  # noqa: ARG002 - the protocol's signature
        await asyncio.sleep(0.001)
        raise LogUnavailableError("brokers are away")

    async def close(self) -> None: ...


class _LogThatFails:
    """A log whose readers fail, while its topics are known."""

    async def partitions(self, topic: str) -> int:  # noqa: ARG002 - as above
        return 2

    async def ends(self, topic: str) -> Mapping[int, int]:  # noqa: ARG002 - as above
        return {0: 0, 1: 0}

    async def reader(self, positions: Positions) -> _Reader:  # noqa: ARG002 - as above
        return _Reader()


class _Consumer:
    def __init__(self) -> None:
        self.alignment = Alignment()

    def places(self) -> dict[int, tuple[int | None, int]]:
        return {0: (1_000, 5)}

    def reached(self) -> int | None:
        return None


def test_nobody_tells_twice_after_an_outage(monkeypatch: Any) -> None:
    """When the log was away and is asked again, one task tells and one looks, as before; none is left behind."""
    monkeypatch.setattr(progress, "_AGAIN_SECONDS", 0.01)

    async def run() -> int:
        stopping = False

        async def publish(records: Sequence[NewRecord]) -> object:
            return records

        log: Any = _LogThatFails()
        consumer: Any = _Consumer()
        telling = asyncio.create_task(Progress(consumer, "callbacks", log, publish).run(lambda: stopping))
        await asyncio.sleep(0.2)
        # This one, the one that runs, and at most one each that tells, hears and looks.
        running = len(asyncio.all_tasks()) - 2
        stopping = True
        await telling
        return running

    assert asyncio.run(run()) <= 3
