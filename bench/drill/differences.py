"""What is not as in an undisturbed run."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    DOUBLE = "double"
    ALERT_MISSING = "alert missing"
    ALERT_EXTRA = "alert extra"
    WINDOWS = "windows differ"


class Difference(msgspec.Struct, frozen=True, order=True):
    """One thing that is not as in an undisturbed run."""

    kind: Kind
    what: str
