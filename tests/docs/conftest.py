from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_RINGWATCH = [sys.executable, "-m", "ringwatch"]
# Long enough for a busy machine with coverage on; a start takes two seconds.
_READY_SECONDS = 60


class Page(NamedTuple):
    """One page of the documentation."""

    path: Path
    text: str

    def fenced(self, *languages: str) -> list[str]:
        """The code blocks of the given languages."""
        return [body for _, language, body in _FENCE.findall(self.text) if language in languages]

    def commands(self) -> list[list[str]]:
        """The shell commands that call ringwatch, split as a shell would, without the program's name."""
        found = []
        for block in self.fenced("sh", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line.strip().removeprefix("$ "))
                if words[:1] and words[0].rpartition("/")[2] == "ringwatch":
                    found.append(words[1:])
        return found

    def table(self, *header: str) -> list[list[str]]:
        """The rows of all tables that have this header."""
        lines = self.text.splitlines()
        rows = []
        wanted = "| " + " | ".join(header) + " |"
        for place, line in enumerate(lines):
            if line.strip() == wanted:
                for row in lines[place + 2 :]:
                    if not row.strip().startswith("|"):
                        break
                    rows.append([cell.strip() for cell in re.split(r"(?<=\s)\|(?=\s)", row.strip()[1:-1])])
        return rows


def clean_environment() -> dict[str, str]:
    """This process's environment without settings of ringwatch."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RINGWATCH_")}


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """Every page for readers."""
    return [Page(path, path.read_text(encoding="utf-8")) for path in PAGES]


@pytest.fixture(scope="session")
def page(pages: list[Page]) -> Callable[[str], Page]:
    """Give a page by its path from the top folder."""
    return {str(one.path.relative_to(ROOT)): one for one in pages}.__getitem__


class Ran(NamedTuple):
    """What a command that ended left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture(scope="session")
def run() -> Run:
    """Run ringwatch as a child process to its end."""

    def call(*words: str, cwd: Path) -> Ran:
        done = subprocess.run(
            [*_RINGWATCH, *words],
            cwd=cwd,
            env=clean_environment() | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return call


_AGENTS_LAG = re.compile(r"^ringwatch_agents_lag_records\{.*\} (\S+)$", re.MULTILINE)


class Told(NamedTuple):
    """A folder in which ringwatch has run, and what it said of itself meanwhile.

    Attributes:
        folder: the working directory; its `data` holds the history.
        metrics: the text of `/metrics`.
        sql_while_running: what a query answered meanwhile.
    """

    folder: Path
    metrics: str
    sql_while_running: Ran


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Told:
    """Let ringwatch take a simulated day with opt-outs over HTTP, and stop it."""
    folder = tmp_path_factory.mktemp("documented")
    simulated = run("simulate", "--scenario", "opt-out", "--out", "calls.ndjson", cwd=folder)
    assert simulated.code == 0, simulated.err
    with (folder / "err.txt").open("wb") as err:
        program = subprocess.Popen(
            [*_RINGWATCH, "up", "--insecure", "--http", "127.0.0.1:0"],
            cwd=folder,
            # Simulated time stands still while real time goes on: its calls get ever older.
            env=clean_environment() | {"PYTHONPATH": str(ROOT), "RINGWATCH_ASSEMBLY__PAST_TOLERANCE_HOURS": "1e6"},
            stderr=err,
        )
        try:
            address = _address(folder / "err.txt", program)
            with httpx.Client(base_url=address, trust_env=False) as client:
                _send(client, (folder / "calls.ndjson").read_bytes().splitlines())
                _wait(lambda: "ringwatch_history_lag_records 0.0" in client.get("/metrics").text)
                _wait(lambda: set(_AGENTS_LAG.findall(client.get("/metrics").text)) == {"0.0"})
                _wait(lambda: "ringwatch_history_lag_records 0.0" in client.get("/metrics").text)
                metrics = client.get("/metrics").text
            answered = run("sql", "--format", "csv", "select count(*) as calls from calls", cwd=folder)
        finally:
            program.terminate()
            code = program.wait(timeout=60)
    assert code == 0, (folder / "err.txt").read_text()
    return Told(folder, metrics, answered)


def _address(err: Path, program: subprocess.Popen[bytes]) -> str:
    def found() -> re.Match[str] | None:
        assert program.poll() is None, err.read_text()
        return re.search(r"http://[0-9.]+:[0-9]+", err.read_text())

    _wait(found)
    match = found()
    assert match is not None
    return match.group()


def _send(client: httpx.Client, lines: list[bytes]) -> None:

    # A few hundred lines are a history; the opt-outs, which go elsewhere, are all sent.
    read = [msgspec.json.decode(line) for line in lines]
    voice = [line for line in read if line["path"].startswith("/twilio/voice")][:300]
    others = [line for line in read if line["path"].startswith(("/twilio/messaging", "/twilio/gather"))]
    assert others, "the scenario has opt-outs"
    for line in [*voice, *others]:
        client.post(line["path"], data=line["params"]).raise_for_status()


def _wait(for_this: Callable[[], object]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while not for_this():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.1)
