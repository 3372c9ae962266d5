"""ringwatch's processes on Apache Kafka, as children, and what they cost."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from bench.free_ports import free_ports
from bench.processes import AUTHORISED, T
from bench.traffic import ACCOUNT, PUBLIC_URL, TOKEN
from schemas.log import Log
from schemas.settings import Settings, load_settings
from schemas.topics import CALLBACKS
from streams.transports.kafka.log import KafkaLog

PARTITIONS = 12
"""As ringwatch makes its topics on Kafka by default."""

HEAP_MEGABYTES = 1_024
"""Java's heap of a broker that is measured with: what Apache Kafka's own scripts give it."""

_ROOT = Path(__file__).parent.parent
# A worker that reads the states of 100,000 numbers, on a busy machine.
_START_SECONDS = 180.0
_STOP_SECONDS = 60.0
_GLANCE_SECONDS = 0.05
# While states are read on a busy machine, nobody answers for a while.
_ANSWER_SECONDS = 60.0
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Part(msgspec.Struct, frozen=True):
    """A running `ringwatch gateway`, `worker`, `feed` or `history`.

    Attributes:
        name: the command, and a number.
        port: of its HTTP server on 127.0.0.1.
        pid: its process.
        folder: its data, and its `stderr`.
    """

    name: str
    port: int
    pid: int
    folder: Path

    @property
    def address(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def lags(self) -> dict[tuple[str, int], float]:
        """Records in the log that are not applied yet, by topic and partition, of the partitions it holds."""
        found = {}
        for line in httpx.get(f"{self.address}/metrics", headers=AUTHORISED, timeout=_ANSWER_SECONDS).text.splitlines():
            if line.startswith("ringwatch_agents_lag_records{"):
                labels, _, value = line.partition("} ")
                named = dict(_LABEL.findall(labels))
                found[named["topic"], int(named["partition"])] = float(value)
        return found

    def is_ready(self) -> bool:
        """Whether all that it does is at work."""
        try:
            return httpx.get(f"{self.address}/readyz").is_success
        except httpx.TransportError:
            return False

    def last_words(self) -> str:
        """The end of what it said."""
        return (self.folder / "stderr").read_text(errors="replace")[-2_000:]


def settings_of(bootstrap: str, folder: Path) -> Settings:
    """The settings of a process on a broker, all others by default."""
    return load_settings(broker=f"kafka://{bootstrap}", partitions=PARTITIONS, data=folder)


async def with_log(settings: Settings, use: Callable[[Log], Awaitable[T]]) -> T:
    """Call a function with the log of the settings, which is closed then."""
    log = await asyncio.to_thread(KafkaLog.open, settings)
    try:
        return await use(log)
    finally:
        await log.close()


def processor_seconds(pid: int) -> float:
    """What a process has had of processors until now, user and system together."""
    # The name in brackets may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def resident_bytes(pid: int) -> int:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def peak_bytes(pid: int) -> int:
    """The most resident memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1_024 for line in lines if line.startswith("VmHWM:"))


@contextmanager
def ringwatch(command: str, bootstrap: str, folder: Path, number: int = 1) -> Iterator[Part]:
    """Run a command on Kafka with its ordinary settings; it is stopped in order at the end of the block.

    Args:
        command: `gateway`, `worker`, `feed` or `history`.
        bootstrap: HOST:PORT of the broker.
        folder: gets a folder for this process.
        number: tells it from others of its kind; a worker that comes back under its number gets its partitions back.
    """
    name = f"{command}-{number}"
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    (port,) = free_ports(1)
    environment = {
        **os.environ,
        "RINGWATCH_BROKER": f"kafka://{bootstrap}",
        "RINGWATCH_ACCOUNTS": json.dumps({ACCOUNT: TOKEN}),
        "RINGWATCH_PUBLIC_URL": PUBLIC_URL,
        "RINGWATCH_API_TOKEN": TOKEN,
        "RINGWATCH_KAFKA__WORKER": name,
    }
    with (own / "stderr").open("ab") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "ringwatch", command, "--data", str(own), "--http", f"127.0.0.1:{port}"],
            env=environment,
            stdout=said,
            stderr=said,
            cwd=_ROOT,
        )
    try:
        yield Part(name, port, process.pid, own)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_ready(parts: Sequence[Part]) -> None:
    """Wait until all are at work.

    Raises:
        RuntimeError: one ended; the text has its last words.
        TimeoutError: one is not ready in time; as above.
    """
    until = time.monotonic() + _START_SECONDS
    for part in parts:
        while not part.is_ready():
            _check_lives(part)
            if time.monotonic() > until:
                raise TimeoutError(f"{part.name} is not ready after {_START_SECONDS:.0f} s: {part.last_words()}")
            time.sleep(_GLANCE_SECONDS)


def wait_until_held(workers: Sequence[Part]) -> None:
    """Wait until each worker is at work, and all partitions of `callbacks` are held by one of them.

    Of a partition that nothing was ever appended to, a worker does not know the end, so each must have records.

    Raises:
        RuntimeError: one ended; the text has its last words.
        TimeoutError: they did not come to hold all; as above.
    """
    until = time.monotonic() + _START_SECONDS
    wait_until_ready(workers)
    while True:
        held = [[number for topic, number in worker.lags() if topic == CALLBACKS.name] for worker in workers]
        if all(held) and sorted(number for numbers in held for number in numbers) == list(range(PARTITIONS)):
            return
        if time.monotonic() > until:
            said = "; ".join(worker.last_words() for worker in workers)
            raise TimeoutError(f"of {PARTITIONS} partitions {held} are held after {_START_SECONDS:.0f} s: {said}")
        time.sleep(_GLANCE_SECONDS)


def _check_lives(part: Part) -> None:
    # A child that nobody waited for is still listed, and has no memory.
    if not Path(f"/proc/{part.pid}").exists() or resident_bytes(part.pid) == 0:
        raise RuntimeError(f"{part.name} ended: {part.last_words()}")
