"""Records as Kafka's clients give them, aiokafka's and kafka-python's alike."""

from __future__ import annotations

from typing import Any

from schemas.log import Record


def as_record(record: Any) -> Record:
    """Make a record of what either client gives."""
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        tuple(record.headers),
    )
