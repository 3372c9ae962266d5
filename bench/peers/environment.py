"""What peers run in: a virtual environment and Java classes, made once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

from bench.kafka_jars import java

_REQUIREMENTS = Path(__file__).parent / "requirements.txt"
_PROJECT = Path(__file__).parent.parent / "kafka-streams"
# Some 100 MB of wheels and jars; a slow line needs minutes, and a dead one shall not hang for ever.
_FETCH_SECONDS = 900.0


class PeersUnavailableError(Exception):
    """The peers can't be installed on this machine; the text says what to do."""


def python(requirements: Path = _REQUIREMENTS, name: str = "peers") -> Path:
    """Give the Python that has the peers' packages; the first call installs them.

    Args:
        requirements: the packages, as pip reads them.
        name: what the folder in the cache is called.

    Raises:
        PeersUnavailableError: they are not there and can't be fetched.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = _cache() / f"{name}-python{version}-{_digest([requirements])}"
    found = folder / "bin" / "python"
    ready = folder / ".ready"
    if not ready.exists():
        # What an interrupted run has left is no environment to rely on.
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        _run([str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
        ready.touch()
    return found


def kafka_streams() -> list[str]:
    """Give the command that runs the Kafka Streams program; the first call builds it with Maven.

    Raises:
        PeersUnavailableError: it is not built and can't be.
        KafkaUnavailableError: there is no Java.
    """
    sources = sorted([_PROJECT / "pom.xml", *(_PROJECT / "src").rglob("*.java")])
    folder = _cache() / f"kafka-streams-{_digest(sources)}"
    if not folder.exists():
        maven = shutil.which("mvn")
        if maven is None:
            raise PeersUnavailableError("no mvn: install Maven to build the Kafka Streams program")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            work = Path(name)
            shutil.copytree(_PROJECT, work / "project")
            goals = [
                "compile",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={work}/built",
            ]
            _run([maven, "-q", "-B", "-f", str(work / "project" / "pom.xml"), *goals])
            shutil.copytree(work / "project" / "target" / "classes", work / "built" / "classes")
            # One step, so that nobody ever sees half of it.
            (work / "built").rename(folder)
    return [java(), "-cp", f"{folder}/classes:{folder}/*", "ringwatch.bench.RollingCounts"]


def _cache() -> Path:
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "ringwatch"


def _digest(files: Sequence[Path]) -> str:
    """What tells one state of the files from another, so that a change is built anew."""
    whole = hashlib.sha256()
    for file in files:
        whole.update(file.read_bytes())
    return whole.hexdigest()[:12]


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise PeersUnavailableError(f"{command[0]} did not end within {_FETCH_SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise PeersUnavailableError(f"{' '.join(command)} failed: {(done.stdout + done.stderr)[-2_000:]}")
