"""A process of ringwatch under a supervisor, as it would run in earnest: one that ends by itself is started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

# As quick as a supervisor may be.
_PAUSE_SECONDS: Final = 0.3
_GLANCE_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 60.0
_LISTENS: Final = re.compile(r"listens on (http://\S+)")


class Supervised:
    """One process, through all of its lives.

    Args:
        name: of the process, and of the files of what it says.
        command: of `ringwatch`, with its options.
        environment: variables of ringwatch; the caller's own are not passed on.
        folder: where it runs, and what it says is kept.

    Attributes:
        ended: exit codes of lives that nobody here stopped.
        wanted: whether it shall run.
    """

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.ended: list[int] = []
        self._command = [sys.executable, "-m", "ringwatch", *command]
        own = {key: value for key, value in os.environ.items() if not key.startswith("RINGWATCH_")}
        self._environment = {**own, **environment}
        self._folder = folder
        self._lives = 0
        self.wanted = False
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._address: str | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a process now."""
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """What it has said in its present life, or in its last."""
        path = self._path()
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def address(self) -> str | None:
        """The base URL it listens on; None while it does not."""
        if not self.runs:
            return None
        if self._address is None:
            found = _LISTENS.search(self.said)
            self._address = found[1] if found is not None else None
        return self._address

    def start(self) -> None:
        """Start it, and again whenever it ends, until it is stopped."""
        self.wanted = True
        self._launch()

    def kill(self) -> None:
        """End it as a power cut would; its supervisor starts it again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> int:
        """Ask it to end, for good; give its exit code."""
        self.wanted = False
        process = self._process
        assert process is not None
        process.terminate()
        code = await asyncio.to_thread(process.wait, _STOP_SECONDS)
        self._close()
        return code

    async def listens(self, seconds: float = 60.0) -> str:
        """Wait until it listens; give its base URL.

        Raises:
            TimeoutError: it does not; the text has what it said.
        """
        until = time.monotonic() + seconds
        while (address := self.address) is None:
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} does not listen:\n{self.said}")
            await asyncio.sleep(_GLANCE_SECONDS)
        return address

    async def supervise(self) -> None:
        """Start it again whenever it ends by itself; runs until cancelled."""
        while True:
            await asyncio.sleep(_GLANCE_SECONDS)
            code = None if self._process is None else self._process.poll()
            if self.wanted and code is not None:
                self._close()
                self.ended.append(code)
                await asyncio.sleep(_PAUSE_SECONDS)
                if self.wanted:
                    self._launch()

    def end(self) -> None:
        """End it whatever it does; a second call does nothing."""
        self.wanted = False
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._close()

    def _launch(self) -> None:
        self._lives += 1
        self._address = None
        self._output = self._path().open("wb")
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def _path(self) -> Path:
        return self._folder / f"{self.name}-{self._lives}.txt"

    def _close(self) -> None:
        if self._output is not None:
            self._output.close()
            self._output = None
