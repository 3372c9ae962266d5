"""What a detector can say."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from schemas.alert import Alert, Subject
from schemas.suppression import Suppression


class Lifted(msgspec.Struct, frozen=True):
    """A suppression no longer holds.

    Attributes:
        subject: the number or contact that may be used or called again.
    """

    subject: Subject


Finding: TypeAlias = Alert | Suppression | Lifted

NOTHING: list[Finding] = []
"""What most updates find. One shared empty list; callers read it and never change it."""
