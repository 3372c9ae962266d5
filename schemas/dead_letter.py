"""What was accepted and could not be read: the records of `deadletters`."""

from __future__ import annotations

from typing import ClassVar

from schemas.wire import Versioned


class DeadLetter(Versioned, frozen=True, kw_only=True):
    """Raw bytes, where they came from, and why they could not be used.

    Attributes:
        source: the endpoint, or "topic[partition]@offset".
        reason: one line.
        at: when it was set aside, in milliseconds since the epoch; for a record of a topic, that record's timestamp.
        key: the record's key, if it had one.
        body: the bytes as they came.
    """

    VERSION: ClassVar[int] = 1

    source: str
    reason: str
    at: int
    key: bytes | None = None
    body: bytes
