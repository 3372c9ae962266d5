"""Apache Kafka's server from Maven Central, fetched once and kept in the user's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

VERSION = "4.1.0"
"""The version of Apache Kafka that tests and measurements run on."""

_POM = Path(__file__).parent / "kafka" / "pom.xml"
_SERVER = f"kafka_2.13-{VERSION}.jar"
# Some 45 MB; a slow line needs minutes, and a dead one shall not hang a test run for ever.
_FETCH_SECONDS = 600.0


class KafkaUnavailableError(Exception):
    """No Apache Kafka can be started on this machine; the text says what to install."""


def java() -> str:
    """Find the Java that runs the brokers.

    Raises:
        KafkaUnavailableError: there is none.
    """
    home = os.environ.get("JAVA_HOME")
    found = (home and shutil.which("java", path=str(Path(home) / "bin"))) or shutil.which("java")
    if found is None:
        raise KafkaUnavailableError("no java: install a Java runtime of version 17 or later, or set JAVA_HOME")
    return found


def jars() -> Path:
    """Give the folder of Apache Kafka's jars; the first call fetches them with Maven.

    It is `RINGWATCH_TEST_KAFKA_JARS` if that is set, else `ringwatch/kafka-VERSION` in the user's cache folder.

    Raises:
        KafkaUnavailableError: they are not there and can't be fetched.
    """
    folder = _folder()
    if not (folder / _SERVER).exists():
        _fetch(folder)
    return folder


def _folder() -> Path:
    named = os.environ.get("RINGWATCH_TEST_KAFKA_JARS")
    if named:
        return Path(named)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "ringwatch" / f"kafka-{VERSION}"


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError(
            f"no jars of Apache Kafka in {folder} and no mvn to fetch them: install Maven, "
            "or name a folder that has them with RINGWATCH_TEST_KAFKA_JARS"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, so that the rename is one step: of two runs at once neither sees half a folder.
    fetched = Path(tempfile.mkdtemp(prefix=".kafka-", dir=folder.parent))
    try:
        command = [maven, "-q", "-B", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={fetched}"],
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise KafkaUnavailableError(f"Maven could not fetch Apache Kafka: {(done.stdout + done.stderr)[-2_000:]}")
        _move(fetched, folder)
    except subprocess.TimeoutExpired as error:
        raise KafkaUnavailableError(f"Maven did not fetch Apache Kafka within {_FETCH_SECONDS:.0f} s") from error
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


def _move(fetched: Path, folder: Path) -> None:
    try:
        fetched.rename(folder)
    except OSError:
        # Another run was quicker.
        if not (folder / _SERVER).exists():
            raise
