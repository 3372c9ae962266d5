"""What topics must be, without a broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.settings import load_settings
from schemas.topics import TOPICS
from streams.transports.kafka.plans import plan, satisfies


@pytest.mark.parametrize(
    ("brokers", "asked", "copies", "in_sync"),
    [(1, None, 1, "1"), (2, None, 2, "1"), (3, None, 3, "2"), (5, None, 3, "2"), (5, 4, 4, "2"), (3, 1, 1, "1")],
)
def test_copies_follow_the_brokers_unless_they_are_set(
    tmp_path: Path, brokers: int, asked: int | None, copies: int, in_sync: str
) -> None:
    """Three copies where there are three brokers; two must be in step where one of three may be away."""
    settings = load_settings(data=tmp_path, broker="kafka://127.0.0.1:9092", kafka={"replication_factor": asked})
    planned = plan(settings, ["changelog"], brokers)
    assert [topic.name for topic in planned] == [*(topic.name for topic in TOPICS), "changelog"]
    assert {(topic.partitions, topic.copies) for topic in planned} == {(12, copies)}
    assert {topic.configs["min.insync.replicas"] for topic in planned} == {in_sync}


@pytest.mark.parametrize(
    ("name", "found", "planned", "enough"),
    [
        ("retention.ms", "-1", "1000", True),
        ("retention.ms", "1001", "1000", True),
        ("retention.ms", "999", "1000", False),
        ("retention.ms", "1000", "-1", False),
        ("min.insync.replicas", "2", "1", False),
        ("min.cleanable.dirty.ratio", "0.20", "0.2", True),
        ("cleanup.policy", "compact,delete", "compact", False),
    ],
)
def test_more_is_enough_only_where_it_does_no_harm(name: str, found: str, planned: str, enough: bool) -> None:
    """A longer retention will do, -1 is for ever, and what is not an amount must be the same."""
    assert satisfies(name, found, planned) is enough
