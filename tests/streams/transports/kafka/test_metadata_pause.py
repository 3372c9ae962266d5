from __future__ import annotations

import asyncio
import contextlib
import time

from aiokafka.client import AIOKafkaClient

from bench.free_ports import free_ports
from streams.transports.kafka.metadata_pause import pause_between_questions


def test_a_question_that_nobody_answers_takes_a_moment() -> None:
    """A client without brokers asks again after a pause, however often it is told to ask and to pause."""

    async def ask() -> tuple[int, float]:
        client = AIOKafkaClient(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
        pause_between_questions(client)
        pause_between_questions(client)
        began = time.monotonic()
        answers = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while not await client._metadata_update(client.cluster, []):
                    answers += 1
        await client.close()
        return answers, time.monotonic() - began

    answers, seconds = asyncio.run(ask())
    assert 1 <= answers <= 3
    assert seconds >= 0.4
