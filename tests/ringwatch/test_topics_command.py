"""`ringwatch topics create` and `ringwatch topics check`, on both logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ringwatch.cli import cli
from schemas.topics import TOPICS
from streams.agents.app import CHANGELOGS

NAMES = [*(topic.name for topic in TOPICS), *CHANGELOGS]


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli, ["topics", *words, "--config", str(config)])


def _config(folder: Path, broker: str, partitions: int) -> Path:
    path = folder / f"{partitions}.toml"
    path.write_text(f'data = "{folder}"\nbroker = "{broker}"\npartitions = {partitions}\n')
    return path


def _made_once_then_checked(folder: Path, broker: str) -> None:
    config = _config(folder, broker, 2)

    made = _run(config, "create")
    assert made.exit_code == 0, made.output
    assert sorted(line for line in made.stdout.splitlines() if line.startswith("made ")) == sorted(
        f"made {name}" for name in NAMES
    )

    again = _run(config, "create")
    checked = _run(config, "check")
    assert again.exit_code == checked.exit_code == 0
    assert again.stdout == checked.stdout == f"{made.stdout.splitlines()[-1]}\n"
    assert f"{len(NAMES)} topics with 2 partitions" in checked.stdout

    for words in ("check", "create"):
        refused = _run(_config(folder, broker, 3), words)
        assert refused.exit_code == 2
        assert "partitions" in refused.stderr
        assert "ringwatch: " in refused.stderr


def test_topics_of_the_embedded_log_are_made_and_checked(tmp_path: Path) -> None:
    """On the embedded log the commands make all topics once, find them, and refuse another number of partitions."""
    config = _config(tmp_path, f"local://{tmp_path}/log", 2)
    missing = _run(config, "check")
    assert missing.exit_code == 2
    assert "run `ringwatch topics create`" in missing.stderr
    _made_once_then_checked(tmp_path, f"local://{tmp_path}/log")


@pytest.mark.kafka
def test_topics_of_kafka_are_made_and_checked(fresh_kafka: str, tmp_path: Path) -> None:
    """On Apache Kafka they do the same, and name every topic that is missing."""
    missing = _run(_config(tmp_path, f"kafka://{fresh_kafka}", 2), "check")
    assert missing.exit_code == 2
    assert missing.stderr.splitlines() == [
        f"ringwatch: topic {name} is missing: run `ringwatch topics create`" for name in NAMES
    ]
    _made_once_then_checked(tmp_path, f"kafka://{fresh_kafka}")
