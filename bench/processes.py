"""Processes that are measured, and the load generator beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import httpx
import msgspec

from bench.load import Answered, Load
from bench.traffic import ACCOUNT, PUBLIC_URL, TOKEN
from sinks.history.ask import RUNNING_FILE, Running

P = ParamSpec("P")
T = TypeVar("T")

_ROOT = Path(__file__).parent.parent
# Faust alone takes a second to be imported; on a busy machine ten times that.
_START_SECONDS = 60.0
_STOP_SECONDS = 60.0

AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}
"""The headers of whoever may ask the API."""


def apart(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function in a fresh process, so that no measurement finds the memory of another."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *args, **kwargs).result()


def send(load: Load) -> Answered:
    """Run the load generator in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=msgspec.json.encode(load),
        stdout=subprocess.PIPE,
        check=True,
        cwd=_ROOT,
    )
    return msgspec.json.decode(done.stdout, type=Answered)


@contextmanager
def server(name: str, folder: Path, processor: int) -> Iterator[int]:
    """Run one of `bench.servers`; give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.servers", name, str(folder), str(processor)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(_STOP_SECONDS)
        process.stdout.close()


class Up(msgspec.Struct, frozen=True):
    """A running `ringwatch up`.

    Attributes:
        data: its data folder.
        address: base URL.
        pid: its process.
    """

    data: Path
    address: str
    pid: int

    @property
    def port(self) -> int:
        """The port of its HTTP server."""
        return int(self.address.rpartition(":")[2])

    def lags(self) -> tuple[float, float]:
        """Records that agents and history are behind, as `/metrics` says."""
        lines = httpx.get(f"{self.address}/metrics", headers=AUTHORISED).text.splitlines()
        values = [line.rsplit(" ", 1) for line in lines if line.startswith("ringwatch_")]
        agents = [float(value) for name, value in values if name.startswith("ringwatch_agents_lag_records{")]
        if not agents:
            raise RuntimeError("the agents have no partitions yet")
        return sum(agents), float(dict(values)["ringwatch_history_lag_records"])


@contextmanager
def ringwatch_up(data: Path) -> Iterator[Up]:
    """Run `ringwatch up` on a folder and wait until it is ready."""
    environment = {
        **os.environ,
        "RINGWATCH_ACCOUNTS": json.dumps({ACCOUNT: TOKEN}),
        "RINGWATCH_PUBLIC_URL": PUBLIC_URL,
        "RINGWATCH_API_TOKEN": TOKEN,
    }
    log = (data / "stderr").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "ringwatch", "up", "--data", str(data), "--http", "127.0.0.1:0"],
        env=environment,
        stderr=log,
        cwd=_ROOT,
    )
    try:
        yield Up(data, _wait_until_ready(process, data), process.pid)
    finally:
        process.terminate()
        process.wait(_STOP_SECONDS)
        log.close()


def _wait_until_ready(process: subprocess.Popen[bytes], data: Path) -> str:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"ringwatch up ended: {(data / 'stderr').read_text()[-2_000:]}")
        if (data / RUNNING_FILE).exists():
            address = msgspec.json.decode((data / RUNNING_FILE).read_bytes(), type=Running).http
            if httpx.get(f"{address}/readyz").status_code == httpx.codes.OK:
                return address
        time.sleep(0.05)
    raise TimeoutError(f"ringwatch up was not ready within {_START_SECONDS:.0f} s; see {data / 'stderr'}")
