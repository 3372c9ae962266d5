from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ringwatch.parts import running_parts
from ringwatch.program import Program, run_until_stopped

_HALF = b"POST /twilio/voice HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nCallSid="


def test_a_second_signal_ends_it_at_once(start_child: Callable[..., Any], tmp_path: Path, wait_until: Any) -> None:
    """The first SIGTERM waits for an open request, which the second one does not."""
    child = start_child("up", "--data", str(tmp_path), "--http", "127.0.0.1:0", "--insecure")
    place = urlsplit(child.wait_for_address(tmp_path))

    def refused() -> bool:
        try:
            socket.create_connection((place.hostname, place.port), timeout=5).close()
        except ConnectionError:
            return True
        return False

    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(_HALF)
        child.process.terminate()
        wait_until(refused, "the program to take no more connections")
        assert child.process.poll() is None
        child.process.terminate()
        assert child.process.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("command", ["gateway", "worker", "history", "feed"])
def test_a_part_alone_is_refused_on_the_embedded_log(
    start_child: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    """One process owns the embedded log, so its parts can't be run apart, and what to run instead is said."""
    child = start_child(command, "--data", str(tmp_path / "data"), "--http", "127.0.0.1:0")
    assert child.process.wait(60) == 2
    assert f"ringwatch: broker: `ringwatch {command}` needs Kafka" in child.said
    assert "run `ringwatch up`" in child.said
    assert not (tmp_path / "data").exists()


def test_a_part_that_dies_ends_the_program(caplog: pytest.LogCaptureFixture) -> None:
    """When a part raises, the others are stopped, the reason is logged, and the end is known as a fault."""
    stopped = asyncio.Event()

    async def lasts(stop: asyncio.Event) -> None:
        await stop.wait()
        stopped.set()

    async def dies(_stop: asyncio.Event) -> None:
        raise RuntimeError("it broke")

    @asynccontextmanager
    async def running() -> AsyncIterator[Program]:
        async with running_parts() as parts:
            parts.start("the one that lasts", lasts)
            parts.start("the one that dies", dies)
            yield Program("http://127.0.0.1:1", parts)

    async def run() -> bool:
        async with asyncio.timeout(30):
            return await run_until_stopped(running(), on_ready=lambda _: None)

    assert asyncio.run(run())
    assert stopped.is_set()
    assert "the one that dies has died" in caplog.text
    assert "it broke" in caplog.text


def test_a_signal_ends_a_program_that_is_still_starting() -> None:
    """Told to end while it waits for something that does not come, a program lets go of what it has and ends well."""
    let_go = asyncio.Event()

    @asynccontextmanager
    async def running() -> AsyncIterator[Program]:
        async with running_parts() as parts:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.Event().wait()
            finally:
                let_go.set()
            yield Program("http://127.0.0.1:1", parts)

    async def run() -> bool:
        async with asyncio.timeout(30):
            return await run_until_stopped(running(), on_ready=lambda _: None)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert not asyncio.run(run())
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert let_go.is_set()
